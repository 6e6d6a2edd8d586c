"""Holds: what would remove too many waits, everything else flows on, and a person approves exactly one batch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from holds_bench import LIMIT, WINDOW, Bench, names
from structlog.testing import capture_logs

from rosterhook import holds
from rosterhook.dispatcher import Dispatcher
from rosterhook.errors import RosterhookError
from rosterhook.holds import REJECTED, Limit
from rosterhook.replay import replay_links, replay_parked
from rosterhook.testing import MemoryTarget


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.state.close()


async def test_too_many_removals_are_held_and_others_flow_on(bench: Bench) -> None:
    """A batch above both limits is held whole, before any of it is done; whoever is only changed is written."""
    ids = await bench.staff(20)
    await bench.off(*ids[:4])
    await bench.put("00unew", ids[10], firstName="New")
    with capture_logs() as logs:
        await bench.dispatch()
    assert (await bench.held(), bench.removed()) == (ids[:4], set())
    assert bench.target.rows["00unew"]["first_name"] == bench.target.rows[ids[10]]["first_name"] == "New"
    [told] = [log for log in logs if log["event"] == "removals.held"]
    assert (told["target"], told["users"], "rosterhook holds" in told["hint"]) == ("app", 4, True)
    assert await bench.state.read(holds.is_any)
    [hold] = await bench.holds()
    assert (hold.target, hold.since_ms) == ("app", bench.now)
    assert hold.users[0] == {"id": ids[0], "status": "DEPROVISIONED", "login": f"{ids[0]}@example.com"}


@pytest.mark.parametrize(
    ("staff", "leaving", "held"),
    [
        (20, 3, 0),  # as many users as may be
        (40, 4, 0),  # just as many percent
        (39, 4, 4),
        (41, 5, 5),
        (50, 5, 0),
        (4, 4, 4),
        (3, 3, 0),
    ],
)
async def test_only_what_is_above_both_limits_is_held(bench: Bench, staff: int, leaving: int, held: int) -> None:
    """More users than allowed, and more percent of those in service than allowed; exactly at a limit is allowed."""
    ids = await bench.staff(staff)
    await bench.off(*ids[:leaving])
    await bench.dispatch()
    assert (len(await bench.held()), len(bench.removed())) == (held, leaving - held)


async def test_removals_of_a_window_count_together(bench: Bench) -> None:
    """Removals that come one by one are one batch, as long as they come within the window."""
    ids = await bench.staff(20)
    for user_id in ids[:5]:
        await bench.off(user_id)
        await bench.dispatch()
        bench.now += WINDOW // 10
    assert (bench.removed(), await bench.held()) == (set(ids[:3]), ids[3:5])


async def test_the_part_is_of_all_who_were_in_service_before(bench: Bench) -> None:
    """Who left in this window belongs to those of whom a part may leave: one by one or at once is the same."""
    ids = await bench.staff(40)
    for user_id in ids[:4]:
        await bench.off(user_id)
        await bench.dispatch()
    assert (bench.removed(), await bench.held()) == (set(ids[:4]), [])


async def test_removals_outside_the_window_do_not_count(bench: Bench) -> None:
    """Who left longer ago than the window holds up nobody."""
    ids = await bench.staff(20)
    for user_id in ids[:9]:
        await bench.off(user_id)
        await bench.dispatch()
        bench.now += WINDOW // 3 + 1
    assert (bench.removed(), await bench.held()) == (set(ids[:9]), [])


async def test_a_batch_that_grows_is_one_batch(bench: Bench) -> None:
    """Who is to be removed within the window after a batch began joins it; who leaves later does not wait for it."""
    ids = await bench.staff(40)
    began = bench.now
    await bench.off(*ids[:5])
    await bench.dispatch()
    for number in range(5, 8):
        bench.now += WINDOW // 3
        await bench.off(ids[number])
        await bench.dispatch()
    assert (bench.removed(), await bench.held()) == (set(), ids[:8])
    [hold] = await bench.holds()
    assert hold.since_ms == began
    bench.now += 1
    await bench.off(ids[8])
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == ({ids[8]}, ids[:8])


async def test_after_a_quiet_window_a_single_leaver_is_no_part_of_it(bench: Bench) -> None:
    """Where a batch waits for its approval for days, a leaver of another day is removed as ever."""
    ids = await bench.staff(40)
    await bench.off(*ids[:5])
    await bench.dispatch()
    bench.now += WINDOW + 1
    await bench.off(ids[10])
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == ({ids[10]}, ids[:5])


async def test_a_first_delivery_removes_nobody(bench: Bench) -> None:
    """Deactivated and deleted users whom the target never had are written at once, however many."""
    ids = names(50)
    await bench.off(*ids[:30])
    await bench.gone(*ids[30:])
    await bench.dispatch()
    assert (len(bench.removed()), await bench.held()) == (30, [])


async def test_deactivated_and_then_deleted_are_two_removals(bench: Bench) -> None:
    """Who was deactivated, by approval, and is deleted, is removed a second time: that is held anew."""
    ids = await bench.staff(20)
    await bench.off(*ids[:6])
    await bench.dispatch()
    await bench.approve(await bench.hold_id())
    await bench.dispatch()
    assert set(bench.shown().values()) == {"ACTIVE", "DEPROVISIONED"}
    bench.now += WINDOW + 1
    await bench.gone(*ids[:6])
    await bench.dispatch()
    assert (await bench.held(), "DELETED" in bench.shown().values()) == (ids[:6], False)


async def test_suspended_users_are_no_removals(bench: Bench) -> None:
    """A suspension is taken back by a click: however many, they are written."""
    ids = await bench.staff(20)
    await bench.put(*ids[:15], status="SUSPENDED")
    await bench.dispatch()
    assert (await bench.held(), list(bench.shown().values()).count("SUSPENDED")) == ([], 15)


async def test_an_approved_batch_is_removed(bench: Bench) -> None:
    """After the approval the whole batch happens, and nothing is held any more."""
    ids = await bench.staff(20)
    await bench.off(*ids[:8])
    await bench.dispatch()
    hold_id = await bench.hold_id()
    approved = await bench.approve(f" {hold_id.upper()} ")
    assert [user["id"] for user in approved.users] == ids[:8]
    await bench.dispatch()
    assert (bench.removed(), await bench.holds()) == (set(ids[:8]), [])
    assert set((await bench.states()).values()) == {"ok"}


async def test_approved_removals_do_not_count_for_the_next(bench: Bench) -> None:
    """What a person has approved is off the account: the next few leavers flow."""
    ids = await bench.staff(40)
    await bench.off(*ids[:8])
    await bench.dispatch()
    await bench.approve(await bench.hold_id())
    await bench.dispatch()
    await bench.off(*ids[8:11])
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == (set(ids[:11]), [])
    await bench.off(*ids[11:12])
    await bench.dispatch()
    assert await bench.held() == ids[11:12]


@pytest.mark.parametrize("change", ["joins", "leaves", "changes"])
async def test_only_the_batch_that_was_looked_at_is_approved(bench: Bench, change: str) -> None:
    """When a user joins, leaves or changes after somebody looked, the old id is refused, and nothing is removed."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    seen = await bench.hold_id()
    if change == "joins":
        await bench.off(ids[5])
    elif change == "leaves":
        await bench.put(ids[0])
    else:
        await bench.gone(ids[0])
    await bench.dispatch()
    now = await bench.hold_id()
    assert now != seen
    for decide in (bench.approve, bench.reject):
        with pytest.raises(RosterhookError, match="Nothing was changed") as refused:
            await decide(seen)
        assert f"Held now: {now} (app, {len(await bench.held())} users)" in refused.value.hint
    await bench.dispatch()
    assert bench.removed() == set()
    await bench.approve(now)
    await bench.dispatch()
    assert len(bench.removed()) == {"joins": 6, "leaves": 4, "changes": 5}[change]


