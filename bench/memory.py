"""Resident memory of the processes, before and after very many deliveries."""

from __future__ import annotations

import shutil
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from bench.drive import load
from bench.figures import Aim, Figure
from bench.processes import configure, part
from bench.progress import tell
from bench.scale import Scale

AIM = Aim("<=", 150.0)
WORKER_SECONDS = 600.0
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        web, worker: MB at the start and at the end.
        taken_in: deliveries that the worker read in its time.
    """

    web: tuple[float, float]
    worker: tuple[float, float]
    taken_in: int


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """The web process while it takes them, then the worker while it takes them in, as far as the time allows."""
    runs = []
    for number in range(scale.rounds):
        tell(f"memory: {scale.deliveries:,} deliveries, round {number + 1} of {scale.rounds}")
        runs.append(_run(folder / str(number), scale.deliveries))
    taken_in = min(run.taken_in for run in runs)
    after, of_them = f"after {scale.deliveries:,} deliveries", f"after {taken_in:,} of them"
    yield Figure("memory/web/start", "web process at its start", "MB", [run.web[0] for run in runs])
    yield Figure("memory/web/end", f"web process {after}", "MB", [run.web[1] for run in runs], AIM)
    yield Figure("memory/worker/start", "worker at its start", "MB", [run.worker[0] for run in runs])
    yield Figure("memory/worker/end", f"worker {of_them}", "MB", [run.worker[1] for run in runs], AIM)


def _run(folder: Path, deliveries: int) -> Run:
    config = configure(folder)
    with part("web", config) as web:
        web_start = web.resident_mb()
        load(web, folder, count=deliveries)
        web_end = web.resident_mb()
        with part("worker", config) as worker:
            worker_start = worker.resident_mb()
            taken_in = _taken_in(folder / "data" / "state.db", deliveries, WORKER_SECONDS)
            worker_end = worker.resident_mb()
    shutil.rmtree(folder)
    return Run((web_start, web_end), (worker_start, worker_end), taken_in)


def _taken_in(state: Path, deliveries: int, seconds: float) -> int:
    """Wait until the worker has read all deliveries or the time is over; return how many it has read."""
    end = time.monotonic() + seconds
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as db:
        while True:
            row = db.execute("""SELECT seq FROM "offset" WHERE reader = 'intake'""").fetchone()
            seq = int(row[0]) if row else 0
            if seq >= deliveries or time.monotonic() >= end:
                return seq
            time.sleep(POLL_SECONDS)
