"""A target that is made when it is first read: its libraries take longer to load than all the rest of the process."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator

from rosterhook.config import SqlTarget
from rosterhook.targets import Row, Target


class LateTarget:
    """What the API shows of a target.

    Attributes:
        name: the target's name in the configuration.
    """

    def __init__(self, config: SqlTarget) -> None:
        self.name = config.name
        self._config = config
        self._target: Target | None = None
        self._making = asyncio.Lock()

    async def snapshot(self) -> AsyncIterator[Row]:
        """Every row that the target holds; see `Target.snapshot`.

        Raises:
            ConfigError: the configuration cannot work, whatever the target answers.
            TargetError: it cannot be read.
        """
        async with self._making:
            if self._target is None:
                # Not on the loop, which takes hooks meanwhile.
                self._target = await asyncio.to_thread(_made, self._config)
        async for row in self._target.snapshot():
            yield row

    async def aclose(self) -> None:
        """Give back every connection. Safe to repeat."""
        if self._target is not None:
            await self._target.aclose()


def _made(config: SqlTarget) -> Target:
    from rosterhook.targets.registry import build_target

    target = build_target(config)
    # What was loaded stays for good, as at the process's start.
    gc.collect()
    gc.freeze()
    return target
