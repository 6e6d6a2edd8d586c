"""Resident memory of the processes, before and after very many deliveries."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from bench.accept import load
from bench.findings import Finding
from bench.processes import configure, part
from bench.progress import tell

AIM_MB = 150.0
POLL_SECONDS = 0.5


def memory(folder: Path, *, deliveries: int, worker_seconds: float) -> Iterator[Finding]:
    """The web process while it takes them, then the worker while it takes them in, as far as the time allows."""
    config = configure(folder)
    tell(f"memory: {deliveries:,} deliveries")
    with part("web", config) as web:
        before = web.resident_mb()
        met = load(web, folder, count=deliveries)
        after = web.resident_mb()
        yield Finding(
            f"memory: web process after {deliveries:,} deliveries",
            f"{before:.0f} MB at the start, {after:.0f} MB after ({met.per_second:,.0f} /s)",
            f"< {AIM_MB:.0f} MB",
            after < AIM_MB,
        )
        tell(f"memory: the worker takes them in, for {worker_seconds:.0f} s at most")
        with part("worker", config) as worker:
            before = worker.resident_mb()
            taken_in = _taken_in(folder / "data" / "state.db", deliveries, worker_seconds)
            after = worker.resident_mb()
        yield Finding(
            f"memory: worker after {taken_in:,} of them (no token: users from events)",
            f"{before:.0f} MB at the start, {after:.0f} MB after; web process {web.resident_mb():.0f} MB",
            f"< {AIM_MB:.0f} MB",
            after < AIM_MB,
        )


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
