"""The sweeper: when it works, how far, and that a worker that is killed loses nothing of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from sweep_bench import Bench, ids_of, user_of

from rosterhook import sweeps
from rosterhook.errors import TargetError
from rosterhook.model import iso
from rosterhook.notes import BORN, leave_note, read_note
from rosterhook.okta.events import parse_stamp
from rosterhook.reconcile import FILL_SECONDS, last_time_ms
from rosterhook.store.database import Database

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


@pytest.fixture
def _berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine's clock shows the time of Berlin: UTC+1, and +2 from March to October."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        yield
    time.tzset()


async def test_a_reconcile_of_equal_sides_ends_with_a_proof(bench: Bench) -> None:
    """Okta, directory and target have the same count and digest, and nothing is written."""
    await bench.filled(7)
    sweep = await bench.swept()
    assert (sweep.phase, sweep.report["equal"], sweep.report["changed"]) == ("done", True, 0)
    assert sweep.report["okta"] == sweep.report["directory"]
    target = sweep.report["targets"]["app"]
    assert target["wanted"] == target["held"]
    assert target["wanted"]["count"] == sweep.report["okta"]["count"] == 7
    assert target["wanted"]["digest"] == sweep.report["directory"]["digest"]


async def test_a_reconcile_finds_and_mends_what_okta_has_changed(bench: Bench) -> None:
    """Who was changed, made and deleted without an event is found field by field, and is right in the end."""
    ids = await bench.filled(7)
    new = ids_of(1, 50)[0]
    bench.org.put(user_of(ids[0], 5, firstName="Grace", title="Lead"), user_of(new, firstName="Joan"))
    number = await bench.order()
    await bench.work()
    sweep = await bench.sweep(number)
    assert sweep.report["equal"]
    assert {user_id: row["first_name"] for user_id, row in bench.target.rows.items()} == {
        **dict.fromkeys(ids, "Ada"), ids[0]: "Grace", new: "Joan",
    }  # fmt: skip
    [changed, missing] = await bench.found(number)
    stamps = ["2026-02-01T00:00:00.000Z", "2026-02-01T00:00:05.000Z"]
    assert changed == {
        "target": "", "user": ids[0], "kind": "changed",
        "fields": {"lastUpdated": stamps, "profile.firstName": ["Ada", "Grace"], "profile.title": [None, "Lead"]},
    }  # fmt: skip
    assert (missing["target"], missing["user"], missing["kind"]) == ("", new, "missing")
    assert missing["fields"]["profile.firstName"] == [None, "Joan"]


async def test_a_backfill_keeps_no_differences(bench: Bench) -> None:
    """A backfill of a million users is no list of a million differences, and it compares no target."""
    bench.org.put(*(user_of(user_id) for user_id in ids_of(5)))
    number = await bench.order("backfill")
    await bench.work()
    assert (await bench.found(number), "targets" in (await bench.sweep(number)).report) == ([], False)


@pytest.mark.parametrize("phase", ["asked", "reading", "confirming", "filling", "comparing", "repairing"])
async def test_a_sweep_that_is_killed_in_a_phase_goes_on(bench: Bench, phase: str) -> None:
    """Wherever a worker dies, the next one goes on from there, and the end is the same."""
    ids = await bench.filled(8)
    bench.org.put(user_of(ids[0], 5, firstName="Grace"))
    bench.org.unlisted.add(ids[3])
    bench.target.rows[ids[1]]["first_name"] = "Edited"
    del bench.target.rows[ids[2]]
    number = await bench.order()
    seen: list[str] = []
    while (now := (await bench.sweep(number)).phase) not in ("done", "failed"):
        seen.append(now)
        if now == phase:
            await bench.state.close()
            bench.state = Database(bench.folder / "state.db", "state")
            bench.start()
        if not await bench.round():
            bench.wait(20)
    assert phase in seen
    sweep = await bench.sweep(number)
    assert (sweep.report["equal"], sweep.listed, sweep.report["listed"], sweep.calls) == (True, 7, 7, 3)
    assert [row["first_name"] for _, row in sorted(bench.target.rows.items())] == ["Grace", *["Ada"] * 7]
    assert sweep.report["targets"]["app"]["found"] == {"changed": 1, "missing": 1, "surplus": 0}
    assert [one["kind"] for one in await bench.found(number) if one["target"] == "app"] == ["changed", "missing"]


async def test_every_step_of_another_worker_ends_the_same(bench: Bench) -> None:
    """Even when each step is made by a new worker, every page is read once."""
    ids = ids_of(10)
    bench.org.put(*(user_of(user_id) for user_id in ids))
    number = await bench.order("backfill")
    while (await bench.sweep(number)).finished_ms is None:
        bench.start()
        await bench.round()
    assert (sorted(bench.target.rows), len(bench.org.asked)) == (ids, 4)


async def test_the_rest_of_the_window_is_for_live_changes(bench: Bench) -> None:
    """Where little of Okta's limit is left, a sweep waits and asks nothing, until the next window."""
    await bench.filled(7)
    number = await bench.order()
    await bench.sweeper.step()
    await bench.budget.acquire("users")
    limits = {"x-rate-limit-limit": "100", "x-rate-limit-remaining": "10", "x-rate-limit-reset": "2000000060"}
    bench.budget.release("users", 200, {**limits, "date": "Wed, 18 May 2033 03:33:20 GMT"})
    assert bench.budget.free("users") == 10
    assert [await bench.sweeper.step() for _ in range(3)] == [False] * 3
    assert (bench.org.asked, (await bench.sweep(number)).phase) == ([], "reading")
    bench.wait(62)
    assert await bench.sweeper.step()
    assert len(bench.org.asked) == 1


