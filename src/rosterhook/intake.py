"""The intake: makes events, and the users to be read, of the deliveries in the inbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace

import apsw
import structlog

from rosterhook.inbox import Inbox
from rosterhook.model import ORG, Clock, Delivery, Event, now_ms
from rosterhook.okta import events as okta_events
from rosterhook.store.database import Database
from rosterhook.store.queries import rows, run, run_many, value

DELIVERIES_A_STEP = 200
TOO_LARGE = "larger than hook.max_body_bytes; its body was not kept"

log = structlog.get_logger("rosterhook.intake")


@dataclass(frozen=True, slots=True)
class _Read:
    """A delivery and what was found in it: events, or the reason why there are none."""

    delivery: Delivery
    events: tuple[Event, ...] = ()
    fault: str = ""


class Intake:
    """Reads the inbox past its own offset, which it keeps in the same transaction as what it made.

    Args:
        on_due: called when users have become due.
    """

    def __init__(
        self, inbox: Inbox, state: Database, *, on_due: Callable[[], None] = lambda: None, clock: Clock = now_ms
    ) -> None:
        self._inbox = inbox
        self._state = state
        self._on_due = on_due
        self._clock = clock
        self._checked = False

    async def step(self) -> bool:
        """Take in the next deliveries; tell whether there were any."""
        if not self._checked:
            await self._check_offset()
        offset = await self._state.read(handed_over)
        deliveries = await self._inbox.read(offset, DELIVERIES_A_STEP)
        if not deliveries:
            return False
        # Not in the loop: a large delivery takes seconds to read.
        read = await asyncio.to_thread(lambda: [_read(delivery) for delivery in deliveries])
        await self._state.write(lambda db: self._record(db, read))
        self._on_due()
        return True

    async def _check_offset(self) -> None:
        """Begin anew when the inbox is not the one that the offset was kept for: removed, or restored from a backup.

        Its numbers start lower then, and deliveries would lie below the offset, answered and never read. Reading
        one twice harms nothing: its events are known.
        """
        seq, received_ms = await self._state.read(_offset)
        next_one = await self._inbox.read(seq - 1, 1) if seq else []
        if seq and not any(one.seq > seq or one.received_ms == received_ms for one in next_one):
            log.warning("inbox.replaced", offset=seq, hint="Every delivery that is there is taken in again.")
            await self._state.write(lambda db: _move(db, 0, 0))
        self._checked = True

    def _record(self, db: apsw.Connection, read: list[_Read]) -> None:
        for one in read:
            if one.fault:
                self._quarantine(db, one)
            for event in one.events:
                record_event(db, event, one.delivery.received_ms, self._clock())
        _move(db, read[-1].delivery.seq, read[-1].delivery.received_ms)

    def _quarantine(self, db: apsw.Connection, one: _Read) -> None:
        delivery = one.delivery
        log.warning("delivery.quarantined", delivery=delivery.seq, reason=one.fault)
        run(
            db,
            "quarantine",
            {
                "org": ORG,
                "seq": delivery.seq,
                "received_ms": delivery.received_ms,
                "reason": one.fault,
                "headers": json.dumps(dict(delivery.headers)),
                "body": delivery.body,
            },
        )
        if delivery.fault == "too_large":
            run(db, "ask_follower", {"org": ORG, "now": self._clock()})


def handed_over(db: apsw.Connection) -> int:
    """The sequence number of the last delivery whose events are stored."""
    return _offset(db)[0]


def _offset(db: apsw.Connection) -> tuple[int, int]:
    found = rows(db, "read_offset", {"org": ORG, "reader": "intake"})
    return found[0] if found else (0, 0)


def _move(db: apsw.Connection, seq: int, received_ms: int) -> None:
    run(db, "move_offset", {"org": ORG, "reader": "intake", "seq": seq, "received_ms": received_ms})


def record_event(db: apsw.Connection, event: Event, received_ms: int, now: int) -> bool:
    """Store an event that came by the hook, and make the users due whom it says have changed.

    Returns:
        False when the event was known: then its arrival is counted and nobody is read again for it.
    """
    known = _find(db, event.uuid)
    if known and known[1] != okta_events.essence(event):
        # Another event under the same uuid: Okta does not do that, but what comes here is not only Okta's.
        event = replace(event, uuid=okta_events.content_id(event.body))
        known = _find(db, event.uuid)
    if known:
        run(db, "count_arrival", {"seq": known[0]})
        count(db, "events_duplicate")
        return False
    _insert(db, event, received_ms, now)
    count(db, "events_stored")
    return True


def count(db: apsw.Connection, name: str, by: int = 1) -> None:
    """Add to a running total."""
    run(db, "add_to_counter", {"org": ORG, "name": name, "by": by})


def _read(delivery: Delivery) -> _Read:
    if delivery.fault:
        return _Read(delivery, fault=TOO_LARGE if delivery.fault == "too_large" else delivery.fault)
    try:
        raw_events = okta_events.split(delivery.body)
    except okta_events.NotAHook as error:
        return _Read(delivery, fault=str(error))
    return _Read(delivery, tuple(okta_events.parse(bytes(raw)) for raw in raw_events))


def _find(db: apsw.Connection, uuid: str) -> tuple[int, str] | None:
    found = rows(db, "find_event", {"org": ORG, "uuid": uuid})
    return found[0] if found else None


def _insert(db: apsw.Connection, event: Event, received_ms: int, now: int) -> None:
    seq = value(
        db,
        "insert_event",
        {
            "org": ORG,
            "uuid": event.uuid,
            "type": event.type,
            "published_ms": event.published_ms,
            "outcome": event.outcome,
            "essence": okta_events.essence(event),
            "received_ms": received_ms,
            "problem": event.problem,
            "body": event.body,
        },
    )
    if event.problem:
        log.warning("event.not_understood", event_id=event.uuid, problem=event.problem)
    published_ms = event.published_ms or received_ms
    fresh_ms = published_ms if okta_events.changes_user(event.type) else None
    keys = [{"org": ORG, "kind": "user", "id": user.id} for user in event.users]
    run_many(db, "name_subject", [{**key, "event_seq": seq} for key in keys])
    due = {"due_ms": now, "waiting_ms": published_ms, "fresh_ms": fresh_ms}
    run_many(db, "make_subject_due", [{**key, **due} for key in keys])
