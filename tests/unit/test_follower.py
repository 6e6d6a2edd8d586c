"""The follower: where it begins, how often it asks, and that no place in the log is ever lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from log_bench import DAY, HOUR, NOW, Bench, log_event

from rosterhook import follower, sweeps
from rosterhook.errors import OktaError, OktaForbidden, OktaUnavailable, StoreError
from rosterhook.follower import KEPT_MS, MARGIN_MS, Pace
from rosterhook.okta.events import FOLLOWED

BREAK = "CREATE TRIGGER broken BEFORE {} BEGIN SELECT RAISE(ABORT, 'no room'); END"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.state.close()


@pytest.fixture
async def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A log that gives three events a page."""
    monkeypatch.setattr(follower, "MOST_EVENTS", 3)
    bench = Bench(tmp_path, page=3)
    yield bench
    await bench.state.close()


async def test_begins_where_the_service_began(bench: Bench) -> None:
    """The first poll asks from an hour before the first start, in the log's own order, for all that is followed."""
    await bench.born(NOW - 3 * DAY)
    await bench.follower.step()
    assert bench.sinces() == [NOW - 3 * DAY - MARGIN_MS]
    [place] = bench.log.asked
    assert "sortOrder=ASCENDING" in place
    assert "until" not in place
    assert all(event_type in place for event_type in FOLLOWED)


async def test_begins_where_the_hook_began(bench: Bench) -> None:
    """Where a hook brought events before there was a follower, the log is read from the first of them on."""
    await bench.born(NOW - DAY)
    await bench.arrive(log_event("e0"), at_ms=NOW - 5 * DAY)
    await bench.follower.step()
    assert bench.sinces() == [NOW - 5 * DAY - MARGIN_MS]


async def test_begins_now_where_nothing_is_known(bench: Bench) -> None:
    """A store without a past is followed from an hour ago."""
    await bench.follower.step()
    assert bench.sinces() == [NOW - MARGIN_MS]


async def test_never_begins_earlier_than_okta_keeps(bench: Bench) -> None:
    """What is older than Okta's memory is not asked for: Okta would refuse."""
    await bench.born(NOW - 200 * DAY)
    await bench.follower.step()
    assert bench.sinces() == [NOW - KEPT_MS]


@pytest.mark.parametrize("what", ["INSERT ON event_subject", "INSERT ON cursor"])
async def test_events_and_place_are_one_transaction(bench: Bench, what: str) -> None:
    """A write that fails keeps neither the events of a page nor the place behind it; the next step keeps both."""
    bench.log.add(log_event("e1"), log_event("e2"))
    await bench.state.write(lambda db: db.execute(BREAK.format(what)) and None)
    with pytest.raises(StoreError, match="no room"):
        await bench.follower.step()
    assert (await bench.uuids(), await bench.due(), await bench.place(), bench.rings) == ([], [], None, 0)
    await bench.state.write(lambda db: db.execute("DROP TRIGGER broken") and None)
    assert not await bench.follower.step()
    assert (await bench.uuids(), await bench.due()) == (["e1", "e2"], ["00u1"])
    assert "after=2" in (await bench.place() or "")


async def test_a_full_page_is_followed_by_the_next_at_once(small: Bench) -> None:
    """As long as pages are full, the log is read without a pause; then it is read to its end."""
    small.log.add(*(log_event(f"e{number}") for number in range(7)))
    assert [await small.follower.step() for _ in range(4)] == [True, True, False, False]
    assert await small.uuids() == [f"e{number}" for number in range(7)]
    assert len(small.log.asked) == 3
    assert small.follower.polled_ms == NOW


async def test_another_worker_goes_on_from_the_place(small: Bench) -> None:
    """A worker that ended in the middle of the log is followed by one that reads no page twice."""
    small.log.add(*(log_event(f"e{number}") for number in range(7)))
    await small.follower.step()
    small.follower = small.new_follower()
    await small.drain()
    assert set((await small.arrivals()).values()) == {(0, 1)}
    assert len(small.sinces()) == 1


