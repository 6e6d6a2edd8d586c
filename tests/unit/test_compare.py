"""The comparison of a target with the directory: what is found, what is mended, and what is nobody's business."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sweep_bench import Bench, ids_of, user_of

from rosterhook import holds, sweeps
from rosterhook.compare import BATCH, Comparison
from rosterhook.config import Policy
from rosterhook.holds import Limit
from rosterhook.model import Change, Drift, Park
from rosterhook.proof import Total
from rosterhook.sweeps import MOST_FINDINGS

COUNTS = ("changed", "missing", "surplus", "foreign", "waiting", "moving", "mended")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


async def compared(bench: Bench, **options: Any) -> tuple[dict[str, Any], dict[str, int]]:
    """A reconcile; what it tells of the target, and what it first found there, without zeros."""
    sweep = await bench.swept(**options)
    assert sweep.phase == "done"
    told = sweep.report["targets"]["app"]
    first = {**told, **told.get("found", {})}
    return told, {name: first[name] for name in COUNTS if first[name]}


def edit(bench: Bench, ids: list[str]) -> None:
    """Edit one row, remove another, and add one of a user of Okta whom the target lacks."""
    bench.target.rows[ids[0]]["first_name"] = "Edited"
    del bench.target.rows[ids[1]]


async def test_edited_and_removed_rows_are_found_and_mended(bench: Bench) -> None:
    """What somebody has edited or removed is told field by field, put right, and compared once more as the proof."""
    ids = await bench.filled(5)
    edit(bench, ids)
    number = await bench.order()
    await bench.work()
    told = (await bench.sweep(number)).report["targets"]["app"]
    assert [bench.target.rows[user_id]["first_name"] for user_id in ids] == ["Ada"] * 5
    assert (told["equal"], told["mended"], told["found"]) == (True, 2, {"changed": 1, "missing": 1, "surplus": 0})
    assert (told["changed"], told["missing"], told["wanted"]) == (0, 0, told["held"])
    changed, missing = await bench.found(number)
    assert changed == {"target": "app", "user": ids[0], "kind": "changed", "fields": {"first_name": ["Edited", "Ada"]}}
    assert (missing["user"], missing["kind"], missing["fields"]["first_name"]) == (ids[1], "missing", [None, "Ada"])
    assert (await bench.sweep(number)).report["equal"]


async def test_where_drift_is_only_reported_nothing_is_written(bench: Bench) -> None:
    """With drift = "report" the same is found, the target stays as it is, and the proof says unequal."""
    bench.repairs = False
    ids = await bench.filled(5)
    edit(bench, ids)
    [stranger] = ids_of(1, 99)
    bench.target.rows[stranger] = {**bench.target.rows[ids[2]], "id": stranger}
    before = {user_id: dict(row) for user_id, row in bench.target.rows.items()}
    told, found = await compared(bench)
    assert (found, told["equal"]) == ({"changed": 1, "missing": 1, "surplus": 1}, False)
    assert told["wanted"] != told["held"]
    assert (bench.target.rows, bench.org.asked_ids, await bench.deleted()) == (before, [], [])


@pytest.mark.parametrize(
    "key", ["admin", "", "42", "00u1", "00u" + "0" * 18, "00U" + "0" * 17, "0oa" + "0" * 17, "00u" + "-" * 17]
)
async def test_a_row_that_is_no_user_of_okta_is_never_touched(bench: Bench, key: str) -> None:
    """A row whose key is no id of Okta's users is another program's: it is counted, and that is all."""
    await bench.filled(3)
    bench.target.rows[key] = row = {**bench.target.rows[ids_of(1)[0]], "id": key, "first_name": "Of the app"}
    told, found = await compared(bench)
    assert (found, told["equal"]) == ({"foreign": 1}, True)
    assert (bench.target.rows[key], bench.org.asked_ids, await bench.deleted()) == (row, [], [])


async def test_a_row_without_a_key_is_never_touched(bench: Bench) -> None:
    """A row of the app's own, that has no id of Okta at all, is left alone."""
    await bench.filled(3)
    bench.target.rows["local"] = row = {**bench.target.rows[ids_of(1)[0]], "id": None}
    _, found = await compared(bench)
    assert (found, bench.target.rows["local"]) == ({"foreign": 1}, row)


