"""The one shape of every loop of the worker: step until there is nothing to do, then wait to be woken."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from rosterhook.errors import RosterhookError
from rosterhook.model import Clock
from rosterhook.retry import backoff_ms

log = structlog.get_logger("rosterhook.loop")

#: How long the same failure is not logged again.
QUIET_SECONDS = 60.0

#: Does a bounded piece of work. True: there may be more. False: nothing to do now.
Step = Callable[[], Awaitable[bool]]


class Loop:
    """Runs a step again and again, until told to stop.

    A step that raises is tried again after a growing wait: what it had to do is still a row. It is logged, the same
    failure once a minute, and so is the step that works again.

    Args:
        name: for the log.
        step: the work.
        idle_seconds: how long to wait when there was nothing to do and nobody rings.
        clock: seconds that only grow.
    """

    def __init__(
        self, name: str, step: Step, *, idle_seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self._step = step
        self._idle_seconds = idle_seconds
        self._bell = asyncio.Event()
        self._stopping = False
        self._failures = 0
        self._clock = clock
        self._told = ""
        self._told_at = 0.0

    def ring(self) -> None:
        """Wake the loop: there is work. After a failure it waits all the same."""
        if not self._failures:
            self._bell.set()

    def stop(self) -> None:
        """Let the loop end after the step it is in."""
        self._stopping = True
        self._bell.set()

    async def run(self) -> None:
        """Run until stopped."""
        while not self._stopping:
            self._bell.clear()
            wait_seconds = await self._once()
            if wait_seconds and not self._stopping:
                await self._wait(wait_seconds)

    async def _once(self) -> float:
        try:
            busy = await self._step()
        except RosterhookError as error:
            if self._is_news(str(error)):
                log.error("loop.failed", loop=self.name, error=error.message, hint=error.hint)
        except Exception as error:
            if self._is_news(repr(error)):
                log.exception("loop.failed", loop=self.name)
        else:
            if self._failures:
                log.info("loop.works_again", loop=self.name, failures=self._failures)
            self._failures, self._told = 0, ""
            return 0.0 if busy else self._idle_seconds
        self._failures += 1
        return backoff_ms(self._failures, base_ms=200, cap_ms=30_000) / 1000

    def _is_news(self, failure: str) -> bool:
        """Tell whether a failure is to be logged: it is another one, or a minute has passed."""
        now = self._clock()
        if failure == self._told and now - self._told_at < QUIET_SECONDS:
            return False
        self._told, self._told_at = failure, now
        return True

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return


class ClockWatch:
    """Notices that the wall clock was set back, by a clock that only grows.

    Args:
        clock: milliseconds since 1970.
        monotonic: seconds that only grow.
    """

    #: Less than this is the clock being trimmed.
    STEP_MS = 2000

    def __init__(self, clock: Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._ahead_ms = self._difference()

    def was_set_back(self) -> bool:
        """Tell whether it was, since the last look."""
        before, self._ahead_ms = self._ahead_ms, self._difference()
        return self._ahead_ms < before - self.STEP_MS

    def _difference(self) -> float:
        return self._clock() - self._monotonic() * 1000
