"""What the benchmark is at, on standard error: the table is for standard output."""

from __future__ import annotations

import sys


def tell(text: str) -> None:
    """One line."""
    print(f"... {text}", file=sys.stderr, flush=True)
