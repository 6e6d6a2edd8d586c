"""Rate limits: so many calls per bucket and window, told in the headers of each answer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from rosterhook.simulator.settings import Settings


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a bucket after a call. `reset` is in whole seconds since 1970 (okta-facts 6.3)."""

    limit: int
    remaining: int
    reset: int
    exceeded: bool = False

    def headers(self) -> dict[str, str]:
        """As Okta names them."""
        return {
            "X-Rate-Limit-Limit": str(self.limit),
            "X-Rate-Limit-Remaining": str(self.remaining),
            "X-Rate-Limit-Reset": str(self.reset),
        }


class RateLimits:
    """Counts calls. A window starts with its first call: Okta's are not aligned to the minute (okta-facts 6.3)."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._windows: dict[str, tuple[float, int]] = {}

    def spend(self, bucket: str) -> Allowance:
        """Count one call; the answer says whether it was one too many."""
        limit, now = self._settings.limit_of(bucket), self._clock()
        end, used = self._windows.get(bucket, (0.0, 0))
        if now >= end:
            end, used = now + self._settings.rate_window_seconds, 0
        exceeded = used >= limit
        used += not exceeded
        self._windows[bucket] = (end, used)
        return Allowance(limit, limit - used, math.ceil(end), exceeded)

    def refusal(self, bucket: str) -> Allowance:
        """A limit that is used up although it isn't: the next second it is over, so that a test doesn't wait long."""
        return Allowance(self._settings.limit_of(bucket), 0, math.ceil(self._clock()) + 1, exceeded=True)
