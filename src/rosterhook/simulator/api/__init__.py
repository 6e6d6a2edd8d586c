"""Okta's API: which path does what. How every call is guarded is in `gate.py`."""

from __future__ import annotations

from rosterhook.simulator.api import event_hooks, groups, logs, user_parts, users
from rosterhook.simulator.api.call import Path

PATHS: tuple[Path, ...] = (
    *user_parts.PATHS,
    *users.PATHS,
    *groups.PATHS,
    *logs.PATHS,
    *event_hooks.PATHS,
)
