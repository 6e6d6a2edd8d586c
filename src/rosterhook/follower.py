"""The follower: reads Okta's System Log beside the hook, so that what the hook misses comes back.

Okta's System Log query guide decides how: a request without `until`, ascending, gives every event in the order in
which Okta stored it, and its `next` link goes on from there. That link is kept in the same transaction as the events of
its page, and moved by nothing else: an event of a hook says nothing about what the log has told.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol

import apsw
import structlog

from rosterhook import sweeps
from rosterhook.arrivals import LOG, record_event
from rosterhook.errors import OktaError, OktaStalePlace
from rosterhook.model import ORG, Clock, Event, iso, now_ms
from rosterhook.notes import BORN, read_note
from rosterhook.okta import events as okta_events
from rosterhook.okta.pages import MOST_EVENTS, Page, log_place
from rosterhook.store.database import Database
from rosterhook.store.queries import rows, run

#: Okta keeps the log for 90 days. (Its System Log query guide.) A day less: what ends there is going away.
KEPT_MS = 89 * 24 * 3600 * 1000
#: Begin earlier than the last good poll by so much: clocks differ, and rows may be stored late. Doubles are known.
MARGIN_MS = 3600 * 1000
#: The shortest wait between two polls, where nothing is known to be missing but something happens.
BRISK_SECONDS = 10.0

log = structlog.get_logger("rosterhook.follower")


class Log(Protocol):
    """The part of the Okta client that reads the System Log."""

    async def log_page(self, place: str) -> Page[bytes]:
        """Read one page."""


@dataclass
class Pace:
    """How long until the next poll.

    Short while something happens, doubling up to `poll_seconds` while nothing does.
    """

    poll_seconds: float
    seconds: float = 0.0

    def after(self, *, busy: bool) -> float:
        """Seconds to wait after a poll that found events, or none."""
        brisk = min(BRISK_SECONDS, self.poll_seconds)
        self.seconds = brisk if busy else min(self.poll_seconds, max(brisk, self.seconds * 2))
        return self.seconds


@dataclass(frozen=True, slots=True)
class _Cursor:
    place: str | None
    types: str | None
    asked_ms: int | None
    polled_ms: int | None


class Follower:
    """Polls the log, and stores what it tells.

    Args:
        poll_seconds: the longest wait between two polls.
        on_due: called when users may have become due.
        is_urgent: whether the log is the only way on which events come now.
        our_hooks: Okta's ids of the hooks that call us; none when they are not known.
        monotonic: seconds that only grow: a clock that is set back must not stop the polling.

    Attributes:
        error: what hinders it, with its cure; "" when nothing does.
        polled_ms: when the log was last read to its end; None before that.
    """

    def __init__(
        self,
        state: Database,
        client: Log,
        *,
        poll_seconds: float,
        on_due: Callable[[], None] = lambda: None,
        is_urgent: Callable[[], bool] = lambda: False,
        our_hooks: Callable[[], Collection[str]] = tuple,
        clock: Clock = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.error = ""
        self.polled_ms: int | None = None
        self._state = state
        self._client = client
        self._pace = Pace(poll_seconds)
        self._on_due = on_due
        self._is_urgent = is_urgent
        self._our_hooks = our_hooks
        self._clock = clock
        self._monotonic = monotonic
        self._next = monotonic()
        # Places in a row that Okta refused: only after the first is another taken at once.
        self._refused = 0
        #: What the log is asked for; empty once Okta has refused a filter of so many types.
        self._types: tuple[str, ...] = okta_events.FOLLOWED

    async def step(self) -> bool:
        """Read one page if it is time, or if somebody asks; tell whether there is more to read at once.

        Raises:
            OktaError: the log cannot be read now; the place stays.
        """
        cursor = await self._state.read(_cursor)
        if cursor.asked_ms is None and self._monotonic() < self._next:
            return False
        started_ms = self._clock()
        try:
            page = await self._page(cursor, started_ms)
        except OktaError as error:
            self.error = str(error)
            raise
        if page is None:
            self._next = self._monotonic() + (self._pace.after(busy=True) if self._refused > 1 else 0)
            return self._refused <= 1
        self.error = ""
        if cursor.place is not None:
            self._refused = 0
        return await self._take(page, cursor, started_ms)

    async def _page(self, cursor: _Cursor, now: int) -> Page[bytes] | None:
        """The next page; None when the place was refused, and forgotten."""
        types = json.dumps(self._types)
        place = cursor.place if cursor.types == types else None
        try:
            return await self._client.log_page(place or await self._begin(cursor, now))
        except OktaStalePlace as stale:
            self._refused += 1
            refused = stale
            await self._state.write(lambda db: self._forget_place(db, refused.message, now))
            return None
        except OktaError as error:
            # How long a filter may be is not documented. Without one, more is read and the same is kept.
            if place is not None or error.status != 400 or not self._types:
                raise
            log.warning("log.filter_refused", error=error.message, hint="All events of the log are read instead.")
            self._types = ()
            return None

    async def _begin(self, cursor: _Cursor, now: int) -> str:
        """Where the log is read from when there is no place to go on from."""
        since_ms = await self._state.read(lambda db: _since(db, cursor, now))
        log.info("log.followed", since=iso(since_ms))
        return log_place(iso(since_ms) or "", self._types)

    def _forget_place(self, db: apsw.Connection, why: str, now: int) -> None:
        log.error("log.place_lost", error=why, hint="The log is read from earlier, and all users are read.")
        run(db, "move_cursor", {"org": ORG, "position": None, "types": None, "polled_ms": None})
        last = sweeps.newest(db, "backfill")
        if last is None or (last.finished_ms is not None and now - last.asked_ms > MARGIN_MS):
            sweeps.order(db, "backfill", "Okta refused the place in its log", now)

    async def _take(self, page: Page[bytes], cursor: _Cursor, started_ms: int) -> bool:
        # What cannot be understood is kept, with its problem, as it is when a hook brings it.
        read = map(okta_events.parse, page.rows)
        events = [event for event in read if event.problem or event.type in okta_events.FOLLOWED]
        full = len(page.rows) >= MOST_EVENTS
        await self._state.write(lambda db: self._record(db, page, events, cursor, None if full else started_ms))
        if events:
            self._on_due()
        if full:
            return True
        self.polled_ms = started_ms
        busy = bool(events) or cursor.asked_ms is not None or self._is_urgent()
        self._next = self._monotonic() + self._pace.after(busy=busy)
        return False

    def _record(
        self, db: apsw.Connection, page: Page[bytes], events: list[Event], cursor: _Cursor, polled_ms: int | None
    ) -> None:
        now, our_hooks = self._clock(), self._our_hooks()
        for event in events:
            record_event(db, event, LOG, now, now, our_hooks=our_hooks)
        _judge_gap(db, cursor, now)
        types = json.dumps(self._types)
        run(db, "move_cursor", {"org": ORG, "position": page.next, "types": types, "polled_ms": polled_ms})
        if polled_ms is not None and cursor.asked_ms is not None:
            run(db, "answer_asking", {"org": ORG, "asked_ms": cursor.asked_ms})


def _judge_gap(db: apsw.Connection, cursor: _Cursor, now: int) -> None:
    """After a gap that is longer than Okta's memory, all users must be read, later than what it has forgotten."""
    if now - _began_ms(db, cursor, now) <= KEPT_MS:
        return
    last = sweeps.newest(db, "backfill")
    if last is None or last.asked_ms < now - KEPT_MS:
        sweeps.order(db, "backfill", "the log was not read for longer than Okta keeps it", now)


def _cursor(db: apsw.Connection) -> _Cursor:
    found = rows(db, "read_cursor", {"org": ORG})
    return _Cursor(*found[0]) if found else _Cursor(None, None, None, None)


def _since(db: apsw.Connection, cursor: _Cursor, now: int) -> int:
    return max(_began_ms(db, cursor, now) - MARGIN_MS, now - KEPT_MS)


def _began_ms(db: apsw.Connection, cursor: _Cursor, now: int) -> int:
    """The last good poll; at first, where the hook began, or this service."""
    if cursor.polled_ms is not None:
        return cursor.polled_ms
    return min(int(read_note(db, BORN)[0].get("at_ms", now)), _first_event(db, now))


def _first_event(db: apsw.Connection, now: int) -> int:
    found = rows(db, "first_event", {"org": ORG})
    return now if not found or found[0][0] is None else int(found[0][0])
