"""A full read: every page of Okta's list kept with its place, and nobody gone because a list lacked them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from structlog.testing import capture_logs
from sweep_bench import Bench, ids_of, user_of

from rosterhook import directory
from rosterhook.arrivals import HOOK, record_event
from rosterhook.errors import OktaError, OktaForbidden, OktaUnavailable, StoreError
from rosterhook.okta.events import parse
from rosterhook.okta.users import EVERYBODY, STATUSES

BREAK = "CREATE TRIGGER broken BEFORE {} BEGIN SELECT RAISE(ABORT, 'no room'); END"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


async def test_everybody_is_read_and_written(bench: Bench) -> None:
    """A backfill reads every user of the org, page by page, and is over when the targets hold them."""
    ids = ids_of(10)
    bench.org.put(*(user_of(user_id, status=STATUSES[place % 8]) for place, user_id in enumerate(ids)))
    sweep = await bench.swept("backfill")
    assert (sweep.phase, sweep.error, sweep.listed, sweep.calls, sweep.known) == ("done", None, 10, 4, 0)
    assert {key: row["status"] for key, row in bench.target.rows.items()} == {
        user_id: STATUSES[place % 8] for place, user_id in enumerate(ids)
    }
    assert bench.org.asked_ids == []
    first = parse_qs(bench.org.asked[0].partition("?")[2])
    assert first == {"filter": [EVERYBODY], "limit": ["200"]}


async def test_an_empty_org_is_read(bench: Bench) -> None:
    """Where nobody is known and Okta lists nobody, that is no error."""
    sweep = await bench.swept("backfill")
    assert (sweep.phase, sweep.listed, await bench.why_lost()) == ("done", 0, "")


@pytest.mark.parametrize("what", ['INSERT ON "user"', "INSERT ON link", "UPDATE OF place ON sweep"])
async def test_users_and_place_are_one_transaction(bench: Bench, what: str) -> None:
    """A write that fails keeps neither the users of a page nor the place behind it; the next step keeps both."""
    ids = ids_of(7)
    bench.org.put(*(user_of(user_id) for user_id in ids))
    number = await bench.order("backfill")
    await bench.sweeper.step()
    await bench.sweeper.step()
    before = await bench.sweep(number)
    await bench.run_sql(BREAK.format(what))
    with pytest.raises(StoreError, match="no room"):
        await bench.sweeper.step()
    assert await bench.sweep(number) == before
    mark = before.mark
    for table in ('"user"', "link", f'"user" WHERE listed_mark = {mark}'):
        assert await bench.rows(f"SELECT count(*) FROM {table}") == [(3,)]
    await bench.run_sql("DROP TRIGGER broken")
    await bench.work()
    assert (sorted(bench.target.rows), (await bench.sweep(number)).listed) == (ids, 7)


async def test_a_row_that_is_older_changes_nothing(bench: Bench) -> None:
    """Who was read by id while the list was on its way is not put back to what the list shows."""
    ids = await bench.filled(4)
    bench.org.put(user_of(ids[1], 9, firstName="New"))
    bench.org.listed_as[ids[1]] = user_of(ids[1], 0)
    await bench.due_now(ids[1])
    await bench.work()
    sweep = await bench.swept("backfill")
    assert bench.target.rows[ids[1]]["first_name"] == "New"
    assert {key: sweep.report[key] for key in ("same", "stale", "changed", "doubtful")} == {
        "same": 3, "stale": 1, "changed": 0, "doubtful": 0,
    }  # fmt: skip
    assert sweep.report["okta"] == sweep.report["directory"]
    assert (sweep.report["read_later"], bench.org.asked_ids) == (1, [ids[1]])


async def test_a_row_with_the_same_stamp_is_settled_by_id(bench: Bench) -> None:
    """Two states of one second cannot be ordered by their stamp: the user is read by id, and the list is no proof."""
    ids = await bench.filled(4)
    bench.org.put(user_of(ids[2], firstName="Right"))
    bench.org.listed_as[ids[2]] = user_of(ids[2], firstName="Wrong")
    sweep = await bench.swept("backfill")
    assert (bench.org.asked_ids, bench.target.rows[ids[2]]["first_name"]) == ([ids[2]], "Right")
    assert (sweep.report["doubtful"], sweep.report["changed"]) == (1, 0)
    assert all(row["first_name"] != "Wrong" for row in bench.target.rows.values())


async def test_the_proof_waits_for_who_is_in_doubt(bench: Bench) -> None:
    """Who was made due by the list is read before both sides are said to be equal."""
    ids = await bench.filled(4)
    bench.org.put(user_of(ids[2], firstName="Right"))
    number = await bench.order("backfill")
    for _ in range(20):
        await bench.sweeper.step()
    assert (await bench.due(), (await bench.sweep(number)).finished_ms) == ([ids[2]], None)
    await bench.work()
    assert bench.target.rows[ids[2]]["first_name"] == "Right"


async def test_a_tombstone_is_not_resurrected_by_a_list(bench: Bench) -> None:
    """Who was deleted while a slow read was on its way stays deleted, in the directory and in the target."""
    ids = await bench.filled(6)
    number = await bench.order("backfill")
    await bench.sweeper.step()
    # The list that Okta answers was made before the deletion.
    bench.org.listed_as[ids[1]] = bench.org.users[ids[1]]

    async def delete() -> None:
        bench.org.during = None
        await bench.write(
            lambda db: directory.record_gone(db, ids[1], targets=["app"], waiting_ms=None, now=bench.clock())
        )
        bench.org.hidden.add(ids[1])

    bench.org.during = delete
    await bench.work()
    assert (await bench.deleted(), bench.target.rows[ids[1]]["status"]) == ([ids[1]], "DELETED")
    sweep = await bench.sweep(number)
    assert (sweep.report["doubtful"], bench.org.asked_ids) == (1, [ids[1]])


async def test_who_is_there_again_comes_back_by_id_alone(bench: Bench) -> None:
    """A tombstone of somebody whom the list has is lifted by Okta's answer by id."""
    ids = await bench.filled(3)
    await bench.write(lambda db: directory.record_gone(db, ids[0], targets=["app"], waiting_ms=None, now=1))
    sweep = await bench.swept("backfill")
    assert (bench.org.asked_ids, await bench.deleted()) == ([ids[0]], [])
    assert (bench.target.rows[ids[0]]["status"], sweep.report["okta"]["count"]) == ("ACTIVE", 3)


