"""Full reads at their edges: what is waited for, what is kept over a restart, and what a crash leaves behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from sweep_bench import Bench, Client, ids_of, user_of

from rosterhook import access, directory, sweeps
from rosterhook.dry_run import opened_dry_run
from rosterhook.errors import OktaUnavailable
from rosterhook.full_read import SAMPLE, ask_for_stranger
from rosterhook.holds import list_holds
from rosterhook.sweeps import Sweep
from rosterhook.upkeep import prune


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


async def until(bench: Bench, number: int, phase: str) -> None:
    """Work until a sweep is in this phase."""
    for _ in range(200):
        if (await bench.sweep(number)).phase == phase:
            return
        if not await bench.round():
            bench.wait(5)
    raise AssertionError(f"it is {(await bench.sweep(number)).phase}")


async def dry(bench: Bench) -> tuple[Sweep, list[dict[str, Any]], int]:
    """A dry run: the sweep, what it found, and how often it had to wait."""
    pauses = 0

    async def pause() -> None:
        nonlocal pauses
        pauses += 1
        assert pauses < 500, "it waits for what will never come"
        bench.wait(20)

    client: Any = Client(bench.org)
    async with opened_dry_run(bench.folder, client, bench.budget, [bench.target], clock=bench.clock) as running:
        sweep = await running.run(pause)
        return sweep, await running.state.read(lambda db: sweeps.findings(db, running.number)), pauses


async def test_a_newer_row_of_a_list_resurrects_nobody(bench: Bench) -> None:
    """A list of before the deletion may show a state that is newer than the last one that was held: it is no life."""
    ids = await bench.filled(4)
    await bench.write(lambda db: directory.record_gone(db, ids[1], targets=["app"], waiting_ms=None, now=1))
    bench.org.listed_as[ids[1]] = user_of(ids[1], 30, firstName="Renamed before")
    bench.org.put(user_of(ids[1], 30))
    number = await bench.order("backfill")
    await until(bench, number, "reading")
    for _ in range(4):
        await bench.sweeper.step()
    assert await bench.deleted() == [ids[1]]
    bench.org.hidden.add(ids[1])
    bench.org.listed_as.clear()
    await bench.work()
    assert (await bench.deleted(), bench.target.rows[ids[1]]["status"]) == ([ids[1]], "DELETED")


async def test_who_was_seen_before_a_restart_must_be_seen_again(bench: Bench) -> None:
    """When a list is begun anew, only the new list counts: who is missing in it is asked for by id."""
    ids = await bench.filled(9)
    number = await bench.order("backfill")
    await until(bench, number, "reading")
    await bench.sweeper.step()
    bench.org.unlisted.add(ids[0])
    bench.org.stale = 1
    await bench.work()
    sweep = await bench.sweep(number)
    assert (sweep.report["listed"], sweep.report["missing"], bench.org.asked_ids) == (8, 1, [ids[0]])


async def test_sweeps_are_forgotten_but_for_the_newest(bench: Bench) -> None:
    """However long ago it was, a store that was once filled keeps one sweep: else a start would fill it anew."""
    await bench.filled(2)
    last = await bench.swept()
    await bench.state.write(lambda db: prune(db, 10**15, 1.0) and None)
    assert await bench.rows("SELECT id FROM sweep") == [(last.id,)]


async def test_a_row_of_a_later_page_that_is_older_spoils_no_proof(bench: Bench) -> None:
    """Where the same user comes again in an older state, on the same page or on a later one, it is the newer row that
    is kept, and compared with the directory.
    """
    ids = await bench.filled(4)
    bench.org.put(user_of(ids[0], 9, firstName="Newer"))
    bench.org.extra = [user_of(ids[0], 1, firstName="Older")]
    sweep = await bench.swept("backfill")
    assert (sweep.report["read_later"], sweep.report["stale"]) == (0, 1)
    assert sweep.report["okta"] == sweep.report["directory"]
    assert bench.target.rows[ids[0]]["first_name"] == "Newer"


@pytest.mark.parametrize("what", ["a stranger's answer", "a delivery"])
async def test_the_proof_waits_for_what_is_mended(bench: Bench, what: str) -> None:
    """Targets are compared once more only when Okta has answered and what was to be written is written."""
    ids = await bench.filled(3)
    stranger = ids_of(1, 99)[0]
    if what == "a delivery":
        bench.target.rows[ids[0]]["first_name"] = "Edited"
    else:
        bench.target.rows[stranger] = {**bench.target.rows[ids[0]], "id": stranger}
        bench.org.put(user_of(stranger))
        bench.org.unlisted.add(stranger)
    number = await bench.order()
    await until(bench, number, "comparing")
    assert await bench.sweeper.step()
    for _ in range(5):
        assert not await bench.sweeper.step()
        bench.wait(3)
    assert (await bench.sweep(number)).phase == "repairing"
    await bench.work()
    assert (await bench.sweep(number)).report["equal"]


async def test_a_comparison_that_is_cut_off_doubles_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A crash in the middle of a target leaves differences that were kept; the next try tells each once."""
    monkeypatch.setattr("rosterhook.compare.BATCH", 2)
    bench.repairs = False
    ids = await bench.filled(6)
    for user_id in ids:
        bench.target.rows[user_id]["first_name"] = "Edited"
    snapshot = bench.target.snapshot

    async def broken() -> AsyncIterator[dict[str, object]]:
        number = 0
        async for row in snapshot():
            number += 1
            if number > 4:
                raise RuntimeError("killed")
            yield row

    number = await bench.order()
    await until(bench, number, "comparing")
    bench.target.snapshot = broken
    with pytest.raises(RuntimeError, match="killed"):
        await bench.sweeper.step()
    assert len(await bench.found(number)) == 4
    bench.target.snapshot = snapshot
    await bench.work()
    assert [one["user"] for one in await bench.found(number)] == ids
    assert (await bench.sweep(number)).report["targets"]["app"]["changed"] == 6


