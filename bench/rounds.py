"""Servers in turn, each run on a process of its own over an empty folder."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.drive import load
from bench.load import Met
from bench.progress import tell
from bench.scale import Scale
from bench.servers import Server

#: Before what counts: Node compiles what it has seen often, and rosterhook's files get their first pages.
WARM_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Run:
    """One run: what the generator met, and what the server used for it.

    Attributes:
        answered: all that it answered, in the warm-up too.
        cpu_us: of the processors, for each request, in microseconds.
        resident_mb: at the end, in MB.
    """

    met: Met
    answered: int
    cpu_us: float
    resident_mb: float


def in_turn(
    servers: Sequence[Server],
    folder: Path,
    scale: Scale,
    *,
    connections: int,
    events: int,
    extra: Mapping[str, str] | None = None,
) -> dict[str, list[Run]]:
    """Run each server `scale.rounds` times, in turn, so that whatever else the machine does meets all of them.

    Returns:
        The runs of each server, by its name.
    """
    runs: dict[str, list[Run]] = {server.name: [] for server in servers}
    for number in range(scale.rounds):
        tell(f"accept: {connections} connections, {events} events a request: round {number + 1} of {scale.rounds}")
        for server in servers:
            runs[server.name].append(one_run(server, folder / "run", scale.seconds, connections, events, extra or {}))
    return runs


def one_run(
    server: Server, folder: Path, seconds: float, connections: int, events: int, extra: Mapping[str, str]
) -> Run:
    """Start, warm up, load, end.

    The process does not outlive its run: the tutorial's app is still storing what it has answered long ago, and would
    take the processor from the next one.
    """

    def put(seconds: float, first: int) -> Met:
        return load(
            started,
            folder,
            seconds=seconds,
            first=first,
            connections=connections,
            events=events,
            path=server.path,
        )

    with server.start(folder, extra) as started:
        warm = put(WARM_SECONDS, 0)
        before = started.cpu_seconds()
        met = put(seconds, warm.accepted + connections)
        used = started.cpu_seconds() - before
        run = Run(met, warm.accepted + met.accepted, used * 1e6 / met.accepted, started.resident_mb())
    shutil.rmtree(folder)
    return run
