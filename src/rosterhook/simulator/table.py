"""Users or groups by id, in order of creation, as they are now and as `search` sees them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from rosterhook.simulator.expressions import Query
from rosterhook.simulator.index import SearchIndex

Row = dict[str, Any]


class Table:
    """A stored row is never changed in place: a change puts a new one there, and the index keeps the old for a while.

    Every row has a place, which nobody has after it: so a page goes on where the last one ended, whatever was deleted
    meanwhile.
    """

    def __init__(self, lag_seconds: float, clock: Callable[[], float]) -> None:
        self._rows: dict[str, Row] = {}
        self._order: list[str] = []
        self._place: dict[str, int] = {}
        self._index = SearchIndex(lag_seconds, clock)

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._rows.values())

    def get(self, row_id: str) -> Row | None:
        """The row as it is now, or None."""
        return self._rows.get(row_id)

    def put(self, row: Row, *, at_once: bool = False) -> None:
        """Add a row, or put it in place of the one with its id; `at_once` also for `search`."""
        if row["id"] not in self._place:
            self._place[row["id"]] = len(self._order)
            self._order.append(row["id"])
        self._rows[row["id"]] = row
        self._index.put(row["id"], row, at_once=at_once)

    def remove(self, row_id: str) -> None:
        """The row is gone; `search` notices it later."""
        del self._rows[row_id]
        self._index.put(row_id, None)

    def any(self, rng: Random) -> Row | None:
        """A random row; None only when there is none."""
        if not self._rows:
            return None
        while True:
            row = self._rows.get(rng.choice(self._order))
            if row is not None:
                return row
            if len(self._order) > 2 * len(self._rows):
                return self._rows[rng.choice(list(self._rows))]

    def page(self, query: Query, after: int, limit: int, *, indexed: bool) -> tuple[list[Row], int | None]:
        """Rows behind place `after`, and the place of the last if there are more."""
        found: list[Row] = []
        for row in self._matching(query, after, indexed=indexed):
            if len(found) == limit:
                return found, self._place[found[-1]["id"]]
            found.append(row)
        return found, None

    def sorted_page(
        self, query: Query, key: Callable[[Row], Any], after: int, limit: int, *, descending: bool
    ) -> tuple[list[Row], int | None]:
        """Rows of the index in another order: here a place is how many come before, plus those on this page."""
        rows = sorted(self._matching(query, -1, indexed=True), key=key, reverse=descending)
        end = after + 1 + limit
        return rows[after + 1 : end], end - 1 if end < len(rows) else None

    def dump(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {"rows": list(self._rows.values()), "order": list(self._order)}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave, in place of what is there; `search` sees all of it."""
        for row_id in list(self._rows):
            self._index.put(row_id, None, at_once=True)
        self._rows.clear()
        self._order = list(state["order"])
        self._place = {row_id: place for place, row_id in enumerate(self._order)}
        for row in state["rows"]:
            self.put(row, at_once=True)

    def _matching(self, query: Query, after: int, *, indexed: bool) -> Iterator[Row]:
        look_up = self._index.get if indexed else self._rows.get
        for row_id in self._candidates(query, after):
            row = look_up(row_id)
            if row is not None and query.matches(row):
                yield row

    def _candidates(self, query: Query, after: int) -> Iterator[str]:
        if query.ids is None:
            return iter(self._order[after + 1 :])
        places = sorted(self._place[row_id] for row_id in query.ids if row_id in self._place)
        return (self._order[place] for place in places[bisect_right(places, after) :])
