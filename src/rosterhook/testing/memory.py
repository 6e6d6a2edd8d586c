"""A target in memory."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Mapping, Sequence

from rosterhook.config import DEFAULT_COLUMNS, Policy
from rosterhook.mapping import resolve
from rosterhook.model import DELETED, DEPROVISIONED, SUSPENDED, Change, Delivered, Outcome, Park, Report
from rosterhook.targets import Row


class MemoryTarget:
    """A target that holds its rows in a dictionary; it takes what a SQL table takes.

    Args:
        columns: column to attribute of the Okta user.
        deactivated, suspended, deleted: what happens to the row of such a user.

    Attributes:
        rows: the rows by Okta's id.
    """

    def __init__(
        self,
        name: str = "memory",
        *,
        columns: Mapping[str, str] = DEFAULT_COLUMNS,
        deactivated: Policy = "mark",
        suspended: Policy = "mark",
        deleted: Policy = "mark",
    ) -> None:
        self._name = name
        self._columns = columns
        self._policies: dict[object, Policy] = {DEPROVISIONED: deactivated, SUSPENDED: suspended}
        self._deleted = deleted
        self._orders: dict[str, int] = {}
        self.rows: dict[str, dict[str, object]] = {}

    @property
    def name(self) -> str:
        """The target's name."""
        return self._name

    async def check(self) -> Report:
        """Nothing can be wrong with it."""
        return Report(facts=["holds its rows in memory"])

    async def deliver(self, changes: Sequence[Change]) -> list[Outcome]:
        """Make the changes true; see `Target.deliver`."""
        return [self._deliver(change) for change in changes]

    async def snapshot(self) -> AsyncIterator[Row]:
        """Every row, by Okta's id."""
        for key in sorted(self.rows):
            yield copy.deepcopy(self.rows[key])

    async def aclose(self) -> None:
        """There is nothing to give back; the rows stay."""

    def _deliver(self, change: Change) -> Outcome:
        key = change.user_id
        row = {column: copy.deepcopy(resolve(change.user, path)) for column, path in self._columns.items()}
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return Park("a value has half of a surrogate pair, which is no character")
        policy = self._deleted if change.deleted else self._policies.get(row.get("status"), "mark")
        if policy == "keep" or change.order < self._orders.get(key, 0):
            return Delivered(key)
        if policy == "delete":
            self.rows.pop(key, None)
            self._orders.pop(key, None)
        elif not change.deleted:
            self.rows[key] = row
            self._orders[key] = change.order
        elif key in self.rows:
            self.rows[key] |= {c: DELETED for c, path in self._columns.items() if path == "status"}
            self._orders[key] = change.order
        return Delivered(key)
