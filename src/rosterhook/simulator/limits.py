"""Rate limits: so many calls per bucket and window, to the org and to each caller, told in the headers of each answer.

One API token or app may use a share of each bucket, by default half; the headers tell its own ceiling (okta-facts 6.2).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from rosterhook.simulator.settings import Settings

#: From this part of a limit on the System Log has a warning (recorded: `warningPercent` 60).
WARNING_PERCENT = 60


class Crossing(NamedTuple):
    """A limit was neared, or would have been passed, for the first time in its window.

    Attributes:
        what: "warning" or "violation".
        scope: "ORG" or "PRINCIPAL": whose limit it is.
        limit: calls per window.
        seconds_to_reset: how long the window goes on.
    """

    what: str
    bucket: str
    scope: str
    limit: int
    seconds_to_reset: int


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left of a bucket after a call. `reset` is in whole seconds since 1970 (okta-facts 6.3).

    Attributes:
        crossings: what the System Log is to tell of.
    """

    limit: int
    remaining: int
    reset: int
    exceeded: bool = False
    crossings: tuple[Crossing, ...] = ()

    def headers(self) -> dict[str, str]:
        """As Okta names them."""
        return {
            "X-Rate-Limit-Limit": str(self.limit),
            "X-Rate-Limit-Remaining": str(self.remaining),
            "X-Rate-Limit-Reset": str(self.reset),
        }


@dataclass(slots=True)
class _Window:
    """Calls of one bucket, by all or by one caller. It starts with its first call, not with a minute."""

    bucket: str
    scope: str
    start: float = -math.inf
    end: float = -math.inf
    used: int = 0
    told: tuple[str, ...] = ()

    def roll(self, now: float, seconds: float) -> None:
        # A clock that a fault has put back starts a new one too: the old would go on for as long as it was ahead.
        if not self.start <= now < self.end:
            self.start, self.end, self.used, self.told = now, now + seconds, 0, ()

    def crossing(self, what: str, limit: int, now: float) -> tuple[Crossing, ...]:
        """What is to be told, once a window."""
        if what in self.told:
            return ()
        self.told = (*self.told, what)
        return (Crossing(what, self.bucket, self.scope, limit, math.ceil(self.end - now)),)


class RateLimits:
    """Counts calls; windows are not aligned to the minute (okta-facts 6.3)."""

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._windows: dict[tuple[str, str | None], _Window] = {}

    def spend(self, bucket: str, principal: str | None = None) -> Allowance:
        """Count one call; the answer says whether it was one too many.

        Args:
            principal: who calls, by id; None counts for the org alone, as for a caller who isn't known.
        """
        now = self._clock()
        ours = [(self._window(bucket, None, now), self._ceiling(bucket, None))]
        if principal is not None:
            ours.append((self._window(bucket, principal, now), self._ceiling(bucket, principal)))
        full = [(window, limit) for window, limit in ours if window.used >= limit]
        # What is refused is not counted, neither here nor there.
        for window, _ in [] if full else ours:
            window.used += 1
        what, where = ("violation", full) if full else ("warning", _neared(ours))
        crossings = tuple(each for window, limit in where for each in window.crossing(what, limit, now))
        remaining = 0 if full else min(limit - window.used for window, limit in ours)
        reset = max(window.end for window, _ in full or ours[-1:])
        return Allowance(ours[-1][1], remaining, math.ceil(reset), bool(full), crossings)

    def refusal(self, bucket: str, principal: str | None = None) -> Allowance:
        """A limit that is used up although it isn't: the next second it is over, so that a test doesn't wait long."""
        return Allowance(self._ceiling(bucket, principal), 0, math.ceil(self._clock()) + 1, exceeded=True)

    def crowded(self) -> Allowance:
        """Too many calls at a time: both numbers are 0, and the reset is only a hint (okta-facts 6.4)."""
        return Allowance(0, 0, math.ceil(self._clock()) + 1, exceeded=True)

    def _ceiling(self, bucket: str, principal: str | None) -> int:
        return self._settings.limit_of(bucket, 1.0 if principal is None else self._settings.principal_share)

    def _window(self, bucket: str, principal: str | None, now: float) -> _Window:
        scope = "ORG" if principal is None else "PRINCIPAL"
        window = self._windows.setdefault((bucket, principal), _Window(bucket, scope))
        window.roll(now, self._settings.rate_window_seconds)
        return window


def _neared(windows: list[tuple[_Window, int]]) -> list[tuple[_Window, int]]:
    return [(window, limit) for window, limit in windows if window.used * 100 >= limit * WARNING_PERCENT]