def test_the_pace_is_short_after_events_and_doubles_without() -> None:
    """After events ten seconds; without, twice as long each time, up to the interval that is configured."""
    pace = Pace(60.0)
    assert [pace.after(busy=busy) for busy in (True, False, False, False, False, True)] == [10, 20, 40, 60, 60, 10]
    assert [Pace(60.0).after(busy=False), Pace(3.0).after(busy=True), Pace(3.0).after(busy=False)] == [10, 3, 3]


async def test_is_asked_again_when_it_is_time_and_not_before(bench: Bench) -> None:
    """After events the log is asked again within ten seconds, and then less and less often."""
    bench.log.add(log_event("e1"))
    await bench.follower.step()
    for seconds, polls in ((9.9, 1), (0.2, 2), (19.8, 2), (0.3, 3), (40, 4), (59.9, 4), (0.2, 5)):
        bench.wait(seconds)
        assert not await bench.follower.step()
        assert len(bench.log.asked) == polls
    bench.log.add(log_event("e2"))
    bench.wait(60)
    await bench.follower.step()
    bench.wait(10)
    await bench.follower.step()
    assert len(bench.log.asked) == 7


async def test_a_clock_that_is_set_back_does_not_stop_the_polling(bench: Bench) -> None:
    """Only time that has really passed counts, whatever the clock on the wall says."""
    await bench.follower.step()
    bench.now -= 30 * DAY
    bench.seconds += 60
    await bench.follower.step()
    bench.now += 90 * DAY
    await bench.follower.step()
    assert len(bench.log.asked) == 2


async def test_while_the_hook_is_not_heard_the_log_is_asked_briskly(bench: Bench) -> None:
    """Where the log is the only way, an empty answer lengthens no wait."""
    bench.urgent = True
    for _ in range(4):
        await bench.follower.step()
        bench.wait(10)
    assert len(bench.log.asked) == 4


async def test_who_asks_is_served_at_once(bench: Bench) -> None:
    """After a delivery that was lost the log is read though it is not time yet, once, and again soon."""
    await bench.follower.step()
    bench.wait(1)
    await bench.ask()
    bench.log.add(log_event("e1"))
    await bench.follower.step()
    assert (await bench.uuids(), await bench.rows("SELECT asked_ms FROM cursor")) == (["e1"], [(None,)])
    await bench.follower.step()
    assert len(bench.log.asked) == 2
    bench.wait(10)
    await bench.follower.step()
    assert len(bench.log.asked) == 3


async def test_who_asks_in_vain_is_served_again_soon(bench: Bench) -> None:
    """What was lost may not be in the log yet: after an asking that found nothing the log is asked again briskly."""
    for _ in range(5):
        await bench.follower.step()
        bench.wait(60)
    await bench.ask()
    await bench.follower.step()
    bench.wait(10)
    bench.log.add(log_event("e1"))
    await bench.follower.step()
    assert await bench.uuids() == ["e1"]


async def test_asking_during_a_poll_is_not_lost(bench: Bench) -> None:
    """Who asks while the log is being read gets a reading that began afterwards."""

    async def ask() -> None:
        bench.log.during = None
        bench.now += 1
        await bench.ask()

    await bench.ask()
    bench.log.during = ask
    await bench.follower.step()
    assert await bench.rows("SELECT asked_ms FROM cursor") == [(NOW + 1,)]
    bench.log.add(log_event("e1"))
    await bench.follower.step()
    assert (await bench.uuids(), await bench.rows("SELECT asked_ms FROM cursor")) == (["e1"], [(None,)])


async def test_who_asks_waits_for_the_end_of_the_log(small: Bench) -> None:
    """A full page answers nobody: what was lost may be on the next one."""
    small.log.add(*(log_event(f"e{number}") for number in range(4)))
    await small.ask()
    await small.follower.step()
    assert await small.rows("SELECT asked_ms FROM cursor") == [(NOW,)]
    await small.follower.step()
    assert await small.rows("SELECT asked_ms FROM cursor") == [(None,)]


