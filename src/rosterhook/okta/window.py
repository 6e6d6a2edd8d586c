"""One rate limit of Okta's, and what was spent of it.

A window has Okta's name, the value of `X-Rate-Limit-Reset`: by it an answer tells in which window it was counted.
So own calls are counted exactly, whatever the local clock says and however late an answer comes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from rosterhook.okta.rates import Rates

#: Calls at a time before Okta has told its limit; a tenth of the smallest one seen (50 a minute).
UNLEARNT = 5
#: Seconds that a window lasts when Okta does not tell its end.
WINDOW = 60.0
#: Seconds to wait after a 429 that does not tell for how long.
UNTOLD_WAIT = 5.0
#: Windows are a minute long: a longer wait would come of a wrong header.
LONGEST_WAIT = 90.0


@dataclass(slots=True)
class Window:
    """The window that is open now. All times are in seconds of one clock that only grows.

    Attributes:
        share: part of the limit that may be spent.
        limit: calls in a window, as last told; None before Okta has told it.
        remaining: the least that Okta said is left in this window; None when it said nothing yet.
        name: Okta's reset stamp of this window; None until an answer has named it.
        ends: when it is over for certain.
        blocked_until: no call before that, because Okta said 429.
        spent: own calls that ended in this window.
        lost: those of them without an answer that tells where they were counted.
        in_flight: calls that have not ended.
    """

    share: float
    limit: int | None = None
    remaining: int | None = None
    name: int | None = None
    former_name: int = 0
    ends: float = 0.0
    blocked_until: float = 0.0
    spent: int = 0
    lost: int = 0
    in_flight: int = 0

    def roll(self, now: float) -> None:
        """Begin a window that has no name yet, once this one is over."""
        if now >= self.ends:
            self._begin(None, now + WINDOW)

    def learn(self, rates: Rates, now: float) -> None:
        """Take in one answer, and count its call in the window that it names."""
        if not rates.limit:
            self.lose()
            return
        self.limit = rates.limit
        if self._is_late(rates):
            return
        self._place(rates, now)
        self.spent += 1
        if rates.remaining is not None:
            self.remaining = min(rates.remaining, rates.limit if self.remaining is None else self.remaining)

    def lose(self) -> None:
        """Count a call that ended without telling in which window."""
        self.spent += 1
        self.lost += 1

    def block(self, rates: Rates, now: float) -> None:
        """Close for as long as a 429 says: Reset - Date + 1 s, as Okta's own SDK waits."""
        left = rates.seconds_left
        self.blocked_until = now + (UNTOLD_WAIT if left is None else _bounded(left))

    def free(self) -> int:
        """Calls that may begin now."""
        return max(0, self._left() - self.in_flight)

    def opens_at(self, now: float) -> float:
        """Until when only time can help. Not after `now`: it is a call in flight that is in the way."""
        return max(self.blocked_until, self.ends if self._left() <= 0 else now)

    def _left(self) -> int:
        if self.limit is None:
            return UNLEARNT
        # At least one call: a share of a small limit must not be a deadlock.
        by_share = max(1, math.floor(self.limit * self.share + 1e-9)) - self.spent
        return by_share if self.remaining is None else min(by_share, self.remaining)

    def _is_late(self, rates: Rates) -> bool:
        return rates.reset is not None and self.name is not None and rates.reset < self.name - 1

    def _place(self, rates: Rates, now: float) -> None:
        if rates.reset is None:
            return
        left = rates.seconds_left
        ends = now + (WINDOW if left is None else _bounded(left))
        if self.name is None:
            if rates.reset > self.former_name:
                self.name, self.ends = rates.reset, ends
        elif rates.opens_after(self.name):
            self._begin(rates.reset, ends)
        else:
            # Each answer overestimates by its own delay: the least is the nearest.
            self.ends = min(self.ends, ends)

    def _begin(self, name: int | None, ends: float) -> None:
        self.former_name = self.name or self.former_name
        self.name, self.ends = name, ends
        # A call without an answer may have been counted in either window: it counts in both.
        self.spent, self.lost = self.lost, 0
        self.remaining = None


def _bounded(seconds_left: int) -> float:
    return float(min(max(seconds_left + 1, 1), LONGEST_WAIT))
