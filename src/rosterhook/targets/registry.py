"""From a target's configuration to the target."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from rosterhook.config import SqlTarget
from rosterhook.targets import Target
from rosterhook.targets.sql import SqlTable
from rosterhook.targets.tutorial import TutorialTable


@asynccontextmanager
async def opened_targets(configs: Sequence[SqlTarget]) -> AsyncIterator[list[Target]]:
    """The targets in the order of the configuration, closed at the end.

    Raises:
        ConfigError: one of them cannot work, whatever it answers.
    """
    async with AsyncExitStack() as stack:
        targets = []
        for config in configs:
            target = build_target(config)
            stack.push_async_callback(target.aclose)
            targets.append(target)
        yield targets


def build_target(config: SqlTarget) -> Target:
    """Make the target that the configuration describes; it connects when it is first used.

    Raises:
        ConfigError: the configuration cannot work, whatever the target answers.
    """
    match config.type:
        case "sql":
            return TutorialTable(config) if config.preset == "tutorial" else SqlTable(config)
