"""The processes of a benchmark: started as a user starts them, ready when they say so, ended by their own id."""

from __future__ import annotations

import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from bench.bodies import SECRET

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60.0
END_SECONDS = 30.0

CONFIG = """\
data_dir = "{data_dir}"

[server]
port = 0

[hook]
secret = "{secret}"
"""
OKTA = """
[okta]
org_url = "{org_url}"
token = "sim-token"
"""


class BenchError(Exception):
    """The benchmark cannot go on; the message says why."""


@dataclass(frozen=True, slots=True)
class Started:
    """A process that is ready, and its address if it told one."""

    pid: int
    url: str

    @property
    def port(self) -> int:
        """The port it listens on."""
        return int(self.url.rsplit(":", 1)[1])

    def resident_mb(self) -> float:
        """Resident memory in MB (10^6 bytes)."""
        status = Path(f"/proc/{self.pid}/status")
        if status.exists():
            found = re.search(r"^VmRSS:\s+(\d+) kB$", status.read_text(), re.MULTILINE)
        else:
            shown = subprocess.run(
                ["ps", "-o", "rss=", "-p", str(self.pid)], capture_output=True, text=True, check=True
            )
            found = re.search(r"(\d+)", shown.stdout)
        if found is None:
            raise BenchError(f"process {self.pid} is gone")
        return int(found.group(1)) * 1024 / 1e6

    def cpu_seconds(self) -> float:
        """What it has used of the processors so far, in its own code and in the kernel, all threads."""
        status = Path(f"/proc/{self.pid}/stat")
        if not status.exists():
            shown = subprocess.run(
                ["ps", "-o", "time=", "-p", str(self.pid)], capture_output=True, text=True, check=True
            )
            return sum(float(each) * 60.0**place for place, each in enumerate(reversed(shown.stdout.split(":"))))
        # The name before may have blanks: count behind its bracket.
        user, system = status.read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


def configure(folder: Path, *, org_url: str = "") -> Path:
    """A configuration for a service whose data is in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "bench.toml"
    text = CONFIG.format(data_dir=folder / "data", secret=SECRET)
    path.write_text(text + (OKTA.format(org_url=org_url) if org_url else ""))
    return path


def environment() -> dict[str, str]:
    """This environment without what would configure rosterhook, and with the benchmark's own modules."""
    foreign = ("ROSTERHOOK_", "OKTA_")
    kept = {key: value for key, value in os.environ.items() if not key.upper().startswith(foreign)}
    return {**kept, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def part(name: str, config: Path, extra: Mapping[str, str] | None = None) -> Iterator[Started]:
    """The process `rosterhook web` or `rosterhook worker`, with `extra` in its environment."""
    ready = {"web": r'"url": "(http[^"]+)"', "worker": r"worker\.(started)"}[name]
    command = ["rosterhook", name, "--supervised", "--config", str(config)]
    with process(command, config.parent, ready, extra) as started:
        yield started


@contextmanager
def process(
    command: Sequence[str], folder: Path, ready: str, extra: Mapping[str, str] | None = None
) -> Iterator[Started]:
    """A Python module as a process: see `program`."""
    with program([sys.executable, "-m", *command], folder, ready, extra) as started:
        yield started


@contextmanager
def program(
    command: Sequence[str], folder: Path, ready: str, extra: Mapping[str, str] | None = None
) -> Iterator[Started]:
    """A process, from its first sign of life to its end.

    Args:
        ready: a pattern; what it finds in a line of output says that the process is ready, and its group where.
        extra: for its environment.

    Raises:
        BenchError: it ended, or said nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # A session of its own: Ctrl-C reaches the benchmark alone, which ends all in order. Standard input is a pipe:
    # when it closes, the process ends, though the benchmark was killed.
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**environment(), **(extra or {})},
        cwd=folder,
        start_new_session=True,
    )
    said: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    listener = threading.Thread(target=_listen, args=(child.stdout, re.compile(ready), said), daemon=True)
    listener.start()
    try:
        yield Started(child.pid, _first(said, " ".join(command)))
    finally:
        _end(child)
        listener.join()


def _listen(output: IO[str], ready: re.Pattern[str], said: queue.SimpleQueue[str | None]) -> None:
    """Read all that a process prints, so that it never waits for a reader; pass on its errors."""
    with output:
        for line in output:
            if found := ready.search(line):
                said.put(found.group(1))
            elif '"level": "error"' in line or line.startswith(("Traceback", " ", "Error", "error")):
                sys.stderr.write(line)
    said.put(None)


def _first(said: queue.SimpleQueue[str | None], what: str) -> str:
    try:
        url = said.get(timeout=START_SECONDS)
    except queue.Empty:
        url = None
    if url is None:
        raise BenchError(f"{what} did not start")
    return url


def _end(child: subprocess.Popen[str]) -> None:
    child.terminate()
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    finally:
        if child.stdin:
            child.stdin.close()


def output_of(command: Sequence[str], folder: Path, limit_seconds: float) -> str:
    """What a Python module prints that ends by itself.

    Raises:
        BenchError: it failed, or took too long.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", *command],
            capture_output=True,
            text=True,
            env=environment(),
            cwd=folder,
            timeout=limit_seconds,
            check=True,
        )
    except subprocess.TimeoutExpired:
        raise BenchError(f"{' '.join(command)} took longer than {limit_seconds:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{' '.join(command)} failed:\n{error.stderr}") from None
    return done.stdout
