"""From a target's configuration to the target."""

from __future__ import annotations

from rosterhook.config import SqlTarget
from rosterhook.targets import Target
from rosterhook.targets.sql import SqlTable
from rosterhook.targets.tutorial import TutorialTable


def build_target(config: SqlTarget) -> Target:
    """Make the target that the configuration describes; it connects when it is first used.

    Raises:
        ConfigError: the configuration cannot work, whatever the target answers.
    """
    match config.type:
        case "sql":
            return TutorialTable(config) if config.preset == "tutorial" else SqlTable(config)