async def test_the_id_stays_while_the_batch_does(bench: Bench) -> None:
    """A batch that nobody touches keeps its id, whatever else happens and however late it is."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    seen = await bench.hold_id()
    bench.now += 100 * WINDOW
    await bench.put(ids[9], firstName="New")
    await bench.dispatch()
    assert await bench.hold_id() == seen


async def test_where_nothing_is_held_nothing_can_be_approved(bench: Bench) -> None:
    """An id of nothing is refused with words that say so."""
    await bench.staff(20)
    with pytest.raises(RosterhookError, match="There is no hold 'abc'") as refused:
        await bench.approve("abc")
    assert refused.value.hint == "Nothing is held now."
    assert not await bench.state.read(holds.is_any)


async def test_who_changes_after_the_approval_is_not_removed_by_it(bench: Bench) -> None:
    """An approval is for one state of each user: with another one, it is asked for again."""
    ids = await bench.staff(20)
    await bench.off(*ids[:6])
    await bench.dispatch()
    await bench.approve(await bench.hold_id())
    await bench.gone(*ids[:5])
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == ({ids[5]}, ids[:5])


async def test_a_rejected_batch_is_parked_and_the_rows_stay(bench: Bench) -> None:
    """A rejection parks each user with the reason; the target keeps them, until something changes or a replay."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    rejected = await bench.reject(await bench.hold_id())
    await bench.dispatch()
    assert ([user["id"] for user in rejected.users], bench.removed(), await bench.holds()) == (ids[:5], set(), [])
    parked = await bench.state.read(
        lambda db: db.execute("SELECT user_id, error, failed_ms FROM link WHERE error > ''").fetchall()
    )
    assert parked == [(user_id, REJECTED, bench.now) for user_id in ids[:5]]
    bench.now += WINDOW + 1
    await bench.state.write(lambda db: replay_links(db, user=ids[0], now=bench.now))
    await bench.dispatch()
    assert bench.removed() == {ids[0]}


