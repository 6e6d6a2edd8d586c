"""Resident memory of the processes, before and after very many deliveries."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.drive import load
from bench.figures import Aim, Figure
from bench.processes import configure, part
from bench.progress import tell
from bench.scale import Scale

AIM = Aim("<=", 150.0)
WORKER_SECONDS = 600.0
POLL_SECONDS = 0.5


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """The web process while it takes them, then the worker while it takes them in, as far as the time allows."""
    config = configure(folder)
    tell(f"memory: {scale.deliveries:,} deliveries")
    with part("web", config) as web:
        before = web.resident_mb()
        load(web, folder, count=scale.deliveries)
        after = web.resident_mb()
        yield Figure("memory/web/start", "web process at its start", "MB", [before])
        yield Figure("memory/web/end", f"web process after {scale.deliveries:,} deliveries", "MB", [after], AIM)
        tell(f"memory: the worker takes them in, for {WORKER_SECONDS:.0f} s at most")
        with part("worker", config) as worker:
            before = worker.resident_mb()
            taken_in = _taken_in(folder / "data" / "state.db", scale.deliveries, WORKER_SECONDS)
            after = worker.resident_mb()
        yield Figure("memory/worker/start", "worker at its start", "MB", [before])
        yield Figure("memory/worker/end", f"worker after {taken_in:,} of them", "MB", [after], AIM)


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
