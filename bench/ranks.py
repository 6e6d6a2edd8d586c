"""Numbers of a benchmark: ranks, and how they are written."""

from __future__ import annotations

from collections.abc import Sequence


def rank(ordered: Sequence[float], percent: int) -> float:
    """The nearest rank of values in ascending order; 0 when there are none.

    >>> rank([1.0, 2.0, 3.0], 50)
    2.0
    """
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)] if ordered else 0.0


def spread(ordered: Sequence[float], unit: str) -> str:
    """Median, 99th percentile and the worst.

    >>> spread([1.0, 2.0, 3.0], "ms")
    'p50 2.0 ms, p99 3.0 ms, max 3.0 ms'
    """
    p50, p99, worst = (rank(ordered, percent) for percent in (50, 99, 100))
    digits = 1 if unit == "ms" else 3
    return f"p50 {p50:.{digits}f} {unit}, p99 {p99:.{digits}f} {unit}, max {worst:.{digits}f} {unit}"