@pytest.mark.parametrize(("policy", "status"), [("delete", None), ("mark", "DELETED"), ("keep", "ACTIVE")])
async def test_a_row_of_a_user_whom_okta_does_not_know_goes_by_the_policy_once_approved(
    tmp_path: Path, policy: Policy, status: str | None
) -> None:
    """Somebody with an id of Okta's whom nobody knows is asked for; not found, a person decides about the row."""
    bench = Bench(tmp_path, deleted=policy)
    ids = await bench.filled(3)
    stranger = ids_of(1, 99)[0]
    bench.target.rows[stranger] = {**bench.target.rows[ids[0]], "id": stranger}
    told, found = await compared(bench)
    assert (found, bench.org.asked_ids) == ({"surplus": 1, "waiting": 1, "mended": 1}, [stranger])
    assert (bench.target.rows[stranger]["status"], await bench.deleted(), told["equal"]) == (
        "ACTIVE",
        [stranger],
        False,
    )
    [hold] = await bench.state.read(holds.list_holds)
    await bench.write(lambda db: holds.approve(db, hold.id, bench.now))
    await bench.dispatcher.step()
    row = bench.target.rows.get(stranger)
    assert (row and row["status"]) == status
    told, found = await compared(bench)
    assert (told["equal"], found) == (True, {})
    await bench.close()


async def test_a_row_of_a_user_whom_okta_knows_is_put_right(bench: Bench) -> None:
    """A surplus row of somebody who exists, and whom the list lacked, stays, with what Okta says of them."""
    ids = await bench.filled(3)
    late = ids_of(1, 99)[0]
    bench.org.put(user_of(late, firstName="Late"))
    bench.org.unlisted.add(late)
    bench.target.rows[late] = {**bench.target.rows[ids[0]], "id": late}
    told, _ = await compared(bench)
    assert (bench.target.rows[late]["first_name"], told["equal"], await bench.deleted()) == ("Late", True, [])


async def test_surplus_rows_count_as_removals(bench: Bench) -> None:
    """Very many rows of users whom Okta does not know are held like any batch of removals."""
    bench.limit = Limit(users=3, percent=5.0)
    bench.start()
    ids = await bench.filled(10)
    strangers = ids_of(5, 90)
    for stranger in strangers:
        bench.target.rows[stranger] = {**bench.target.rows[ids[0]], "id": stranger}
    _, found = await compared(bench)
    [hold] = await bench.state.read(holds.list_holds)
    assert ([user["id"] for user in hold.users], found["surplus"]) == (strangers, 5)
    assert {bench.target.rows[stranger]["status"] for stranger in strangers} == {"ACTIVE"}
    await bench.write(lambda db: holds.approve(db, hold.id, bench.now))
    await bench.work()
    assert {bench.target.rows[stranger]["status"] for stranger in strangers} == {"DELETED"}


async def test_who_was_switched_on_by_hand_counts_as_a_removal(bench: Bench) -> None:
    """Deactivated users whose rows somebody has set to active are removed again, and very many are held."""
    bench.limit = Limit(users=3, percent=5.0)
    bench.start()
    ids = await bench.filled(10)
    for user_id in ids[:5]:
        bench.org.put(user_of(user_id, 1, status="DEPROVISIONED"))
        await bench.swept("backfill")
        bench.wait(3600)
    assert await bench.state.read(holds.list_holds) == []
    for user_id in ids[:5]:
        bench.target.rows[user_id]["status"] = "ACTIVE"
    await compared(bench)
    [hold] = await bench.state.read(holds.list_holds)
    assert [user["id"] for user in hold.users] == ids[:5]
    assert {bench.target.rows[user_id]["status"] for user_id in ids[:5]} == {"ACTIVE"}


async def test_rows_of_deactivated_users_that_were_lost_are_no_removals(bench: Bench) -> None:
    """Where a table was emptied by hand, everybody is written anew, the deactivated too: nobody is removed by that."""
    bench.limit = Limit(users=3, percent=5.0)
    bench.start()
    ids = ids_of(10)
    bench.org.put(*(user_of(each, status="DEPROVISIONED" if each in ids[:5] else "ACTIVE") for each in ids))
    await bench.swept("backfill")
    bench.wait(3600)
    bench.target.rows.clear()
    told, found = await compared(bench)
    assert (found, await bench.state.read(holds.list_holds)) == ({"missing": 10, "mended": 10}, [])
    assert (len(bench.target.rows), told["equal"]) == (10, True)


