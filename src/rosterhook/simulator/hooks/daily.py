"""Okta's bound on events for hooks: 400,000 in 24 hours from the first, of the whole org (okta-facts 1.10)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

DAY_SECONDS = 24 * 3600.0
#: The part after which the System Log warns: 280,000 of 400,000.
WARNING = 0.7


class DailyCut:
    """Counts events that at least one hook is to get. Each counts once, however many hooks get it (inferred).

    Args:
        tell: hears `warning` or `violation`, and the seconds until the count begins anew; each once in 24 hours.
    """

    def __init__(self, limit: int, clock: Callable[[], float], tell: Callable[[str, int], None]) -> None:
        self._limit = limit
        self._clock = clock
        self._tell = tell
        self._end = 0.0
        self._used = 0
        self._cut = 0

    def admits(self) -> bool:
        """Count one event. One too many goes to no hook, now or later."""
        now = self._clock()
        if now >= self._end:
            self._end, self._used, self._cut = now + DAY_SECONDS, 0, 0
        if self._used >= self._limit:
            self._cut += 1
            if self._cut == 1:
                self._tell("violation", int(self._end - now))
            return False
        self._used += 1
        if self._used == int(self._limit * WARNING):
            self._tell("warning", int(self._end - now))
        return True

    def as_json(self) -> dict[str, int]:
        """How far it is; `cut` events went to no hook."""
        return {"limit": self._limit, "used": self._used, "cut": self._cut}

    def dump(self) -> dict[str, Any]:
        """What a restart must not lose, as JSON."""
        return {"end": self._end, "used": self._used, "cut": self._cut}

    def load(self, dumped: dict[str, Any]) -> None:
        """Go on where `dump` was."""
        self._end, self._used, self._cut = dumped["end"], dumped["used"], dumped["cut"]