@pytest.mark.parametrize("why", ["in doubt", "missing"])
async def test_who_cannot_be_read_by_id_ends_the_waiting_and_the_equality(bench: Bench, why: str) -> None:
    """While Okta answers for a user with errors alone, the sweep waits some minutes, and ends without a proof."""
    ids = await bench.filled(4)
    bench.org.user_faults[ids[0]] = OktaUnavailable("500", status=500)
    if why == "missing":
        bench.org.unlisted.add(ids[0])
    else:
        bench.org.listed_as[ids[0]] = user_of(ids[0], firstName="Perhaps")
    number = await bench.order()
    began = bench.seconds
    while (await bench.sweep(number)).finished_ms is None:
        with suppress(OktaUnavailable):
            await bench.round()
        bench.wait(5)
    sweep = await bench.sweep(number)
    assert (sweep.phase, sweep.report["equal"], await bench.deleted()) == ("done", False, [])
    assert (sweep.report["unanswered"], sweep.report["unread"]) == (1, int(why == "in doubt"))
    assert 300 < bench.seconds - began < 1200
    bench.org.user_faults.clear()
    bench.wait(600)
    await bench.work()
    assert (await bench.swept()).report["equal"]


async def test_a_suspected_wave_costs_one_call_for_each_of_the_sample(bench: Bench) -> None:
    """While it is found out whether access is lost, nobody is tried again and again: the answer is the same."""
    ids = await bench.filled(60)
    bench.org.hidden |= set(ids[5:])
    assert (await bench.swept()).phase == "failed"
    assert len(bench.org.asked_ids) == len(set(bench.org.asked_ids)) == SAMPLE


