"""For tests of targets: the contract that each must pass, and a target in memory.

Needs pytest, pytest-asyncio and hypothesis; the product never imports it. To prove a target of your own:

    class TestMyTarget(RefusesOlder, ShowsStatus):  # or TargetContract alone
        async def make_target(self, **policies):
            return MyTarget(...)
"""

from rosterhook.testing.contract import RefusesOlder, ShowsStatus, TargetContract
from rosterhook.testing.memory import MemoryTarget
from rosterhook.testing.users import change_of, deletion_of, user_of

__all__ = ["MemoryTarget", "RefusesOlder", "ShowsStatus", "TargetContract", "change_of", "deletion_of", "user_of"]
