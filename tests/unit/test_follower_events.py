"""What the log tells: each event once, by whichever way it came, and whoever it names is read."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from log_bench import DAY, HOUR, MINUTE, NOW, Bench, log_event

from rosterhook import sweeps
from rosterhook.arrivals import HOOK, LOG
from rosterhook.okta.events import BULK, FOLLOWED, LOG_ONLY, NEEDED


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.state.close()


async def test_what_the_hook_missed_comes_by_the_log(bench: Bench) -> None:
    """An event that no delivery brought is stored as the log tells it, and its user is due at once."""
    bench.log.add(log_event("e1", at_ms=NOW - MINUTE))
    await bench.drain()
    assert await bench.rows("SELECT uuid, source, published_ms, received_ms FROM event") == [
        ("e1", "log", NOW - MINUTE, NOW)
    ]
    assert await bench.rows("SELECT id, state, due_ms, waiting_ms, fresh_ms FROM subject") == [
        ("00u1", "due", NOW, NOW - MINUTE, NOW - MINUTE)
    ]
    assert bench.rings == 1


@pytest.mark.parametrize("hook_first", [True, False])
async def test_an_event_that_comes_by_both_ways_is_one(bench: Bench, hook_first: bool) -> None:
    """By hook and by log it is one event with two arrivals, its user is read once, and it is no duplicate of a hook."""
    event = log_event("e1")
    # What differs between a hook's event and the log's is no other event.
    by_hook = {**event, "insertionTimestamp": None, "target": [*event["target"], {"id": "0oa1", "type": "AppInstance"}]}
    if hook_first:
        await bench.arrive(by_hook)
        await bench.read_all()
    bench.log.add(event)
    await bench.drain()
    if not hook_first:
        await bench.read_all()
        await bench.arrive(by_hook)
    assert (await bench.arrivals(), await bench.due()) == ({"e1": (1, 1)}, [])
    duplicates = await bench.rows("SELECT total FROM counter WHERE name = 'events_duplicate'")
    assert duplicates == []


@pytest.mark.parametrize("event_type", LOG_ONLY)
async def test_types_that_only_the_log_has_make_their_user_due(bench: Bench, event_type: str) -> None:
    """What Okta offers to no hook is read all the same, and a reading must show the change."""
    bench.log.add(log_event("e1", event_type, "00u7"))
    await bench.drain()
    assert await bench.rows("SELECT id, fresh_ms FROM subject") == [("00u7", NOW)]


@pytest.mark.parametrize("event_type", sorted(BULK))
async def test_an_import_that_ends_orders_a_look_at_all_who_changed(bench: Bench, event_type: str) -> None:
    """An event of many users that names none orders a sweep of those who changed lately, one for several events."""
    bench.log.add(log_event("e1", event_type, None), log_event("e2", event_type, None))
    await bench.drain()
    assert (await bench.sweeps(), await bench.due()) == (["changes"], [])
    bench.log.add(log_event("e2", event_type, None))
    await bench.state.write(lambda db: sweeps.end(db, sweeps.open_sweeps(db)[0], NOW))
    bench.wait(60)
    await bench.drain()
    assert await bench.sweeps() == []


@pytest.mark.parametrize("order", [(HOOK, LOG), (LOG, HOOK)])
async def test_an_import_that_the_hook_tells_first_orders_one_too(bench: Bench, order: tuple[Any, Any]) -> None:
    """A hook made by hand may bring the end of an import, before the log or after it: those who changed are read."""
    for source in order:
        await bench.arrive(log_event("e1", "system.import.complete", None), source)
    assert await bench.sweeps() == ["changes"]


#: Neither what is no event nor what nobody follows comes where Okta heeds the filter; a fake of Okta may heed none.
UNFILTERED = ()


@pytest.mark.parametrize("event_type", ["user.session.start", "group.user_membership.add", "made.up.by.okta.in.2030"])
async def test_types_that_are_not_followed_are_left_out(bench: Bench, event_type: str) -> None:
    """An event of a type that the log is not asked for is not stored; the others of the page are taken as ever."""
    bench.log.add(log_event("e1"), log_event("x", event_type, "00u9"), log_event("e2", user="00u2"))
    bench.follower._types = UNFILTERED
    assert not await bench.follower.step()
    assert (await bench.uuids(), await bench.due()) == (["e1", "e2"], ["00u1", "00u2"])
    assert "after=3" in (await bench.place() or "")


@pytest.mark.parametrize(
    "odd",
    ["text", 7, None, [], {}, [[[]]], {"uuid": None, "eventType": None}, {"uuid": "x", "eventType": {}, "target": 5}],
)
async def test_what_is_no_event_is_kept_and_does_no_harm(bench: Bench, odd: Any) -> None:
    """What cannot be understood is kept with its problem, as if a hook had brought it, and hinders no other."""
    bench.log.add(log_event("e1"), odd, log_event("e2", user="00u2"))
    bench.follower._types = UNFILTERED
    assert not await bench.follower.step()
    uuids = await bench.uuids()
    assert (uuids[0], uuids[2:], await bench.due()) == ("e1", ["e2"], ["00u1", "00u2"])
    [(body, problem)] = await bench.rows("SELECT body, problem FROM event WHERE problem > ''")
    assert (json.loads(body), bool(problem)) == (odd, True)
    assert "after=3" in (await bench.place() or "")


@pytest.mark.parametrize(
    "lacking",
    [
        {"target": None}, {"target": "x"}, {"target": [None, 5, {"type": "User"}, {"type": "User", "id": 5}]},
        {"target": [{"id": "00u9"}]}, {"published": None}, {"published": "2026-02-31T00:00:00Z"}, {"outcome": None},
        {"outcome": {"result": "FAILURE"}}, {"uuid": None}, {"debugContext": "x"},
        {"debugContext": {"debugData": {"targetEventHookIds": 5}}},
    ],
)  # fmt: skip
async def test_an_event_with_missing_parts_loses_no_other(bench: Bench, lacking: dict[str, Any]) -> None:
    """An event of a type that is followed is kept, whatever it lacks, and the others of the page are too."""
    bench.log.add(log_event("e1"), {**log_event("odd", user="00u9"), **lacking}, log_event("e2", user="00u2"))
    await bench.drain()
    uuids = await bench.uuids()
    assert (uuids[0], uuids[2], len(uuids)) == ("e1", "e2", 3)
    assert {"00u1", "00u2"} <= set(await bench.due())


async def test_an_event_that_is_stored_late_is_not_missed(bench: Bench) -> None:
    """Okta's log gives events as they were stored: one that happened an hour before the others comes all the same."""
    bench.log.add(log_event("e1"))
    await bench.drain()
    bench.wait(60)
    bench.log.add(log_event("late", user="00u2", at_ms=NOW - HOUR), at_ms=bench.now)
    await bench.drain()
    assert await bench.uuids() == ["e1", "late"]


async def test_another_event_under_a_known_uuid_is_not_lost(bench: Bench) -> None:
    """Two different events with one uuid, by hook and by log, are two, and each user is read."""
    await bench.arrive(log_event("e1", user="00u1"))
    bench.log.add(log_event("e1", user="00u2"))
    await bench.drain()
    assert (len(await bench.uuids()), await bench.due()) == (2, ["00u1", "00u2"])


async def test_events_of_the_past_do_not_count_for_today(bench: Bench) -> None:
    """What the log tells after a long outage counts towards the day on which Okta was to send it, not towards today."""
    bench.log.add(log_event("old", at_ms=NOW - 5 * DAY), log_event("new", at_ms=NOW))
    await bench.born(NOW - 6 * DAY)
    await bench.drain()
    hours = await bench.rows("SELECT hour_ms, events FROM hook_hour ORDER BY hour_ms")
    assert hours == [(NOW - 5 * DAY, 1), (NOW, 1)]


def test_all_that_changes_a_user_is_followed() -> None:
    """The filter has every type that our hook gets, every type that no hook gets, and those of imports; no other."""
    assert set(FOLLOWED) == {*NEEDED, *LOG_ONLY, *BULK}
    assert not {*NEEDED} & {*LOG_ONLY, *BULK}
