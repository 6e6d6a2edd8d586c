"""How many deliveries a second on a disk whose fsync takes 2 ms, as a cloud's network disk's does."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.drive import CONNECTIONS
from bench.figures import Aim, Figure, ratio
from bench.processes import BenchError
from bench.progress import tell
from bench.rounds import Run, one_run
from bench.scale import Scale
from bench.servers import DURABLE, ROSTERHOOK, Server, need_tutorial

LONGER_US = 2000
AIM = Aim(">=", 20.0)
SOURCE = Path(__file__).with_name("slow_fsync.c")
COMPILER_SECONDS = 60


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Rosterhook and the tutorial's durable form in turn.

    Raises:
        BenchError: there is no C compiler, or the tutorial's app is not installed.
    """
    need_tutorial()
    library = compiled(folder)
    runs: dict[str, list[tuple[Run, float]]] = {ROSTERHOOK.name: [], DURABLE.name: []}
    for number in range(scale.rounds):
        tell(f"accept: a disk of {LONGER_US / 1000:g} ms: round {number + 1} of {scale.rounds}")
        for server in (ROSTERHOOK, DURABLE):
            runs[server.name].append(run_slowly(server, folder, library, scale.seconds))
    for server in (ROSTERHOOK, DURABLE):
        yield from _figures(server, runs[server.name])
    rates = [[run.met.per_second for run, _ in runs[server.name]] for server in (ROSTERHOOK, DURABLE)]
    title = f"rosterhook beside {DURABLE.title}, 2 ms a fsync"
    yield ratio("accept/ratio/slow-disk", title, rates[0], rates[1], AIM)


def _figures(server: Server, runs: list[tuple[Run, float]]) -> Iterator[Figure]:
    about = f"{median(each for _, each in runs):.3g} fsyncs a delivery"
    name, title = f"accept/slow-disk/{server.name}", f"{server.title}, 2 ms a fsync"
    yield Figure(
        f"{name}/rate", f"{title}: requests a second", "/s", [run.met.per_second for run, _ in runs], None, about
    )
    yield Figure(f"{name}/p99", f"{title}: 99th percentile", "ms", [run.met.p99 for run, _ in runs])


def run_slowly(server: Server, folder: Path, library: Path, seconds: float) -> tuple[Run, float]:
    """One run, and how many fsyncs a delivery it took.

    Raises:
        BenchError: the server's fsyncs did not go through the library, so that its disk was not slow.
    """
    counter = folder / "count"
    extra = {"LD_PRELOAD": str(library), "SLOW_FSYNC_US": str(LONGER_US), "SLOW_FSYNC_COUNT": str(counter)}
    run = one_run(server, folder / "run", seconds, CONNECTIONS, 1, extra)
    count = int.from_bytes(counter.read_bytes(), "little") if counter.exists() else 0
    counter.unlink(missing_ok=True)
    if not count:
        raise BenchError(f"{server.name} syncs its files by ways that cannot be slowed here")
    return run, count / run.answered


def compiled(folder: Path) -> Path:
    """The library that makes fsync slow, for LD_PRELOAD.

    Raises:
        BenchError: it cannot be made here.
    """
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise BenchError("the slow disk needs a C compiler, cc")
    folder.mkdir(parents=True, exist_ok=True)
    library = folder / "slow_fsync.so"
    command = [compiler, "-O2", "-Wall", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=COMPILER_SECONDS, check=False)
    if done.returncode:
        raise BenchError(f"{SOURCE.name} cannot be compiled:\n{done.stderr}")
    return library