async def test_one_sweep_after_the_other(bench: Bench) -> None:
    """Sweeps are worked off in the order in which they were ordered; one that has not begun serves all who want it."""
    bench.org.put(*(user_of(user_id) for user_id in ids_of(4)))
    first, second = await bench.order("backfill"), await bench.order()
    assert (await bench.order("backfill"), await bench.order(), await bench.order(target="app")) == (first, second, 3)
    await bench.sweeper.step()
    assert await bench.order("backfill") == 4
    order: list[int] = []
    while waiting := await bench.state.read(sweeps.open_sweeps):
        order += [waiting[0].id] if waiting[0].id not in order else []
        if not await bench.round():
            bench.wait(20)
    assert order == [1, 2, 3, 4]


async def test_changes_are_read_from_the_last_good_sweep_on(bench: Bench) -> None:
    """After an import only who was changed since the last full read is asked for, an hour earlier for safety."""
    ids = await bench.filled(7)
    began = (await bench.sweep(1)).started_ms or 0
    bench.org.put(user_of(ids[5], 9, firstName="Imported"))
    bench.org.users[ids[5]]["lastUpdated"] = iso(bench.now)
    del bench.org.users[ids[0]]
    bench.target.rows[ids[1]]["first_name"] = "Edited"
    sweep = await bench.swept("changes")
    [place] = bench.org.asked
    assert parse_qs(place.partition("?")[2])["filter"] == [f'lastUpdated gt "{iso(began - HOUR_MS)}"']
    assert (sweep.phase, sweep.listed, sweep.report["changed"]) == ("done", 1, 1)
    assert bench.target.rows[ids[5]]["first_name"] == "Imported"
    # Neither who is missing in the list nor the target is its business.
    assert (bench.org.asked_ids, bench.target.rows[ids[1]]["first_name"]) == ([], "Edited")


@pytest.mark.parametrize("days", [None, 3])
async def test_changes_are_read_since_the_last_full_read_or_the_first_start(bench: Bench, days: int | None) -> None:
    """However long ago it was: an import that nobody told of by name may be as old."""
    began = bench.now
    await bench.write(lambda db: leave_note(db, BORN, {"at_ms": began}, began))
    if days:
        await bench.filled(2)
        bench.wait(days * DAY_MS / 1000)
    await bench.order("changes")
    await bench.sweeper.step()
    await bench.sweeper.step()
    [place] = bench.org.asked
    since = parse_qs(place.partition("?")[2])["filter"][0].partition('"')[2].rstrip('"')
    assert began - HOUR_MS <= (parse_stamp(since) or 0) < began - HOUR_MS + 1000


async def test_a_target_that_takes_nothing_holds_no_sweep_up_for_ever(bench: Bench) -> None:
    """While a target takes users the sweep waits for it; when nothing gets less for a minute, it ends."""
    bench.org.put(*(user_of(user_id) for user_id in ids_of(4)))
    number = await bench.order("backfill")
    while (await bench.sweep(number)).phase != "filling":
        await bench.sweeper.step()
    for seconds, over in ((0, False), (FILL_SECONDS - 1, False), (2, True)):
        bench.wait(seconds)
        await bench.sweeper.step()
        assert ((await bench.sweep(number)).finished_ms is not None) is over
    assert await bench.rows("SELECT DISTINCT state FROM link") == [("pending",)]


async def test_a_target_that_is_slow_is_waited_for(bench: Bench) -> None:
    """As long as fewer users wait than before, the sweep waits, however long it takes."""
    bench.org.put(*(user_of(user_id) for user_id in ids_of(4)))
    number = await bench.order("backfill")
    while (await bench.sweep(number)).phase != "filling":
        await bench.sweeper.step()
    for user_id in ids_of(4):
        bench.wait(FILL_SECONDS - 1)
        assert not await bench.sweeper.step()
        await bench.run_sql(f"UPDATE link SET state = 'ok', done = wanted WHERE user_id = '{user_id}'")
    await bench.sweeper.step()
    assert (await bench.sweep(number)).phase == "done"


