"""The System Log: every event, in the order in which it was persisted, which is not quite the order of `published`."""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from rosterhook.simulator import errors
from rosterhook.simulator.events import Event, milliseconds
from rosterhook.simulator.faults import Faults
from rosterhook.simulator.settings import Settings

RETENTION_MS = 90 * 86_400_000

Test = Callable[[Event], bool]


class Cursor(NamedTuple):
    """A place behind a row: its time in milliseconds, and how many rows of that millisecond are read, itself included.

    Written like the recorded `1627500044869_1`. Rows of one millisecond keep their order and new ones come behind
    them, so that a cursor stays right whatever arrives later.
    """

    at: int
    rows: int

    def __str__(self) -> str:
        return f"{self.at}_{self.rows}"


class Page(NamedTuple):
    """Some events, and the cursor behind the last of them; None if there are none."""

    events: list[Event]
    last: Cursor | None
    more: bool


class EventLog:
    """Rows by time of persistence. An event is kept once, in the hook's form; `api/logs.py` converts what it sends.

    Okta answers a polling request by time of persistence, so that nothing slips in behind a cursor, and a bounded
    one by `published`, where late rows may be missing (Okta's System Log query guide; okta-facts 4).
    """

    def __init__(self, settings: Settings, faults: Faults, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._faults = faults
        self._clock = clock
        self._rng = Random(f"{settings.seed}/log")  # noqa: S311
        self._rows: list[Event] = []
        self._persisted = array("q")
        # Both sorted by `published`: the times, and the rows they belong to.
        self._published = array("q")
        self._row_of = array("q")
        self._coming: list[tuple[int, int, Event]] = []
        self._arrivals = 0

    def __len__(self) -> int:
        self._catch_up()
        return len(self._rows)

    def append(self, event: Event) -> None:
        """Persist an event now, or, if it is one of the late ones, a while from now."""
        self._catch_up()
        chance, seconds = self._lateness()
        if chance <= 0 or self._rng.random() >= chance:
            self._persist(event, self._now())
            return
        self._arrivals += 1
        due = self._now() + int(self._rng.uniform(0, seconds) * 1000) + 1
        heapq.heappush(self._coming, (due, self._arrivals, event))

    def poll(self, since: int, after: Cursor | None, limit: int, test: Test) -> Page:
        """Events in order of persistence, from time `since` or behind a cursor.

        Args:
            since: milliseconds since 1970, of persistence.
            test: which events are asked for.
        """
        self._catch_up()
        start = bisect_left(self._persisted, max(since, self._now() - RETENTION_MS))
        if after is not None:
            start = max(start, _behind(self._persisted, after))
        return self._page(iter(range(start, len(self._rows))), self._persisted, limit, test, lambda row: row)

    def between(
        self, since: int, until: int, after: Cursor | None, limit: int, test: Test, *, descending: bool
    ) -> Page:
        """Events by `published`, from `since` to before `until`, or behind a cursor in the order asked for."""
        self._catch_up()
        low = bisect_left(self._published, max(since, self._now() - RETENTION_MS))
        high = bisect_left(self._published, until)
        if descending:
            if after is not None:
                high = min(high, _behind(self._published, after) - 1)
            places = iter(range(high - 1, low - 1, -1))
        else:
            if after is not None:
                low = max(low, _behind(self._published, after))
            places = iter(range(low, high))
        return self._page(places, self._published, limit, test, lambda place: self._row_of[place])

    def dump(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        return {
            "persisted": list(self._persisted),
            "events": list(self._rows),
            "coming": [[due, event] for due, _, event in sorted(self._coming, key=lambda each: each[:2])],
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave, in place of what is there."""
        self._rows, self._coming, self._arrivals = [], [], len(state["coming"])
        self._persisted, self._published, self._row_of = array("q"), array("q"), array("q")
        for at, event in zip(state["persisted"], state["events"], strict=True):
            self._persist(event, at)
        self._coming = [(due, number, event) for number, (due, event) in enumerate(state["coming"])]
        heapq.heapify(self._coming)

    def _page(
        self, places: Iterator[int], times: array[int], limit: int, test: Test, row_at: Callable[[int], int]
    ) -> Page:
        found: list[Event] = []
        last = None
        for place in places:
            event = self._rows[row_at(place)]
            if not test(event):
                continue
            if len(found) == limit:
                return Page(found, last, more=True)
            found.append(event)
            last = Cursor(times[place], place - bisect_left(times, times[place]) + 1)
        return Page(found, last, more=False)

    def _lateness(self) -> tuple[float, float]:
        plan, settings = self._faults.plan, self._settings
        chance = settings.late_rows if plan.late_rows is None else plan.late_rows
        return chance, settings.late_seconds if plan.late_seconds is None else plan.late_seconds

    def _catch_up(self) -> None:
        now = self._now()
        while self._coming and self._coming[0][0] <= now:
            due, _, event = heapq.heappop(self._coming)
            self._persist(event, due)

    def _persist(self, event: Event, at: int) -> None:
        # A clock that steps back must not put a row before those that somebody has read already.
        self._persisted.append(max(at, self._persisted[-1]) if self._persisted else at)
        published = milliseconds(event["published"])
        place = bisect_right(self._published, published)
        self._published.insert(place, published)
        self._row_of.insert(place, len(self._rows))
        self._rows.append(event)

    def _now(self) -> int:
        return int(self._clock() * 1000)


def parse_cursor(text: str) -> Cursor:
    """Read a cursor; raises E0000001 for what is none of ours."""
    at, _, count = text.partition("_")
    if not (at.isdecimal() and count.isdecimal() and len(text) <= 32):
        raise errors.bad_cursor()
    return Cursor(int(at), int(count))


def _behind(times: array[int], cursor: Cursor) -> int:
    """The first place that a reader with this cursor has not seen."""
    return min(bisect_left(times, cursor.at) + cursor.rows, bisect_right(times, cursor.at))