@pytest.mark.parametrize("fault", [OktaUnavailable("Okta is down"), OktaForbidden("no scope", status=403)])
async def test_outage_keeps_the_place_and_is_told(bench: Bench, fault: OktaError) -> None:
    """While the log cannot be read, the place stays and the reason is kept; then it goes on from there."""
    bench.log.add(log_event("e1"))
    await bench.follower.step()
    before = await bench.place()
    bench.log.add(log_event("e2"))
    bench.log.fault = fault
    bench.wait(60)
    for _ in range(3):
        with pytest.raises(type(fault)):
            await bench.follower.step()
    assert (bench.follower.error, await bench.place(), await bench.sweeps()) == (str(fault), before, [])
    bench.log.fault = None
    await bench.follower.step()
    assert (bench.follower.error, await bench.uuids()) == ("", ["e1", "e2"])
    assert len(bench.sinces()) == 1


async def test_a_refused_place_loses_nothing_and_orders_a_backfill(bench: Bench) -> None:
    """When Okta forgets the place, the log is read from before the last good poll, all users are to be read, and who
    was read already is not read again.
    """
    bench.log.add(log_event("e1", user="00u1"))
    await bench.follower.step()
    await bench.read_all()
    bench.wait(600)
    bench.log.add(log_event("e2", user="00u2"), at_ms=bench.now)
    bench.log.is_stale = True
    assert await bench.follower.step()
    assert (await bench.place(), await bench.sweeps()) == (None, ["backfill"])
    assert not await bench.follower.step()
    assert bench.sinces()[1:] == [NOW - MARGIN_MS]
    assert (await bench.arrivals(), await bench.due()) == ({"e1": (0, 2), "e2": (0, 1)}, ["00u2"])
    assert (bench.follower.error, await bench.sweeps()) == ("", ["backfill"])


async def test_a_place_refused_in_the_middle_goes_back_to_the_last_good_poll(small: Bench) -> None:
    """Pages of a reading that did not reach the end are no good poll: it begins where the last whole one did."""
    await small.born(NOW - 2 * DAY)
    small.log.add(*(log_event(f"e{number}") for number in range(5)))
    await small.follower.step()
    small.log.is_stale = True
    small.wait(2 * 3600)
    await small.follower.step()
    small.log.is_stale = False
    await small.drain()
    assert small.sinces() == [NOW - 2 * DAY - MARGIN_MS] * 2
    assert await small.uuids() == [f"e{number}" for number in range(5)]


async def test_places_that_are_always_refused_are_no_busy_loop(bench: Bench) -> None:
    """Where Okta takes none of its own places, the log is read from the last poll each time, at the usual pace, and
    users are not read in full again and again: no poll has missed anything.
    """
    bench.log.is_stale = True
    backfills = 0
    for minute in range(60):
        bench.log.add(log_event(f"e{minute}"), at_ms=bench.now)
        for _ in range(3):
            await bench.follower.step()
        for sweep in await bench.state.read(sweeps.open_sweeps):
            backfills += 1
            await bench.state.write(lambda db, sweep=sweep: sweeps.end(db, sweep, bench.now))
        bench.wait(60)
    assert await bench.uuids() == [f"e{minute}" for minute in range(60)]
    assert len(bench.log.asked) <= 120
    assert backfills <= 2


async def test_a_long_log_whose_places_are_all_refused_is_no_busy_loop(small: Bench) -> None:
    """Where the first page is full and no place behind it is taken, Okta is not asked without a pause for ever."""
    small.log.add(*(log_event(f"e{number}") for number in range(7)))
    small.log.is_stale = True
    await small.ask()
    for _ in range(3):
        steps = 0
        while await small.follower.step():
            steps += 1
            assert steps < 10
        small.wait(10)
    small.log.is_stale = False
    await small.drain()
    assert await small.uuids() == [f"e{number}" for number in range(7)]