@pytest.mark.parametrize("rows", [0, 1200])
async def test_a_target_that_cannot_be_read_is_told_and_not_equal(bench: Bench, rows: int) -> None:
    """Where a target is down during the comparison, or goes down in the middle of it, the sweep ends and says so; the
    proof is not equal, and nothing is left running.
    """
    await bench.filled(3)
    number = await bench.order()

    async def snapshot() -> AsyncIterator[dict[str, object]]:
        for each in range(rows):
            yield {"id": f"another program's {each}"}
        raise TargetError("it is down.", hint="Start it.")

    bench.target.snapshot = snapshot
    await bench.work()
    sweep = await bench.sweep(number)
    assert (sweep.phase, sweep.error, sweep.report["equal"]) == ("done", None, False)
    assert sweep.report["targets"]["app"] == {"equal": False, "error": "it is down. Start it."}
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_only_the_target_that_was_named_is_compared(bench: Bench) -> None:
    """`--target` leaves the others out of the comparison."""
    ids = await bench.filled(3)
    bench.target.rows[ids[0]]["first_name"] = "Edited"
    sweep = await bench.swept(target="other")
    assert (sweep.report["targets"], bench.target.rows[ids[0]]["first_name"]) == ({}, "Edited")
    sweep = await bench.swept(target="app")
    assert (list(sweep.report["targets"]), bench.target.rows[ids[0]]["first_name"]) == (["app"], "Ada")


def local(*parts: int) -> int:
    """A time by this machine's clock, in milliseconds."""
    return round(datetime(*parts).timestamp() * 1000)  # noqa: DTZ001 - that is the question


@pytest.mark.parametrize(
    ("now", "last"),
    [
        ((2026, 3, 1, 2, 29), (2026, 2, 28, 2, 30)),
        ((2026, 3, 1, 2, 30), (2026, 3, 1, 2, 30)),
        ((2026, 3, 1, 23, 59), (2026, 3, 1, 2, 30)),
        ((2026, 1, 1, 0, 0), (2025, 12, 31, 2, 30)),
    ],
)
@pytest.mark.usefixtures("_berlin")
def test_the_last_time_of_day_is_by_this_machines_clock(now: tuple[int, ...], last: tuple[int, ...]) -> None:
    """Before the time of day it is yesterday's, from then on today's."""
    assert last_time_ms("02:30", local(*now)) == local(*last)
    assert last_time_ms("", local(*now)) == 0


async def nights(bench: Bench, minutes: int, step: int = 10) -> list[int]:
    """Let time pass; when reconciles were ordered meanwhile."""
    if await bench.state.read(lambda db: read_note(db, BORN)[1]) is None:
        await bench.write(lambda db: leave_note(db, BORN, {"at_ms": bench.now}, bench.now))
    for _ in range(0, minutes, step):
        bench.wait(step * 60)
        while await bench.round():
            pass
    found = await bench.rows("SELECT asked_ms FROM sweep WHERE kind = 'reconcile' AND reason = 'nightly' ORDER BY id")
    return [asked // MINUTE_MS * MINUTE_MS for (asked,) in found]


@pytest.mark.usefixtures("_berlin")
async def test_once_a_night_and_not_at_once_after_a_start(bench: Bench) -> None:
    """A service that starts at noon reconciles at its time of day, and then each night, once."""
    bench.at = "02:30"
    bench.now = local(2026, 3, 1, 12, 0)
    bench.start()
    assert await nights(bench, 14 * 60) == []
    found = await nights(bench, 34 * 60)
    assert found == [local(2026, 3, 2, 2, 30), local(2026, 3, 3, 2, 30)]
    bench.start()
    assert await nights(bench, 12 * 60) == found


@pytest.mark.usefixtures("_berlin")
async def test_a_reconcile_by_hand_counts_for_the_night(bench: Bench) -> None:
    """Who has reconciled after the time of day, while the service did not run, has done it for that day."""
    bench.at = "02:30"
    bench.now = local(2026, 3, 1, 12, 0)
    bench.start()
    bench.now = local(2026, 3, 2, 2, 31)
    await bench.swept()
    assert await nights(bench, 10 * 60) == []


async def test_without_a_time_of_day_there_is_no_nightly_one(bench: Bench) -> None:
    """An empty `reconcile.at` is never."""
    assert await nights(bench, 72 * 60, 60) == []


@pytest.mark.usefixtures("_berlin")
@pytest.mark.parametrize(("month", "day"), [(3, 29), (10, 25)])
async def test_once_a_night_also_when_the_clocks_change(bench: Bench, month: int, day: int) -> None:
    """In the night in which an hour is skipped or repeated there is one reconcile, and not two or none."""
    bench.at = "02:30"
    bench.now = local(2026, month, day - 1, 18, 0)
    bench.start()
    assert len(await nights(bench, 18 * 60)) == 1
