"""The disk of the benchmark: what one fsync takes, without which no other number can be judged."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

from bench.findings import Finding
from bench.ranks import spread

FSYNCS = 200
PAGE = b"x" * 8192


def disk(folder: Path) -> Iterator[Finding]:
    """Append a page and fsync, again and again."""
    folder.mkdir(parents=True, exist_ok=True)
    waits = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            file.write(PAGE)
            started = time.perf_counter()
            os.fsync(file.fileno())
            waits.append((time.perf_counter() - started) * 1000)
    yield Finding(f"disk: fsync of 8 KiB, {FSYNCS} times", spread(sorted(waits), "ms"))
