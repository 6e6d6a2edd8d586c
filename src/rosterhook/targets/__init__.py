"""The seam between rosterhook and the stores it writes to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Protocol

from rosterhook.model import Change, Drift, Outcome, Report

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

    def key_of(self, row: Row) -> str | None:
        """Okta's id of the user whose row of a snapshot this is; None for a row without one."""

    async def drift(self, held: Sequence[tuple[Change, Row | None]]) -> list[Drift | None]:
        """Tell where rows are not what the changes demand; None where they are, one for each pair, in their order.

        Only what a delivery of the change would mend counts, and only as exactly as the target can hold it.

        Args:
            held: each change with its user's row of the last snapshot, or None where that has none.

        Raises:
            TargetError: it cannot be read.
        """

    async def aclose(self) -> None:
        """Give back every connection. Safe to repeat."""