async def test_who_is_missing_is_asked_for_by_id(bench: Bench) -> None:
    """A list is no proof: whom it lacks and Okta has is there; nothing happens to them."""
    ids = await bench.filled(8)
    bench.org.unlisted |= {ids[0], ids[7]}
    sweep = await bench.swept("backfill")
    assert (sorted(bench.org.asked_ids), await bench.deleted(), await bench.parked()) == ([ids[0], ids[7]], [], [])
    assert {key: sweep.report[key] for key in ("listed", "missing", "not_found")} == {
        "listed": 6, "missing": 2, "not_found": 0,
    }  # fmt: skip
    assert sweep.report["okta"] == sweep.report["directory"]
    assert sweep.report["okta"]["count"] == 8


@pytest.mark.parametrize(
    "event_type", ["user.lifecycle.delete.initiated", "user.lifecycle.delete.completed", "system.import.user.delete"]
)
async def test_who_is_missing_and_whose_leaving_was_told_is_gone(bench: Bench, event_type: str) -> None:
    """Missing in the list, 404 by id, and an event that explains it: that is a deletion."""
    ids = await bench.filled(8)
    del bench.org.users[ids[3]]
    raw = f'{{"uuid": "e", "eventType": "{event_type}", "target": [{{"id": "{ids[3]}", "type": "User"}}]}}'
    await bench.write(lambda db: record_event(db, parse(raw.encode()), HOOK, bench.now, bench.now))
    await bench.run_sql("DELETE FROM subject")
    sweep = await bench.swept("backfill")
    assert (await bench.deleted(), await bench.parked()) == ([ids[3]], [])
    assert bench.target.rows[ids[3]]["status"] == "DELETED"
    assert sweep.report["okta"] == sweep.report["directory"]
    assert (sweep.report["okta"]["count"], await bench.why_lost()) == (7, "")


async def test_who_is_missing_without_a_word_is_parked(bench: Bench) -> None:
    """Missing in the list, 404 by id, and nothing that explains it: the user is parked, and the proof says unequal."""
    ids = await bench.filled(8)
    bench.org.hidden.add(ids[3])
    sweep = await bench.swept()
    assert (await bench.deleted(), await bench.parked()) == ([], [ids[3]])
    assert bench.target.rows[ids[3]]["status"] == "ACTIVE"
    assert (sweep.phase, sweep.report["not_found"], sweep.report["equal"]) == ("done", 1, False)
    assert (sweep.report["okta"]["count"], sweep.report["directory"]["count"]) == (7, 8)


async def test_a_deactivated_user_who_vanishes_without_a_word_is_parked(bench: Bench) -> None:
    """A deactivation explains nobody's absence: Okta still lists who is deactivated, and tells of each deletion."""
    ids = await bench.filled(8)
    bench.org.put(user_of(ids[3], 1, status="DEPROVISIONED"))
    await bench.swept("backfill")
    del bench.org.users[ids[3]]
    sweep = await bench.swept("backfill")
    assert (await bench.deleted(), await bench.parked()) == ([], [ids[3]])
    assert (bench.target.rows[ids[3]]["status"], sweep.report["not_found"]) == ("DEPROVISIONED", 1)


