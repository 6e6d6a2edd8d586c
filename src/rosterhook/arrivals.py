"""An event that arrives, by the hook or by the System Log: stored once, and the users whom it names become due."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

import apsw
import structlog

from rosterhook import sweeps
from rosterhook.model import ORG, Event
from rosterhook.notes import HEARD, leave_note, read_note
from rosterhook.okta import events as okta_events
from rosterhook.scrub import Person, scrub
from rosterhook.store.queries import rows, run, run_many, value

#: The two ways on which an event comes.
Source = Literal["hook", "log"]
HOOK: Source = "hook"
LOG: Source = "log"

HOUR_MS = 3600 * 1000

log = structlog.get_logger("rosterhook.arrivals")


def record_event(
    db: apsw.Connection, event: Event, source: Source, received_ms: int, now: int, *, our_hooks: Collection[str] = ()
) -> bool:
    """Store an event, and make the users due whom it says have changed.

    Args:
        our_hooks: Okta's ids of the hooks that call us; none when they are not known.

    Returns:
        False when the event was known: then its arrival is counted and nobody is read again for it.
    """
    known = _find(db, event.uuid)
    if known and known[1] != okta_events.essence(event):
        # Another event under the same uuid: Okta does not do that, but what comes here is not only Okta's.
        event = replace(event, uuid=okta_events.content_id(event.body))
        known = _find(db, event.uuid)
    arrival = {"hook": int(source == HOOK), "log": int(source == LOG)}
    if known:
        run(db, "count_arrival", {"seq": known[0], **arrival})
        if source == HOOK and known[2]:
            count(db, "events_duplicate")
        return False
    _insert(db, event, source, received_ms, now, our_hooks)
    count(db, "events_stored")
    return True


def hear(db: apsw.Connection, events: Sequence[Event], now: int) -> None:
    """Remember that the hook is heard: the newest `published` that deliveries brought, and of which types."""
    published = [event.published_ms for event in events if event.published_ms is not None]
    if published:
        heard = read_note(db, HEARD)[0]
        newest = max(*published, heard.get("published_ms", 0), 0)
        types = {event.type for event in events if event.type in okta_events.NEEDED} | set(heard.get("types", ()))
        # A wrong stamp of the far future must not hide for ever that the hook fell silent.
        leave_note(db, HEARD, {"published_ms": min(newest, now), "types": sorted(types)}, now)


def make_due(db: apsw.Connection, user_id: str, now: int) -> None:
    """Have a user read, though no event told of a change."""
    due = {"org": ORG, "kind": "user", "id": user_id, "due_ms": now, "waiting_ms": None, "fresh_ms": None}
    run(db, "make_subject_due", due)


def count(db: apsw.Connection, name: str, by: int = 1) -> None:
    """Add to a running total."""
    run(db, "add_to_counter", {"org": ORG, "name": name, "by": by})


def _without_the_forgotten(db: apsw.Connection, event: Event) -> Event:
    """The event, with nothing in it of who was erased: a late one must not bring them back."""
    ids = [user.id for user in event.users if value(db, "is_forgotten", {"org": ORG, "id": user.id})]
    if not ids:
        return event
    logins = frozenset(user.login.casefold() for user in event.users if user.id in ids and user.login)
    return replace(event, body=scrub(event.body, Person(frozenset(ids), logins)) or event.body)


def _find(db: apsw.Connection, uuid: str) -> tuple[int, str, int] | None:
    found = rows(db, "find_event", {"org": ORG, "uuid": uuid})
    return found[0] if found else None


def _insert(
    db: apsw.Connection, event: Event, source: Source, received_ms: int, now: int, our_hooks: Collection[str]
) -> None:
    for_hook = okta_events.is_for_hook(event, our_hooks)
    event = _without_the_forgotten(db, event)
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
            "source": source,
            "hook": int(source == HOOK),
            "log": int(source == LOG),
            "received_ms": received_ms,
            "problem": event.problem,
            "body": event.body,
            "for_hook": int(for_hook),
        },
    )
    if for_hook:
        happened_ms = min(event.published_ms or now, now)
        run(db, "count_hour", {"org": ORG, "hour_ms": happened_ms // HOUR_MS * HOUR_MS, "by": 1})
    if event.problem:
        log.warning("event.not_understood", event_id=event.uuid, problem=event.problem)
    published_ms = event.published_ms or received_ms
    fresh_ms = published_ms if okta_events.changes_user(event.type) else None
    keys = [{"org": ORG, "kind": "user", "id": user.id} for user in event.users]
    run_many(db, "name_subject", [{**key, "event_seq": seq} for key in keys])
    due = {"due_ms": now, "waiting_ms": published_ms, "fresh_ms": fresh_ms}
    run_many(db, "make_subject_due", [{**key, **due} for key in keys])
    if event.type in okta_events.BULK:
        sweeps.order(db, "changes", event.type, now)