async def test_an_edit_in_the_row_of_a_deactivated_user_is_no_removal(bench: Bench) -> None:
    """Rows that say that their users are deactivated, and lost some other value, are mended without an approval."""
    bench.limit = Limit(users=3, percent=5.0)
    bench.start()
    ids = ids_of(10)
    bench.org.put(*(user_of(each, status="DEPROVISIONED" if each in ids[:5] else "ACTIVE") for each in ids))
    await bench.swept("backfill")
    bench.wait(3600)
    for user_id in ids[:5]:
        bench.target.rows[user_id]["first_name"] = None
    told, found = await compared(bench)
    assert (found, await bench.state.read(holds.list_holds)) == ({"changed": 5, "mended": 5}, [])
    assert told["equal"]


@pytest.mark.parametrize("state", ["pending", "delivered since"])
async def test_who_is_being_written_is_no_drift(bench: Bench, state: str) -> None:
    """A row that is being written is no drift: once it is written, it is compared again, and only that is the proof."""
    ids = await bench.filled(4)
    bench.target.rows[ids[0]]["first_name"] = "Older"
    number = await bench.order()
    while (await bench.sweep(number)).phase != "comparing":
        await bench.round()
        bench.wait(1)
    if state == "pending":
        await bench.run_sql(
            f"UPDATE link SET state = 'pending', due_ms = {bench.now + 10**9} WHERE user_id = '{ids[0]}'"
        )
    else:
        await bench.run_sql(f"UPDATE link SET done_ms = {bench.now + 10**6} WHERE user_id = '{ids[0]}'")
    await bench.sweeper.step()
    told = (await bench.sweep(number)).report["targets"]["app"]
    assert ({name: told[name] for name in COUNTS if told[name]}, told["equal"]) == ({"moving": 1}, False)
    assert (await bench.found(number), (await bench.sweep(number)).phase) == ([], "repairing")


@pytest.mark.parametrize("state", ["parked", "held"])
async def test_who_waits_for_a_person_is_unequal_and_not_touched(bench: Bench, state: str) -> None:
    """A user whom the target refuses, or whose removal is held, is told as different; no sweep writes them."""
    ids = await bench.filled(4)
    await bench.run_sql(f"UPDATE link SET state = '{state}', held_ms = 1, error = 'no' WHERE user_id = '{ids[0]}'")
    bench.target.rows[ids[0]]["first_name"] = "As it was"
    told, found = await compared(bench)
    assert (found, told["equal"]) == ({"changed": 1, "waiting": 1}, False)
    assert bench.target.rows[ids[0]]["first_name"] == "As it was"
    assert await bench.rows(f"SELECT state, error FROM link WHERE user_id = '{ids[0]}'") == [(state, "no")]


async def test_a_row_that_the_target_refuses_to_mend_is_parked(bench: Bench) -> None:
    """When a row that differs cannot be written, the user is parked, the others are mended, and the proof says so."""
    ids = await bench.filled(4)
    edit(bench, ids)
    deliver = bench.target.deliver

    async def refuse(changes: list[Change]) -> list[Any]:
        outcomes = await deliver([change for change in changes if change.user_id != ids[0]])
        return [Park("no") if change.user_id == ids[0] else outcomes.pop(0) for change in changes]

    bench.target.deliver = refuse
    told, _ = await compared(bench)
    assert (told["equal"], told["found"]["changed"], told["changed"], told["waiting"]) == (False, 1, 1, 1)
    assert (bench.target.rows[ids[0]]["first_name"], ids[1] in bench.target.rows) == ("Edited", True)


@pytest.mark.parametrize(
    ("policies", "rows"),
    [
        ({}, ["ACTIVE", "DEPROVISIONED", "SUSPENDED", "DELETED"]),
        ({"deactivated": "delete", "suspended": "delete", "deleted": "delete"}, ["ACTIVE"]),
        ({"deactivated": "keep", "suspended": "keep", "deleted": "keep"}, ["ACTIVE"] * 4),
    ],
)
async def test_every_policy_is_no_drift(tmp_path: Path, policies: dict[str, Policy], rows: list[str]) -> None:
    """Rows of deactivated, suspended and deleted users, or the lack of them, are as the policies want them."""
    bench = Bench(tmp_path, **policies)
    ids = await bench.filled(4)
    bench.org.put(user_of(ids[1], 1, status="DEPROVISIONED"), user_of(ids[2], 1, status="SUSPENDED"))
    del bench.org.users[ids[3]]
    await bench.swept("backfill", accept_missing=True)
    assert [row["status"] for _, row in sorted(bench.target.rows.items())] == rows
    bench.wait(60)
    told, found = await compared(bench)
    assert (found, told["equal"], await bench.deleted()) == ({}, True, [ids[3]])
    await bench.close()


