"""Looks at the target again and again while a step goes on, and remembers who was seen deleted and is not."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rosterhook.drill.verdict import Row, Verdict, judge
from rosterhook.errors import TargetError
from rosterhook.simulator.org import Org
from rosterhook.targets import Target

#: Between two looks; a large target is looked at for a fifth of the time at most.
LOOK_SECONDS = 1.0
SHARE = 5


class Watch:
    """The oracle's eyes.

    Attributes:
        rows: of the last look.
        verdict: of the last look; None before the first.
        wrongly_deleted: who was, in any look since `forget`, with their real status.
        pause: seconds until the next look.
    """

    def __init__(self, target: Target, org: Org) -> None:
        self.rows: dict[str, Row] = {}
        self.verdict: Verdict | None = None
        self.wrongly_deleted: dict[str, str] = {}
        self.pause = LOOK_SECONDS
        self._target = target
        self._org = org
        self._seen: set[str] = set()

    def forget(self) -> None:
        """A new step begins: what was seen in the last one is told. Whose rows were there is kept."""
        self.verdict = None
        self.wrongly_deleted = {}

    async def look(self) -> Verdict:
        """Read the whole target, and judge it.

        Raises:
            TargetError: it cannot be read now.
        """
        began = time.monotonic()
        rows: dict[str, Row] = {str(row["id"]): row async for row in self._target.snapshot()}
        # From here on nobody else runs: the org is as it was when the last row was read.
        self.verdict = verdict = judge(rows, self._org, set(self._org.deleted), self._seen)
        self.rows = rows
        self._seen.update(rows)
        self.wrongly_deleted.update(verdict.wrongly_deleted)
        self.pause = max(LOOK_SECONDS, (time.monotonic() - began) * SHARE)
        return verdict

    async def try_look(self) -> Verdict | None:
        """As `look`; None while the target cannot be read."""
        with contextlib.suppress(TargetError):
            return await self.look()
        return None

    @asynccontextmanager
    async def going_on(self) -> AsyncIterator[None]:
        """Look now and then, for as long as this is open; a look that has begun is finished."""
        over = asyncio.Event()
        looking = asyncio.create_task(self._go_on(over))
        try:
            yield
        finally:
            over.set()
            await looking

    async def _go_on(self, over: asyncio.Event) -> None:
        while not over.is_set():
            await self.try_look()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.pause):
                    await over.wait()
