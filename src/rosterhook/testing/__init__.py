"""For tests of other programs: a simulated Okta org, the contract of targets, and a target in memory.

The product never imports it. What is here needs of pytest and hypothesis only what it uses: `org` nothing, the fixture
of `simulator` pytest, the contract pytest, pytest-asyncio and hypothesis. To prove a target of your own:

    class TestMyTarget(RefusesOlder, ShowsStatus):  # or TargetContract alone
        async def make_target(self, **policies):
            return MyTarget(...)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rosterhook.testing.contract import RefusesOlder, ShowsStatus, TargetContract
    from rosterhook.testing.memory import MemoryTarget
    from rosterhook.testing.org import OktaOrg, served
    from rosterhook.testing.users import change_of, deletion_of, user_of

__all__ = [
    "MemoryTarget",
    "OktaOrg",
    "RefusesOlder",
    "ShowsStatus",
    "TargetContract",
    "change_of",
    "deletion_of",
    "served",
    "user_of",
]

_HOMES = {
    "contract": ("RefusesOlder", "ShowsStatus", "TargetContract"),
    "memory": ("MemoryTarget",),
    "org": ("OktaOrg", "served"),
    "users": ("change_of", "deletion_of", "user_of"),
}

if not TYPE_CHECKING:

    def __getattr__(name):
        # Late, so that who wants one thing needs no package of another.
        for module, names in _HOMES.items():
            if name in names:
                return getattr(importlib.import_module(f"{__name__}.{module}"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