async def test_a_filter_that_okta_refuses_is_left_out(bench: Bench) -> None:
    """Where Okta takes no filter of so many types, all of the log is read, and only what is followed is kept."""
    bench.log.refuses_filter = OktaError("The filter is too long.", status=400)
    bench.log.add(log_event("e1"), log_event("x1", "user.session.start", "00u7"), log_event("e2", user="00u2"))
    await bench.drain()
    assert "filter" not in bench.log.asked[1]
    assert (await bench.uuids(), await bench.due(), bench.follower.error) == (["e1", "e2"], ["00u1", "00u2"], "")
    assert await bench.sweeps() == []
    bench.log.add(log_event("e3"), log_event("x2", "policy.evaluate_sign_on"))
    bench.wait(10)
    await bench.drain()
    assert (await bench.uuids(), len(bench.sinces())) == (["e1", "e2", "e3"], 2)


@pytest.mark.parametrize("fault", [OktaForbidden("no scope", status=403), OktaUnavailable("down", status=500)])
async def test_only_a_400_says_that_the_filter_is_refused(bench: Bench, fault: OktaError) -> None:
    """Any other fault of the first page is a fault, and the filter stays."""
    bench.log.refuses_filter = fault
    with pytest.raises(type(fault)):
        await bench.follower.step()
    bench.log.refuses_filter = None
    await bench.follower.step()
    assert all("filter" in place for place in bench.log.asked)


async def test_a_release_that_follows_more_types_reads_them_from_the_last_poll_on(bench: Bench) -> None:
    """A place belongs to its filter: another filter begins anew, where nothing was missed."""
    await bench.follower.step()
    await bench.state.write(lambda db: db.execute("""UPDATE cursor SET types = '["user.lifecycle.create"]'""") and None)
    bench.wait(600)
    bench.log.add(log_event("e1"), at_ms=bench.now)
    await bench.follower.step()
    assert bench.sinces() == [NOW - MARGIN_MS, NOW - MARGIN_MS]
    assert (await bench.uuids(), await bench.sweeps()) == (["e1"], [])


@pytest.mark.parametrize(("days", "ordered"), [(80, []), (91, ["backfill"])])
async def test_an_outage_beyond_oktas_memory_orders_one_backfill(small: Bench, days: int, ordered: list[str]) -> None:
    """When the log was not read for longer than Okta keeps it, all users are to be read, once."""
    await small.follower.step()
    small.wait(days * 24 * 3600)
    small.log.add(*(log_event(f"e{number}") for number in range(7)), at_ms=small.now)
    await small.follower.step()
    assert await small.sweeps() == ordered
    await small.state.write(lambda db: [sweeps.end(db, each, small.now) for each in sweeps.open_sweeps(db)])
    await small.drain()
    small.wait(60)
    await small.drain()
    assert (len(await small.uuids()), await small.sweeps()) == (7, [])


async def test_a_backfill_of_before_the_gap_is_not_enough(bench: Bench) -> None:
    """A backfill soon after the last good poll knows nothing of what the log has forgotten since."""
    await bench.follower.step()
    early = NOW + HOUR
    number = await bench.state.write(lambda db: sweeps.order(db, "backfill", "by hand", early))
    await bench.state.write(lambda db: sweeps.end(db, sweeps.find(db, number), early))
    bench.wait(100 * 24 * 3600)
    await bench.drain()
    assert await bench.sweeps() == ["backfill"]


async def test_a_log_that_was_never_readable_for_so_long_orders_a_backfill(bench: Bench) -> None:
    """When the scope for the log comes after three months, what Okta has forgotten must be read from the users."""
    await bench.born(NOW - 100 * DAY)
    await bench.arrive(log_event("e0"), at_ms=NOW - 100 * DAY)
    await bench.drain()
    assert await bench.sweeps() == ["backfill"]
