"""The seam between rosterhook and the stores it writes to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from rosterhook.model import Change, Outcome, Report

Row = Mapping[str, object]


class Target(Protocol):
    """One store of users. `rosterhook.testing` has the contract that each implementation must pass."""

    @property
    def name(self) -> str:
        """The target's name in the configuration."""

    async def check(self) -> Report:
        """Tell whether the target would accept users. Writes nothing.

        Raises:
            TargetError: it cannot be reached.
        """

    async def deliver(self, changes: Sequence[Change]) -> list[Outcome]:
        """Make the changes true, and answer one outcome for each, in the same order.

        Safe to repeat; a change older than what the target holds changes nothing and counts as delivered.
        One user that cannot be written is that user's outcome and hinders no other. No user occurs twice.

        Raises:
            TargetError: no change can be taken now (down, read-only, table or columns missing).
        """

    def snapshot(self) -> AsyncIterator[Row]:
        """Every row that the target holds, as its users see it: column name to value, oldest first.

        Raises:
            TargetError: it cannot be read.
        """

    async def aclose(self) -> None:
        """Give back every connection. Safe to repeat."""
