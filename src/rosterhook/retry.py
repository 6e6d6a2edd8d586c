"""How long to wait before the next try: pure arithmetic, shared by every loop."""

from __future__ import annotations

import random


def backoff_ms(attempt: int, *, base_ms: int = 1000, cap_ms: int = 60_000, jitter: float = 0.25) -> int:
    """Milliseconds to wait after the failed try number `attempt` (1, 2, ...).

    Doubles from `base_ms` up to `cap_ms`, and spreads by `jitter` to both sides, so that many who failed together
    do not come back together.

    >>> [backoff_ms(n, jitter=0) for n in (1, 2, 3, 4, 100)]
    [1000, 2000, 4000, 8000, 60000]
    >>> 750 <= backoff_ms(1) <= 1250
    True
    """
    doubled = base_ms * 2 ** min(max(attempt, 1) - 1, 30)
    spread = 1 + jitter * (2 * random.random() - 1)  # noqa: S311 - spreads load, guards no secret
    return int(min(doubled, cap_ms) * spread)
