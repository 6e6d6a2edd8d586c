"""The parts of the benchmark, in the order in which they run."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

from bench.figures import Figure
from bench.scale import Scale

#: Each is a module of this name with a function `measure`. To name them needs none of what they need.
PARTS = ("accept", "memory", "sustained", "calls", "everybody", "start")


def measured(part: str, folder: Path, scale: Scale) -> list[Figure]:
    """The figures of a part.

    Args:
        folder: of its own; it is left behind.

    Raises:
        BenchError: something could not be measured.
    """
    figures: Iterator[Figure] = import_module(f"bench.{part}").measure(folder, scale)
    return list(figures)
