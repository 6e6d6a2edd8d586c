"""From POST to row, everything on: how many users a second, and how long each takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench.figures import Figure
from bench.scale import Scale


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Nothing yet."""
    yield from ()