async def test_who_is_hidden_stays_parked_while_access_is_doubted(bench: Bench) -> None:
    """Only whom the list shows again is forgiven: who is neither in it nor in the sample waits on for a person."""
    ids = await bench.filled(60)
    bench.org.hidden.add(ids[-1])
    await bench.swept()
    assert await bench.parked() == [ids[-1]]
    bench.org.hidden |= set(ids[5:])
    bench.org.asked_ids.clear()
    assert (await bench.swept()).phase == "failed"
    assert ids[-1] not in bench.org.asked_ids
    assert ids[-1] in await bench.parked()
    bench.org.hidden.clear()
    await bench.swept()
    assert await bench.parked() == []


async def test_with_lost_access_a_stranger_is_no_deletion(bench: Bench) -> None:
    """A row of somebody whom only the target knows stays, and is not even held, while Okta hides users from us."""
    ids = await bench.filled(3)
    [stranger] = ids_of(1, 99)
    await bench.write(lambda db: ask_for_stranger(db, "app", stranger, bench.now))
    await bench.write(lambda db: access.lose(db, "a reason", 1))
    bench.target.rows[stranger] = {**bench.target.rows[ids[0]], "id": stranger}
    await bench.work()
    assert (await bench.deleted(), await bench.parked(), await bench.state.read(list_holds)) == ([], [stranger], [])
    assert bench.target.rows[stranger]["status"] == "ACTIVE"


async def test_both_totals_count_whom_each_side_has(tmp_path: Path) -> None:
    """Rows that are too many are counted on the target's side alone, rows that lack on the directory's."""
    bench = Bench(tmp_path, deactivated="delete")
    bench.repairs = False
    ids = await bench.filled(6)
    rows = {user_id: dict(bench.target.rows[user_id]) for user_id in ids}
    bench.org.put(*(user_of(user_id, 1, status="DEPROVISIONED") for user_id in ids[:2]))
    await bench.swept("backfill")
    bench.wait(3600)
    bench.target.rows |= rows
    del bench.target.rows[ids[5]]
    told = (await bench.swept()).report["targets"]["app"]
    assert (told["surplus"], told["missing"]) == (2, 1)
    assert (told["wanted"]["count"], told["held"]["count"]) == (4, 5)
    await bench.close()


async def test_a_dry_run_waits_for_no_delivery(bench: Bench) -> None:
    """Nobody delivers in a dry run: what waits to be written is a difference, and nothing to wait for."""
    ids = await bench.filled(4)
    bench.org.put(user_of(ids[0], 5, firstName="Grace"))
    _, found, pauses = await dry(bench)
    assert ([one["target"] for one in found], pauses < 20) == (["", "app"], True)


async def test_a_dry_run_heeds_lost_access(bench: Bench) -> None:
    """With access lost, somebody who is not found is asked for once in a dry run too, and stays."""
    ids = await bench.filled(4)
    await bench.write(lambda db: access.lose(db, "a reason", 1))
    bench.org.hidden.add(ids[0])
    sweep, found, _ = await dry(bench)
    assert (found, await bench.why_lost(), sweep.report["not_found"]) == ([], "a reason", 1)


async def test_whose_doubt_is_cleared_is_no_difference(bench: Bench) -> None:
    """A row of the list with the same stamp and other content is read by id; when nothing has changed, none is told."""
    ids = await bench.filled(4)
    bench.org.listed_as[ids[0]] = user_of(ids[0], firstName="Of a lagging list")
    _, found, _ = await dry(bench)
    assert found == []
    number = await bench.order()
    await bench.work()
    assert (await bench.found(number), (await bench.sweep(number)).report["equal"]) == ([], True)


async def test_what_was_found_before_a_restart_is_still_told(bench: Bench) -> None:
    """A list that is begun anew shows what was mended already as equal: it was found all the same."""
    ids = await bench.filled(9)
    bench.org.put(user_of(ids[0], 5, firstName="Grace"))
    number = await bench.order()
    await until(bench, number, "reading")
    await bench.sweeper.step()
    bench.org.stale = 1
    await bench.work()
    assert [(one["target"], one["user"]) for one in await bench.found(number)] == [("", ids[0])]
    assert (await bench.sweep(number)).report["changed"] == 1
