"""The disk of the benchmark: what one fsync takes."""

from __future__ import annotations

import os
import time
from pathlib import Path
from statistics import median

FSYNCS = 200
PAGE = b"x" * 8192


def fsync_ms(folder: Path) -> float:
    """Append a page and fsync, again and again; the median."""
    folder.mkdir(parents=True, exist_ok=True)
    waits = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(FSYNCS):
            file.write(PAGE)
            started = time.perf_counter()
            os.fsync(file.fileno())
            waits.append((time.perf_counter() - started) * 1000)
    (folder / "fsync").unlink()
    return median(waits)
