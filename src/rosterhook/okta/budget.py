"""Lets calls through as Okta's rate limits allow."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Mapping

from rosterhook.okta.rates import read_rates
from rosterhook.okta.window import Window

#: GET /api/v1/users (list, search), GET /api/v1/users/{id} and GET /api/v1/logs have limits of their own. (Okta's rate
#: limit table.)
BUCKETS = ("users", "user", "logs", "other")
#: Calls at a time. Okta allows 35 in a free org and 75 elsewhere, to all clients of the org together.
PARALLEL = 10
#: Good answers until one more call may run beside the others, after Okta complained about too many.
RECOVERY = 20
#: Seconds without a new call after that complaint; its `Reset` is only a hint.
PAUSE = 1.0
#: Part of what may be spent in a window that `spare` keeps back.
RESERVE = 0.1
#: Part of it that is spent freely; what is left is scarce.
PLENTY = 0.25
# Adding a very short time to a clock may not move it: waiting for it would be a busy loop.
_SHORTEST_SLEEP = 0.01


class Budget:
    """The rate limits of one org, for one event loop.

    Every `acquire` is followed by one `release`, whatever came of the call.

    Args:
        share: part of each limit that may be spent in one window, above 0 and at most 1.
        clock: seconds that only grow. It measures lengths of time, and is never compared with Okta's clock.
        sleep: waits for a number of seconds, which is always above 0.
        parallel: the most calls at a time, over all buckets.
    """

    def __init__(
        self,
        share: float,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        *,
        parallel: int = PARALLEL,
    ) -> None:
        self._share = share
        self._clock = clock
        self._sleep = sleep
        self._ceiling = self._parallel = parallel
        self._good = 0
        self._suspects = 0
        self._paused_until = 0.0
        self._released = asyncio.Event()
        self._windows = {name: Window(share) for name in BUCKETS}
        self._turns: dict[str, asyncio.Lock] = {}

    @property
    def parallel(self) -> int:
        """Calls that may run at a time now."""
        return self._parallel

    def free(self, bucket: str) -> int:
        """How many calls may begin without waiting for time to pass.

        Those beyond the parallel ceiling wait for one answer, not for a window, and so are not taken off.
        """
        window, now = self._window(bucket), self._clock()
        window.roll(now)
        return 0 if max(self._paused_until, window.blocked_until) > now else window.free()

    def spare(self, bucket: str) -> int:
        """As `free`, but a tenth of what may be spent is kept back: for work that can wait, beside work that cannot."""
        limit = self._window(bucket).limit or 0
        return self.free(bucket) - int(limit * self._share * RESERVE)

    def is_scarce(self, bucket: str) -> bool:
        """Tell whether a good part of what may be spent in this window is gone."""
        allowed = (self._window(bucket).limit or 0) * self._share
        return self.free(bucket) < allowed * (1 - PLENTY)

    async def acquire(self, bucket: str) -> None:
        """Wait until one call is allowed, in the order of asking, and take it."""
        async with self._turns.setdefault(bucket, asyncio.Lock()):
            while not self._take(bucket):
                await self._wait(bucket)

    def release(self, bucket: str, status: int, headers: Mapping[str, str]) -> None:
        """Give the call back, and learn from its answer.

        Args:
            bucket: as given to `acquire`.
            status: the HTTP status; 0 when there was no answer.
            headers: of the answer; empty when there was none.
        """
        window, now, rates = self._window(bucket), self._clock(), read_rates(headers)
        window.roll(now)
        window.in_flight -= 1
        window.learn(rates, now)
        if status == 429 and rates.limit == 0:
            self._slow_down(now)
        elif status == 429:
            window.block(rates, now)
        elif 0 < status < 500:
            self._speed_up()
        self._suspects = max(0, self._suspects - 1)
        self._released.set()

    def as_dict(self) -> dict[str, dict[str, int | None]]:
        """What is known about each bucket, for `status`; None where Okta has told nothing yet."""
        return {name: self._describe(name) for name in self._windows}

    def _describe(self, bucket: str) -> dict[str, int | None]:
        free, window = self.free(bucket), self._window(bucket)
        known = window.limit is not None
        return {
            "limit": window.limit,
            "remaining": window.limit if window.remaining is None else window.remaining,
            "free": free,
            "reset_in_seconds": math.ceil(window.ends - self._clock()) if known else None,
        }

    def _window(self, bucket: str) -> Window:
        return self._windows.setdefault(bucket, Window(self._share))

    def _running(self) -> int:
        return sum(window.in_flight for window in self._windows.values())

    def _take(self, bucket: str) -> bool:
        if self.free(bucket) == 0 or self._running() >= self._parallel:
            return False
        self._window(bucket).in_flight += 1
        return True

    async def _wait(self, bucket: str) -> None:
        now = self._clock()
        until = max(self._paused_until, self._window(bucket).opens_at(now))
        if until > now:
            await self._sleep(max(until - now, _SHORTEST_SLEEP))
        else:
            self._released.clear()
            await self._released.wait()

    def _slow_down(self, now: float) -> None:
        self._paused_until = now + PAUSE
        self._good = 0
        if not self._suspects:
            # Calls that already ran beside this one complain of the same crowd: that is one complaint.
            self._suspects = self._running() + 1
            self._parallel = max(1, self._parallel // 2)

    def _speed_up(self) -> None:
        self._good += 1
        if self._good >= RECOVERY and self._parallel < self._ceiling:
            self._good = 0
            self._parallel += 1
