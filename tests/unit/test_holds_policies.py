"""Holds: what a removal is depends on the target's policies, and what a person has decided stays decided."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from holds_bench import WINDOW, Bench, names

from rosterhook import directory
from rosterhook.config import Policy
from rosterhook.full_read import ask_for_stranger
from rosterhook.holds import REJECTED, Limit, limit_of, list_holds, release_absent
from rosterhook.replay import replay_links, replay_parked


def limit(*policies: Policy, percent: float = 10.0, had_rows: bool = False) -> Limit:
    """More than three users, for a target with these policies: of who is suspended, deactivated and gone."""
    return limit_of(3, percent, 10.0, policies, had_rows=had_rows)


def bench_of(folder: Path, suspended: Policy, deactivated: Policy, deleted: Policy) -> Bench:
    """A target with these policies."""
    policies = {"suspended": suspended, "deactivated": deactivated, "deleted": deleted}
    return Bench(folder, limit(suspended, deactivated, deleted), **policies)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, limit("mark", "mark", "mark"))
    yield bench
    await bench.state.close()


async def rejected(bench: Bench) -> list[str]:
    """Twenty users, of whom the first five were to be removed, and a person has said no."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    await bench.reject(await bench.hold_id())
    bench.now += 2 * WINDOW
    return ids


@pytest.mark.parametrize(
    ("policies", "leave", "held"),
    [
        (("mark", "mark", "mark"), "SUSPENDED", False),
        (("delete", "mark", "mark"), "SUSPENDED", True),
        (("keep", "mark", "mark"), "SUSPENDED", False),
        (("mark", "keep", "mark"), "DEPROVISIONED", False),
        (("mark", "mark", "mark"), "DEPROVISIONED", True),
        (("mark", "delete", "mark"), "DEPROVISIONED", True),
        (("mark", "mark", "keep"), "DELETED", False),
        (("mark", "mark", "mark"), "DELETED", True),
        (("keep", "keep", "delete"), "DELETED", True),
    ],
)
async def test_a_removal_is_what_the_target_would_show(
    tmp_path: Path, policies: tuple[Policy, Policy, Policy], leave: str, held: bool
) -> None:
    """What a target keeps as it is cannot be removed from it, and a row that goes is a removal, whoever it is of."""
    bench = bench_of(tmp_path, *policies)
    ids = await bench.staff(20)
    if leave == "DELETED":
        await bench.gone(*ids[:5])
    else:
        await bench.put(*ids[:5], status=leave)
    await bench.dispatch()
    assert await bench.held() == (ids[:5] if held else [])
    await bench.state.close()


async def test_a_row_that_is_gone_cannot_go_again(tmp_path: Path) -> None:
    """Where a deactivated user's row is removed, the deletion that follows removes nothing more."""
    bench = bench_of(tmp_path, "mark", "delete", "delete")
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    await bench.approve(await bench.hold_id())
    await bench.dispatch()
    bench.now += 2 * WINDOW
    await bench.gone(*ids[:5])
    await bench.dispatch()
    assert (await bench.held(), sorted(bench.target.rows)) == ([], ids[5:])
    assert set((await bench.states()).values()) == {"ok"}
    await bench.state.close()


async def test_a_first_load_into_a_table_with_rows_is_counted(tmp_path: Path) -> None:
    """Where a target held rows before rosterhook did, a first delivery may remove somebody: very many are held."""
    bench = Bench(tmp_path, limit("mark", "delete", "delete", had_rows=True), deactivated="delete", deleted="delete")
    ids = names(20)
    bench.target.rows |= {user_id: {"id": user_id, "status": "ACTIVE"} for user_id in ids}
    await bench.put(*ids[5:])
    await bench.off(*ids[:5])
    await bench.dispatch()
    assert (await bench.held(), sorted(bench.target.rows)) == (ids[:5], ids)
    await bench.state.close()


async def test_a_hundred_percent_holds_nothing(tmp_path: Path) -> None:
    """Who sets hold_percent to 100 wants no holds: all may leave at once."""
    bench = Bench(tmp_path, limit("mark", "mark", "mark", percent=100.0))
    ids = await bench.staff(20)
    await bench.off(*ids)
    await bench.dispatch()
    assert (await bench.held(), bench.removed()) == ([], set(ids))
    await bench.gone(*ids)
    await bench.dispatch()
    assert (await bench.held(), set(bench.shown().values())) == ([], {"DELETED"})
    await bench.state.close()


async def test_a_hold_of_a_wrong_future_draws_nobody_in(bench: Bench) -> None:
    """Who leaves after the clock was set back is no part of a batch that was held by the clock that was ahead."""
    ids = await bench.staff(40)
    bench.now += 6 * WINDOW
    await bench.off(*ids[:5])
    await bench.dispatch()
    bench.now -= 6 * WINDOW
    await bench.off(ids[10])
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == ({ids[10]}, ids[:5])


async def test_removals_of_a_wrong_future_do_not_count(bench: Bench) -> None:
    """Who left while the clock was an hour ahead is no part of what leaves after it was set back."""
    ids = await bench.staff(20)
    bench.now += 6 * WINDOW
    await bench.off(*ids[:3])
    await bench.dispatch()
    bench.now -= 6 * WINDOW
    await bench.off(*ids[3:6])
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == (set(ids[:6]), [])


