"""A target in memory."""

from __future__ import annotations

import copy
import json
from collections.abc import AsyncIterator, Mapping, Sequence

from rosterhook.config import DEFAULT_COLUMNS, Policy
from rosterhook.mapping import resolve
from rosterhook.model import DELETED, DEPROVISIONED, SUSPENDED, Change, Delivered, Drift, Outcome, Park, Report
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

    def key_of(self, row: Row) -> str | None:
        """Okta's id in a row of the snapshot."""
        key = next(row[column] for column, path in self._columns.items() if path == "id")
        return None if key is None else str(key)

    async def drift(self, held: Sequence[tuple[Change, Row | None]]) -> list[Drift | None]:
        """Compare rows of the snapshot; see `Target.drift`."""
        return [self._drift(change, row) for change, row in held]

    async def aclose(self) -> None:
        """There is nothing to give back; the rows stay."""

    def _policy(self, change: Change) -> Policy:
        return self._deleted if change.deleted else self._policies.get(resolve(change.user, "status"), "mark")

    def _row(self, change: Change) -> dict[str, object]:
        return {column: copy.deepcopy(resolve(change.user, path)) for column, path in self._columns.items()}

    def _mark(self) -> dict[str, object]:
        return {column: DELETED for column, path in self._columns.items() if path == "status"}

    def _drift(self, change: Change, row: Row | None) -> Drift | None:
        policy = self._policy(change)
        if policy == "keep" or (row is None and (policy == "delete" or change.deleted)):
            return None
        wanted = self._mark() if change.deleted else self._row(change)
        if not _is_text(wanted):
            return None
        if row is None:
            return Drift("missing", {column: (None, value) for column, value in wanted.items()})
        if policy == "delete":
            return Drift("surplus", {column: (value, None) for column, value in row.items()})
        fields = {column: (row[column], value) for column, value in wanted.items() if row[column] != value}
        return Drift("changed", fields) if fields else None

    def _deliver(self, change: Change) -> Outcome:
        key = change.user_id
        row = self._row(change)
        if not _is_text(row):
            return Park("a value has half of a surrogate pair, which is no character")
        policy = self._policy(change)
        if policy == "keep" or change.order < self._orders.get(key, 0):
            return Delivered(key)
        if policy == "delete":
            self.rows.pop(key, None)
            self._orders.pop(key, None)
        elif not change.deleted:
            self.rows[key] = row
            self._orders[key] = change.order
        elif key in self.rows:
            self.rows[key] |= self._mark()
            self._orders[key] = change.order
        return Delivered(key)


def _is_text(row: Mapping[str, object]) -> bool:
    """Tell whether a store of text could hold the row."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
