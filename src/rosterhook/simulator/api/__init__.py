"""Okta's API: which path does what. How every call is guarded is in `gate.py`."""

from __future__ import annotations

from rosterhook.simulator.api import users
from rosterhook.simulator.api.call import Path

PATHS: tuple[Path, ...] = users.PATHS