async def test_an_approval_is_good_for_one_removal(bench: Bench) -> None:
    """Who was removed by approval, and is put back by hand, is not removed by the old approval once more."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    await bench.approve(await bench.hold_id())
    await bench.dispatch()
    bench.now += 2 * WINDOW
    await bench.state.write(lambda db: db.execute("UPDATE link SET state = 'pending', done = 0, level = 0") and None)
    await bench.dispatch()
    assert await bench.held() == ids[:5]


async def test_an_approval_outlives_a_target_that_is_down(bench: Bench) -> None:
    """While an approved batch cannot be written it stays approved, however long; it is not held anew."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    await bench.approve(await bench.hold_id())
    deliver, bench.target.deliver = bench.target.deliver, None
    with pytest.raises(TypeError):
        await bench.dispatcher.step()
    bench.now += 100 * WINDOW
    bench.target.deliver = deliver
    await bench.dispatch()
    assert (await bench.held(), bench.removed()) == ([], set(ids[:5]))


async def test_a_rejected_user_who_only_changes_stays(bench: Bench) -> None:
    """A change that does not take a rejected user further out of service writes nothing: the no still holds."""
    ids = await rejected(bench)
    await bench.put(ids[0], status="DEPROVISIONED", firstName="Renamed")
    await bench.dispatch()
    assert (bench.removed(), await bench.held(), (await bench.states())[ids[0]]) == (set(), [], "rejected")
    errors = await bench.state.read(
        lambda db: db.execute("SELECT DISTINCT error FROM link WHERE state = 'rejected'").fetchall()
    )
    assert errors == [(REJECTED,)]


async def test_a_rejected_user_who_is_deleted_is_held_anew(bench: Bench) -> None:
    """A removal that goes further than the one that was rejected is asked for again, be it of one user alone."""
    ids = await rejected(bench)
    await bench.gone(ids[0])
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == (set(), [ids[0]])
    await bench.approve(await bench.hold_id())
    await bench.dispatch()
    assert bench.removed() == {ids[0]}


async def test_a_rejected_user_who_is_back_is_written(bench: Bench) -> None:
    """Who is in service again is written as ever, and may leave like anybody afterwards."""
    ids = await rejected(bench)
    await bench.put(ids[0], firstName="Back")
    await bench.dispatch()
    assert (bench.target.rows[ids[0]]["first_name"], (await bench.states())[ids[0]]) == ("Back", "ok")
    await bench.off(ids[0])
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == ({ids[0]}, [])


@pytest.mark.parametrize("how", ["all", "parked", "target", "configuration"])
async def test_a_replay_of_many_undoes_no_decision(bench: Bench, how: str) -> None:
    """A replay of everybody leaves who is held and who was rejected where they are."""
    ids = await rejected(bench)
    await bench.off(*ids[5:10])
    await bench.dispatch()
    states = await bench.states()
    orders = {
        "all": lambda db: replay_links(db, now=bench.now),
        "target": lambda db: replay_links(db, target="app", now=bench.now),
        "parked": lambda db: replay_parked(db, None, bench.now, reason=REJECTED[:20]),
        "configuration": lambda db: [directory.want_everybody(db, "app", each, bench.now) for each in "ab"],
    }
    await bench.state.write(orders[how])
    await bench.dispatch()
    assert (await bench.states(), bench.removed()) == (states, set())
    assert sorted(states.values()) == ["held"] * 5 + ["ok"] * 10 + ["rejected"] * 5


async def test_a_replay_by_name_is_a_word(bench: Bench) -> None:
    """Who names a rejected user has decided anew, about this one alone."""
    ids = await rejected(bench)
    await bench.state.write(lambda db: replay_links(db, user=ids[0], now=bench.now))
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == ({ids[0]}, [])


async def test_a_stranger_is_removed_by_approval_alone(bench: Bench) -> None:
    """The row of somebody whom only the target knew is held when Okta does not know them, though they are one alone."""
    await bench.staff(20)
    stranger = names(21)[20]
    bench.target.rows[stranger] = {**bench.target.rows["00u000"], "id": stranger}
    await bench.state.write(lambda db: ask_for_stranger(db, "app", stranger, bench.now))
    await bench.gone(stranger)
    for _ in range(2):
        await bench.dispatch()
        assert (await bench.held(), bench.removed()) == ([stranger], set())
        bench.now += 2 * WINDOW
        await bench.state.write(lambda db: replay_links(db, now=bench.now))
    await bench.approve(await bench.hold_id())
    await bench.dispatch()
    assert bench.removed() == {stranger}


async def test_a_stranger_who_is_found_is_no_stranger(bench: Bench) -> None:
    """Whom Okta knows after all is written at once, and leaves like anybody later."""
    await bench.staff(20)
    stranger = names(21)[20]
    await bench.state.write(lambda db: ask_for_stranger(db, "app", stranger, bench.now))
    await bench.put(stranger)
    await bench.dispatch()
    assert ((await bench.states())[stranger], await bench.held()) == ("ok", [])
    await bench.off(stranger)
    await bench.dispatch()
    assert (bench.removed(), await bench.held()) == ({stranger}, [])


async def test_a_target_that_is_configured_no_more_holds_nothing_up(bench: Bench) -> None:
    """What was held of a target that is gone from the configuration is no hold any more; others stay."""
    ids = await bench.staff(20)
    await bench.off(*ids[:5])
    await bench.dispatch()
    await bench.state.write(lambda db: release_absent(db, ["app", "crm"]))
    assert len(await bench.held()) == 5
    await bench.state.write(lambda db: release_absent(db, ["crm"]))
    assert await bench.state.read(list_holds) == []
    await bench.dispatch()  # it is back, and all is counted anew
    assert (await bench.held(), bench.removed()) == (ids[:5], set())