async def test_users_who_appear_or_change_meanwhile_are_right_in_the_end(bench: Bench) -> None:
    """A list is no snapshot: who is changed or made while it is read is as Okta has them, whatever page had them."""
    ids = await bench.filled(9)
    new = ids_of(1, 90)[0]

    async def change() -> None:
        bench.org.during = None
        bench.org.put(user_of(ids[0], 7, firstName="Later"), user_of(ids[8], 7, firstName="Later"), user_of(new, 7))
        for user_id in (ids[0], ids[8], new):
            await bench.due_now(user_id)

    bench.org.during = change
    sweep = await bench.swept("backfill")
    assert {key: row["first_name"] for key, row in bench.target.rows.items()} == {
        **dict.fromkeys(ids, "Ada"), ids[0]: "Later", ids[8]: "Later", new: "Ada",
    }  # fmt: skip
    assert sweep.report["okta"] == sweep.report["directory"]


async def test_a_place_that_okta_does_not_know_begins_the_list_anew(bench: Bench) -> None:
    """When the next page is refused, the list is read from its beginning, and all of it counts once."""
    ids = ids_of(8)
    bench.org.put(*(user_of(user_id) for user_id in ids))
    bench.org.stale = 1
    number = await bench.order("backfill")
    with capture_logs() as logs:
        await bench.work()
    sweep = await bench.sweep(number)
    assert (sweep.phase, sweep.listed, sweep.report["listed"], sorted(bench.target.rows)) == ("done", 8, 8, ids)
    assert len(bench.org.asked) == 1 + 1 + 3
    assert [log["sweep"] for log in logs if log["event"] == "sweep.begun_anew"] == [number]


@pytest.mark.parametrize("endless", [{"circle": True}, {"stale": 1000}])
async def test_a_list_that_never_ends_is_told(bench: Bench, endless: dict[str, int]) -> None:
    """A list that leads in a circle, or whose places are refused again and again, is not read for ever in silence."""
    bench.org.put(*(user_of(user_id) for user_id in ids_of(8)))
    vars(bench.org).update(endless)
    number = await bench.order("backfill")
    for _ in range(50):
        with suppress(OktaError):
            await bench.sweeper.step()
    assert (await bench.sweep(number)).error
    assert len(bench.org.asked) < 50


@pytest.mark.parametrize("fault", [OktaForbidden("no scope", status=403), OktaUnavailable("down", status=503)])
async def test_a_fault_of_okta_keeps_the_place_and_is_told(bench: Bench, fault: OktaForbidden) -> None:
    """While Okta refuses its list, the sweep stays where it was, says why, deletes nobody, and then goes on."""
    ids = await bench.filled(8)
    number = await bench.order("backfill")
    await bench.sweeper.step()
    await bench.sweeper.step()
    bench.org.fault = fault
    for _ in range(3):
        with pytest.raises(type(fault)):
            await bench.sweeper.step()
    sweep = await bench.sweep(number)
    assert (sweep.phase, sweep.listed, sweep.error, await bench.deleted()) == ("reading", 3, str(fault), [])
    bench.org.fault = None
    await bench.work()
    sweep = await bench.sweep(number)
    assert (sweep.phase, sweep.listed, sweep.error) == ("done", 8, None)
    assert (sorted(bench.target.rows), len(bench.org.asked)) == (ids, 3 + 3)


async def test_rows_without_an_id_harm_nobody(bench: Bench) -> None:
    """What the list has without an id is left out, with a warning; the others of the page are kept."""
    bench.org.put(*(user_of(user_id) for user_id in ids_of(2)))
    bench.org.extra = [{}, {"id": None}, {"id": 7, "profile": {}}, {"id": "", "status": "ACTIVE"}]
    with capture_logs() as logs:
        sweep = await bench.swept("backfill")
    assert (sweep.phase, sweep.listed, sorted(bench.target.rows)) == ("done", 2, ids_of(2))
    assert [log["rows"] for log in logs if log["event"] == "users.without_id"] == [4]


@pytest.mark.parametrize("people", [5, 2])
async def test_a_user_who_is_listed_twice_is_one(bench: Bench, people: int) -> None:
    """Okta may list somebody twice while a list is read, on two pages or on one: the newer row counts."""
    ids = ids_of(people)
    bench.org.put(*(user_of(user_id) for user_id in ids))
    bench.org.extra = [user_of(ids[0], 3, firstName="Newer")]
    sweep = await bench.swept("backfill")
    assert (sweep.report["listed"], sweep.report["okta"]["count"]) == (people, people)
    assert sweep.report["okta"] == sweep.report["directory"]
    assert bench.target.rows[ids[0]]["first_name"] == "Newer"