async def test_a_row_that_should_not_be_there_is_removed(tmp_path: Path) -> None:
    """Under "delete", a row of a deactivated or deleted user that somebody has put back is removed again."""
    bench = Bench(tmp_path, deactivated="delete", deleted="delete")
    ids = await bench.filled(4)
    rows = {user_id: dict(bench.target.rows[user_id]) for user_id in ids}
    bench.org.put(user_of(ids[1], 1, status="DEPROVISIONED"))
    del bench.org.users[ids[3]]
    await bench.swept("backfill", accept_missing=True)
    bench.wait(3600)
    bench.target.rows |= rows
    told, found = await compared(bench)
    assert (found, sorted(bench.target.rows)) == ({"surplus": 2, "mended": 2}, [ids[0], ids[2]])
    assert told["equal"]
    await bench.close()


async def test_findings_are_limited_and_all_are_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of each kind so many differences are kept one by one, over all batches; the count is of all."""
    monkeypatch.setattr(sweeps, "MOST_FINDINGS", 4)
    monkeypatch.setattr("rosterhook.compare.BATCH", 3)
    assert (MOST_FINDINGS, BATCH) == (1000, 500)
    ids = await bench.filled(20)
    for user_id in ids[:9]:
        bench.target.rows[user_id]["first_name"] = "Edited"
    for user_id in ids[12:18]:
        del bench.target.rows[user_id]
    bench.org.put(*(user_of(user_id, 5) for user_id in ids_of(8, 50)))
    number = await bench.order()
    await bench.work()
    sweep = await bench.sweep(number)
    assert (sweep.report["changed"], sweep.report["targets"]["app"]["found"]) == (
        8, {"changed": 9, "missing": 6, "surplus": 0},
    )  # fmt: skip
    kinds = [(one["target"], one["kind"]) for one in await bench.found(number)]
    assert [kinds.count(each) for each in (("", "missing"), ("app", "changed"), ("app", "missing"))] == [4, 4, 4]
    assert sweep.report["equal"]


async def test_a_large_target_is_compared_batch_by_batch(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many rows there are, each is compared once, in batches."""
    monkeypatch.setattr("rosterhook.compare.BATCH", 4)
    sizes: list[int] = []
    drift = bench.target.drift

    async def counting(held: list[Any]) -> list[Drift | None]:
        sizes.append(len(held))
        return await drift(held)

    await bench.filled(10)
    bench.target.drift = counting
    told, found = await compared(bench)
    assert (found, told["wanted"]["count"], sizes) == ({}, 10, [4, 4, 2])


async def test_a_target_that_is_new_lacks_nobody_who_waits(bench: Bench) -> None:
    """Users whom the dispatcher has not written yet are moving, and not missing."""
    bench.org.put(*(user_of(user_id) for user_id in ids_of(3)))
    number = await bench.order()
    while (await bench.sweep(number)).finished_ms is None:
        await bench.sweeper.step()
        bench.wait(30)
    told = (await bench.sweep(number)).report["targets"]["app"]
    assert ({name: told[name] for name in COUNTS if told[name]}, await bench.found(number)) == (
        {"moving": 3}, [one for one in await bench.found(number) if one["target"] == ""],
    )  # fmt: skip


def test_sums_are_equal_in_any_order_and_differ_for_anything_else() -> None:
    """A proof's digest depends on who is in it and on what is held of each, and not on the order of reading."""
    users = [(f"00u{number}", f"digest {number}") for number in range(50)]

    def total(*pairs: tuple[str, str]) -> Total:
        found = Total()
        for pair in pairs:
            found.add(*pair)
        return found

    whole = total(*users)
    assert total(*reversed(users)) == whole
    others = [
        total(*users[1:]),
        total(*users, users[0]),
        total(*users[1:], ("00u0", "other")),
        total(*users[1:], ("00uX", "digest 0")),
        total(*users[2:], ("00u0", "digest 1"), ("00u1", "digest 0")),
    ]
    assert all(other != whole and other.as_json()["digest"] != whole.as_json()["digest"] for other in others[2:])
    assert all(other != whole for other in others)
    assert (len(whole.as_json()["digest"]), Total().as_json()) == (32, {"count": 0, "digest": "0" * 32})


def test_equal_is_nothing_that_differs() -> None:
    """Each kind of difference makes two sides unequal, and so does a user on the move; foreign rows do not."""
    assert Comparison(foreign=3).is_equal
    for kind in ("changed", "missing", "surplus", "moving"):
        assert not Comparison(**{kind: 1}).is_equal
    assert not Comparison(held=Total(1, 5)).is_equal
