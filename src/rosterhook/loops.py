"""The one shape of every loop of the worker: step until there is nothing to do, then wait to be woken."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from rosterhook.errors import RosterhookError
from rosterhook.retry import backoff_ms

log = structlog.get_logger("rosterhook.loop")

#: Does a bounded piece of work. True: there may be more. False: nothing to do now.
Step = Callable[[], Awaitable[bool]]


class Loop:
    """Runs a step again and again, until told to stop.

    A step that raises is logged and tried again after a growing wait: what it had to do is still a row.

    Args:
        name: for the log.
        step: the work.
        idle_seconds: how long to wait when there was nothing to do and nobody rings.
    """

    def __init__(self, name: str, step: Step, *, idle_seconds: float) -> None:
        self.name = name
        self._step = step
        self._idle_seconds = idle_seconds
        self._bell = asyncio.Event()
        self._stopping = False
        self._failures = 0

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
            log.error("loop.failed", loop=self.name, error=error.message, hint=error.hint)
        except Exception:
            log.exception("loop.failed", loop=self.name)
        else:
            self._failures = 0
            return 0.0 if busy else self._idle_seconds
        self._failures += 1
        return backoff_ms(self._failures, base_ms=200, cap_ms=30_000) / 1000

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            return