async def test_a_replay_of_all_that_is_parked_leaves_the_rejected_alone(bench: Bench) -> None:
    """What a person has rejected is tried again by name only."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    await bench.reject(await bench.hold_id())
    await bench.state.write(lambda db: replay_parked(db, None, bench.now))
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == (set(), [])
    await bench.state.write(lambda db: replay_links(db, user=ids[0], now=bench.now))
    await bench.dispatch()
    assert bench.removed() == {ids[0]}


async def test_a_replay_of_who_is_held_is_held_again(bench: Bench) -> None:
    """A replay is no approval, of one user or of everybody."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    for user_id in (ids[0], None):
        await bench.state.write(lambda db, user_id=user_id: replay_links(db, user=user_id, now=bench.now))
        await bench.dispatch()
        assert (bench.removed(), await bench.held()) == (set(), ids[:5])


async def test_a_user_of_an_old_hold_who_changes_stays_held(bench: Bench) -> None:
    """However long a batch has waited, a change of somebody in it, who is still to be removed, is no approval."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    bench.now += WINDOW + 1
    await bench.put(ids[0], status="DEPROVISIONED", firstName="Renamed")
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == (set(), ids[:5])


async def test_a_user_who_is_active_again_leaves_the_hold(bench: Bench) -> None:
    """Who is reactivated is written at once, and the others stay held."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    await bench.put(ids[0], firstName="Back")
    await bench.dispatch()
    assert (bench.target.rows[ids[0]]["first_name"], await bench.held()) == ("Back", ids[1:5])
    assert (await bench.states())[ids[0]] == "ok"


async def test_each_target_has_its_own_hold(bench: Bench) -> None:
    """A batch is held for the target whose limit it exceeds, and goes to the other; each is approved by itself."""
    crm = MemoryTarget("crm")
    other = Dispatcher(bench.state, crm, 10_000, limit=Limit(users=4, percent=1.0), clock=lambda: bench.now)
    bench.targets.append("crm")
    ids = await bench.staff(20)
    while await other.step():
        pass
    await bench.off(*ids[:4])
    await bench.dispatch()
    while await other.step():
        pass
    assert ([hold.target for hold in await bench.holds()], bench.removed()) == (["app"], set())
    assert [crm.rows[user_id]["status"] for user_id in ids[:5]] == ["DEPROVISIONED"] * 4 + ["ACTIVE"]
    await bench.off(ids[4])
    while await other.step():
        pass
    assert [(hold.target, len(hold.users)) for hold in await bench.holds()] == [("app", 4), ("crm", 1)]
    await bench.dispatch()
    first, second = await bench.holds()
    assert first.id != second.id
    await bench.approve(second.id)
    assert [(hold.target, len(hold.users)) for hold in await bench.holds()] == [("app", 5)]


async def test_the_same_batch_in_two_targets_is_two_holds(bench: Bench) -> None:
    """An approval for one target is none for another one, though the same users are to be removed from both."""
    crm = MemoryTarget("crm")
    other = Dispatcher(bench.state, crm, 10_000, limit=LIMIT, clock=lambda: bench.now)
    bench.targets.append("crm")
    ids = await bench.staff(20)
    while await other.step():
        pass
    await bench.off(*ids[:5])
    await bench.dispatch()
    while await other.step():
        pass
    first, second = await bench.holds()
    assert (first.users, first.id != second.id) == (second.users, True)
    await bench.approve(first.id)
    await bench.dispatch()
    while await other.step():
        pass
    assert (len(bench.removed()), {row["status"] for row in crm.rows.values()}) == (5, {"ACTIVE"})


async def test_where_nobody_is_in_service_a_removal_counts_all_the_same(bench: Bench) -> None:
    """Where all were removed already, their deletion is a batch too, and nothing is divided by nobody."""
    ids = await bench.staff(2)
    await bench.off(*ids)
    await bench.dispatch()
    await bench.gone(*ids)
    await bench.dispatch()
    assert (await bench.held(), set(bench.shown().values())) == (ids, {"DEPROVISIONED"})
