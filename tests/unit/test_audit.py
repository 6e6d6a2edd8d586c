"""The audit: what became of each event that Okta was to send, and whether the hook is heard."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apsw
import pytest
from log_bench import DAY, HOUR, MINUTE, NOW, for_hooks, log_event

from rosterhook.arrivals import HOOK, LOG, Source, hear, record_event
from rosterhook.audit import LONG_PATIENCE_MS, MISSED, PATIENCE_MS, STATES, hook_health, read_audit
from rosterhook.model import iso
from rosterhook.notes import BORN, WEB, leave_note
from rosterhook.okta.events import parse
from rosterhook.store.migrate import migrate
from rosterhook.store.queries import run

OURS = ("whoOurs",)


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    connection = apsw.Connection(":memory:")
    migrate(connection, "state")
    leave_note(connection, WEB, {"at_ms": NOW - 10 * DAY}, NOW - 10 * DAY)
    yield connection
    connection.close()


def arrive(db: apsw.Connection, source: Source, uuid: str, *words: str, at_ms: int = NOW, **parts: Any) -> None:
    """Have an event arrive, as soon as it happened."""
    event = parse(json.dumps(log_event(uuid, *words, at_ms=at_ms, **parts)).encode())
    record_event(db, event, source, at_ms, at_ms, our_hooks=OURS)
    if source == HOOK:
        hear(db, [event], at_ms)


def read(db: apsw.Connection, user_id: str) -> None:
    """As the resolver does at the end of a reading."""
    db.execute("DELETE FROM subject WHERE id = ?", (user_id,))


def states(db: apsw.Connection, since_ms: int = NOW - DAY) -> dict[str, int]:
    """How many events ended in each state; those without one are left out."""
    found = read_audit(db, since_ms, NOW)
    return {state: found[state] for state in STATES if found[state]}


def miss(db: apsw.Connection, number: int, at_ms: int) -> None:
    """Have the log tell of events that no delivery brought."""
    for each in range(number):
        arrive(db, LOG, f"missed-{at_ms}-{each}", at_ms=at_ms)


@pytest.mark.parametrize(
    ("event_type", "parts", "sources", "is_read", "state"),
    [
        ("user.lifecycle.create", {}, [HOOK], False, "received"),
        ("user.lifecycle.create", {}, [HOOK, LOG], False, "received"),
        ("user.lifecycle.create", {}, [LOG, HOOK], True, "received"),
        ("user.lifecycle.create", for_hooks("whoOurs"), [HOOK], True, "received"),
        ("user.lifecycle.create", {}, [LOG], True, "repaired"),
        ("user.lifecycle.create", for_hooks("whoOther", "whoOurs"), [LOG], True, "repaired"),
        ("user.lifecycle.create", {}, [LOG], False, "open"),
        ("user.lifecycle.create", {"outcome": {"result": "FAILURE"}}, [LOG], False, "repaired"),
        ("user.lifecycle.create", for_hooks("whoOther"), [LOG], False, "not subscribed"),
        ("user.lifecycle.create", for_hooks("whoOther"), [LOG], True, "not subscribed"),
        ("group.user_membership.add", {}, [LOG], False, "not subscribed"),
        ("group.user_membership.add", {}, [HOOK], False, "received"),
        ("user.account.update_primary_email", {}, [LOG], False, "log only"),
        ("system.import.complete", {}, [LOG], True, "log only"),
    ],
)
def test_each_event_ends_in_one_state(
    db: apsw.Connection,
    event_type: str,
    parts: dict[str, Any],
    sources: list[Source],
    is_read: bool,
    state: str,
) -> None:
    """An event is received, or repaired by the log, or open, or the hook was not to get it, or no hook can."""
    for source in sources:
        arrive(db, source, "e1", event_type, **parts)
    if is_read:
        read(db, "00u1")
    assert states(db) == {state: 1}
    found = read_audit(db, NOW - DAY, NOW)
    assert found["types"] == {event_type: {**dict.fromkeys(STATES, 0), state: 1}}
    assert found["sent"] == (1 if state in ("received", "repaired", "open") else 0)


def test_without_known_hooks_every_hook_may_be_ours(db: apsw.Connection) -> None:
    """Where the hook was made by hand and its id is not known, an event that names a hook is counted as sent to it."""
    event = parse(json.dumps(log_event("e1", **for_hooks("whoOther"))).encode())
    record_event(db, event, LOG, NOW, NOW)
    assert states(db) == {"open": 1}


def test_open_becomes_repaired_once_the_user_is_read(db: apsw.Connection) -> None:
    """An event that the log alone brought is open until its user was read, and parked users are not."""
    arrive(db, LOG, "e1")
    assert states(db) == {"open": 1}
    db.execute("UPDATE subject SET state = 'claimed'")
    assert states(db) == {"open": 1}
    db.execute("UPDATE subject SET state = 'parked'")
    assert states(db) == {"open": 1}
    read(db, "00u1")
    assert states(db) == {"repaired": 1}


def test_a_lock_out_is_open_until_its_user_is_read(db: apsw.Connection) -> None:
    """Okta tells a lock-out as a FAILURE, and it happened all the same: without a reading it is not repaired."""
    arrive(db, LOG, "e1", "user.account.lock", outcome={"result": "FAILURE", "reason": "LOCKED_OUT"})
    assert states(db) == {"open": 1}
    read(db, "00u1")
    assert states(db) == {"repaired": 1}


def test_a_later_event_opens_no_earlier_one(db: apsw.Connection) -> None:
    """An event whose user was read since is repaired, though the user is due again for a newer one."""
    arrive(db, LOG, "e1", at_ms=NOW - HOUR)
    read(db, "00u1")
    arrive(db, LOG, "e2", at_ms=NOW)
    assert states(db) == {"repaired": 1, "open": 1}


def test_only_events_since_then_are_told(db: apsw.Connection) -> None:
    """What happened before the moment that was asked for is left out, also where the log told it later."""
    arrive(db, HOOK, "old", at_ms=NOW - 3 * HOUR)
    arrive(db, HOOK, "new", at_ms=NOW - HOUR)
    late = parse(json.dumps(log_event("late", at_ms=NOW - 5 * HOUR)).encode())
    record_event(db, late, LOG, NOW, NOW, our_hooks=OURS)
    read(db, "00u1")
    assert states(db, NOW - 2 * HOUR) == {"received": 1}
    assert states(db, NOW - 4 * HOUR) == {"received": 2}
    assert states(db, NOW - 6 * HOUR) == {"received": 2, "repaired": 1}
    found = read_audit(db, NOW - 6 * HOUR, NOW)
    assert (found["since"], found["first"]) == (iso(NOW - 6 * HOUR), iso(NOW - 3 * HOUR))


def test_an_empty_store_has_an_audit(db: apsw.Connection) -> None:
    """Before the first event there is nothing to tell, and nothing is wrong."""
    found = read_audit(db, NOW - DAY, NOW)
    assert (found["sent"], found["types"], found["first"], found["hook"]["warning"]) == (0, {}, None, "")


@pytest.mark.parametrize(
    ("number", "age_ms", "silent"),
    [
        (MISSED, PATIENCE_MS, True),
        (MISSED, PATIENCE_MS - 1, False),
        (MISSED - 1, PATIENCE_MS, False),
        (1, LONG_PATIENCE_MS, False),
        (1, LONG_PATIENCE_MS + 1, True),
        (0, 0, False),
    ],
)
def test_silent_after_some_events_that_did_not_come(
    db: apsw.Connection, number: int, age_ms: int, silent: bool
) -> None:
    """The hook is silent when a few events are five minutes overdue, or one is an hour, and not before."""
    miss(db, number, NOW - age_ms)
    health = hook_health(db, NOW)
    assert (health.is_silent, health.is_log_first, bool(health.warning)) == (silent, silent, silent)


def test_the_warning_tells_since_when(db: apsw.Connection) -> None:
    """Who is told that the hook is silent is told how many events it did not bring, since when, and what to do."""
    arrive(db, HOOK, "heard", at_ms=NOW - 3 * HOUR)
    miss(db, 2, NOW - 2 * HOUR)
    miss(db, 2, NOW - HOUR)
    health = hook_health(db, NOW)
    assert (health.missed, health.missed_since_ms) == (4, NOW - 2 * HOUR)
    told = f"the hook is silent: 4 events since {iso(NOW - 2 * HOUR)} came by the log alone. `rosterhook hook status`"
    assert health.warning.startswith(told)
    shown = read_audit(db, NOW - DAY, NOW)["hook"]
    assert shown["silent"]
    assert (shown["missed"], shown["missed_since"]) == (4, iso(NOW - 2 * HOUR))


def test_what_happened_while_nobody_took_calls_says_nothing(db: apsw.Connection) -> None:
    """Events of before the web process began are no sign against the hook."""
    miss(db, 5, NOW - 2 * HOUR)
    assert hook_health(db, NOW).is_silent
    leave_note(db, WEB, {"at_ms": NOW - HOUR}, NOW - HOUR)
    assert not hook_health(db, NOW).is_silent


def test_before_the_first_web_process_the_first_start_counts(db: apsw.Connection) -> None:
    """Where no web process ever began, only events of after the first start were to be heard."""
    db.execute("DELETE FROM note")
    miss(db, 5, NOW - 2 * HOUR)
    leave_note(db, BORN, {"at_ms": NOW - 3 * HOUR}, NOW)
    assert hook_health(db, NOW).is_silent
    leave_note(db, BORN, {"at_ms": NOW - HOUR}, NOW)
    assert not hook_health(db, NOW).is_silent


def test_well_again_when_a_delivery_comes(db: apsw.Connection) -> None:
    """A delivery of an event that is newer than those that were missed says that the hook is heard again."""
    miss(db, 5, NOW - HOUR)
    arrive(db, HOOK, "older", at_ms=NOW - 2 * HOUR)
    assert hook_health(db, NOW).is_silent
    arrive(db, HOOK, "newer", at_ms=NOW - 30 * MINUTE)
    assert hook_health(db, NOW).warning == ""


def test_an_event_that_the_hook_brings_late_was_not_missed(db: apsw.Connection) -> None:
    """An event that the log told first, and that comes by the hook in the end, is none that was missed."""
    miss(db, 3, NOW - HOUR)
    for number in range(2):
        event = parse(json.dumps(log_event(f"missed-{NOW - HOUR}-{number}", at_ms=NOW - HOUR)).encode())
        record_event(db, event, HOOK, NOW, NOW, our_hooks=OURS)  # as out of the quarantine: nothing is heard
    assert hook_health(db, NOW).missed == 1
    arrive(db, HOOK, f"missed-{NOW - HOUR}-2", at_ms=NOW - HOUR)
    assert hook_health(db, NOW).missed == 0


def test_events_for_others_say_nothing_about_our_hook(db: apsw.Connection) -> None:
    """What the hook is not subscribed to, what no hook gets, and what went to other hooks is not missed."""
    for number in range(5):
        arrive(db, LOG, f"a{number}", "group.user_membership.add", at_ms=NOW - HOUR)
        arrive(db, LOG, f"b{number}", "user.account.update_primary_email", at_ms=NOW - HOUR)
        arrive(db, LOG, f"c{number}", at_ms=NOW - HOUR, **for_hooks("whoOther"))
    assert hook_health(db, NOW).missed == 0


def test_what_was_missed_long_ago_is_forgiven(db: apsw.Connection) -> None:
    """Where nothing has happened for a day, nobody is alarmed for ever."""
    miss(db, 5, NOW - DAY - MINUTE)
    assert hook_health(db, NOW).missed == 0


def test_a_stamp_of_the_future_hides_nothing_for_ever(db: apsw.Connection) -> None:
    """An event with a wrong stamp, far ahead, does not keep the hook from being found silent afterwards."""
    event = parse(json.dumps(log_event("odd", at_ms=NOW + 900 * DAY)).encode())
    hear(db, [event], NOW - 3 * HOUR)
    miss(db, MISSED, NOW - HOUR)
    assert hook_health(db, NOW).is_silent


def test_a_hook_made_by_hand_is_missed_for_what_it_has_brought(db: apsw.Connection) -> None:
    """Whoever made the hook may have chosen fewer types: where its id is not known, only those it has brought count."""
    arrive(db, HOOK, "heard", "user.lifecycle.create", at_ms=NOW - 3 * HOUR)
    miss(db, 5, NOW - HOUR)
    assert not hook_health(db, NOW).is_silent
    assert hook_health(db, NOW, OURS).is_silent
    for number in range(3):
        arrive(db, LOG, f"e{number}", "user.lifecycle.create", at_ms=NOW - HOUR)
    assert (hook_health(db, NOW).missed, hook_health(db, NOW, OURS).missed) == (3, 8)


def test_a_stamp_of_before_the_clock_was_set_back_hides_nothing(db: apsw.Connection) -> None:
    """What the hook brought by a clock that was ahead does not keep it from being found silent afterwards."""
    arrive(db, HOOK, "ahead", at_ms=NOW + 5 * DAY)
    leave_note(db, WEB, {"at_ms": NOW + 5 * DAY}, NOW + 5 * DAY)
    miss(db, MISSED, NOW - HOUR)
    assert hook_health(db, NOW).is_silent


@pytest.mark.parametrize(
    ("events", "warning", "log_first"),
    [
        (279_999, "", False),
        (280_000, "280,000 events for the hook in 24 hours; Okta ends all hooks of an org at 400,000.", False),
        (379_999, "379,999 events", False),
        (380_000, "380,000 events", True),
    ],
)
def test_the_daily_limit_is_told_before_it_is_reached(
    db: apsw.Connection, events: int, warning: str, log_first: bool
) -> None:
    """As Okta does, we warn at 280,000 events a day, and near 400,000 the log is the feed to rely on."""
    run(db, "count_hour", {"org": "default", "hour_ms": NOW - 2 * HOUR, "by": events - 1})
    run(db, "count_hour", {"org": "default", "hour_ms": NOW - HOUR, "by": 1})
    run(db, "count_hour", {"org": "default", "hour_ms": NOW - DAY, "by": 1_000_000})
    health = hook_health(db, NOW)
    assert (health.events_of_day, health.is_silent, health.is_log_first) == (events, False, log_first)
    assert health.warning.startswith(warning)
    assert bool(health.warning) == bool(warning)


def test_only_what_the_hook_was_to_get_counts_for_the_day(db: apsw.Connection) -> None:
    """Each event for our hook is counted once, in its hour, by whichever way it came; others are not."""
    arrive(db, HOOK, "e1", at_ms=NOW)
    arrive(db, LOG, "e1", at_ms=NOW)
    arrive(db, LOG, "e2", at_ms=NOW + 59 * MINUTE)
    arrive(db, LOG, "e3", at_ms=NOW + HOUR)
    arrive(db, LOG, "e4", "user.account.update_primary_email")
    arrive(db, LOG, "e5", **for_hooks("whoOther"))
    hours = db.execute("SELECT hour_ms, events FROM hook_hour ORDER BY hour_ms").fetchall()
    assert hours == [(NOW, 2), (NOW + HOUR, 1)]
