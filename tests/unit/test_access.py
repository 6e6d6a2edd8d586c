"""Lost access: when very many are missing at once, it is we who may not look any more, and nobody is deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sweep_bench import Bench, ids_of, user_of

from rosterhook import access, sweeps
from rosterhook.full_read import SAMPLE
from rosterhook.notes import ACCESS, leave_note

ROLE = "Check that the login's admin role still reaches all users"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path, page=20)
    yield bench
    await bench.close()


@pytest.mark.parametrize(
    ("missing", "known", "wave"),
    [(20, 20, False), (21, 21, True), (21, 420, False), (22, 420, True), (1000, 100_000, False), (0, 0, False)],
)
def test_a_wave_is_above_both_limits(missing: int, known: int, wave: bool) -> None:
    """More than 20 and more than 5 percent of all who are known: that does not happen in a company."""
    assert access.is_wave(missing, known) is wave


async def test_an_empty_list_deletes_nobody(bench: Bench) -> None:
    """Where users are known, a list without anybody is lost access: the sweep fails, with its cure, asks for nobody."""
    ids = await bench.filled(30)
    bench.org.hidden |= set(ids)
    sweep = await bench.swept()
    assert (sweep.phase, await bench.deleted(), await bench.parked(), bench.org.asked_ids) == ("failed", [], [], [])
    assert sweep.error is not None
    assert sweep.error.startswith("Okta lists nobody, where 30 users are known: nobody is deleted.")
    assert ROLE in sweep.error
    assert "rosterhook reconcile" in sweep.error
    assert await bench.why_lost() == "Okta lists nobody, where 30 users are known"
    assert {row["status"] for row in bench.target.rows.values()} == {"ACTIVE"}


async def test_a_wave_that_is_not_found_by_id_deletes_nobody(bench: Bench) -> None:
    """A sample of very many missing users is asked for; when Okta finds none of them, access is lost and all stay."""
    ids = await bench.filled(60)
    bench.org.hidden |= set(ids[5:])
    sweep = await bench.swept()
    assert set(bench.org.asked_ids) == set(ids[5 : 5 + SAMPLE])
    assert (sweep.phase, await bench.deleted(), len(await bench.parked())) == ("failed", [], SAMPLE)
    assert sweep.error is not None
    assert sweep.error.startswith(
        "Okta's list lacks 55 of 60 known users, and does not find 20 of 20 by id either: nobody is deleted."
    )
    assert ROLE in sweep.error
    assert "`rosterhook reconcile --accept-missing`" in sweep.error
    assert (await bench.why_lost(), len(bench.target.rows)) == ("Okta's list lacks 55 of 60 known users", 60)


async def test_in_a_wave_the_deactivated_stay_too(bench: Bench) -> None:
    """Who is held as deactivated is hidden with the others: their 404 is believed no more than anybody's."""
    ids = await bench.filled(60)
    bench.org.put(*(user_of(user_id, 1, status="DEPROVISIONED") for user_id in ids[:30]))
    await bench.swept("backfill")
    bench.org.asked_ids.clear()
    bench.org.hidden |= set(ids[:55])
    sweep = await bench.swept()
    assert (sweep.phase, await bench.deleted()) == ("failed", [])
    assert set(bench.org.asked_ids) == set(ids[30 : 30 + SAMPLE])


@pytest.mark.parametrize("in_service", [0, 10])
async def test_in_a_wave_of_mostly_deactivated_users_all_stay(bench: Bench, in_service: int) -> None:
    """Where the sample has to take deactivated users, they are deleted no sooner than access is known to be there."""
    ids = await bench.filled(60)
    bench.org.put(*(user_of(user_id, 1, status="DEPROVISIONED") for user_id in ids[:30]))
    await bench.swept("backfill")
    bench.org.hidden |= set(ids[: 30 + in_service])
    sweep = await bench.swept()
    assert (sweep.phase, await bench.deleted()) == ("failed", [])


async def test_a_wave_whose_sample_is_found_is_a_list_that_was_not_whole(bench: Bench) -> None:
    """When Okta finds the sample by id, each of the others is asked for too, and nobody is deleted or parked."""
    ids = await bench.filled(60)
    bench.org.unlisted |= set(ids[5:])
    sweep = await bench.swept()
    assert (sweep.phase, sweep.report["missing"], sweep.report["not_found"]) == ("done", 55, 0)
    assert set(bench.org.asked_ids) == set(ids[5:])
    assert (await bench.deleted(), await bench.parked(), await bench.why_lost()) == ([], [], "")
    assert sweep.report["equal"]


async def test_few_missing_are_no_wave(bench: Bench) -> None:
    """Up to 20 missing users are asked for one by one, and each is parked by itself: access is not lost."""
    ids = await bench.filled(60)
    bench.org.hidden |= set(ids[:20])
    sweep = await bench.swept()
    assert (sweep.phase, await bench.parked(), await bench.deleted()) == ("done", ids[:20], [])
    assert await bench.why_lost() == ""


async def test_while_access_is_lost_no_deletion_is_believed_without_a_word(bench: Bench) -> None:
    """With access lost, a 404 parks at once and deletes nobody, deactivated or not; who is found is kept as ever."""
    ids = await bench.filled(6)
    bench.org.put(user_of(ids[1], 1, status="DEPROVISIONED"))
    await bench.swept("backfill")
    await bench.write(lambda db: access.lose(db, "a reason", bench.now))
    bench.org.hidden |= {ids[0], ids[1]}
    bench.org.put(user_of(ids[2], 2, firstName="New"))
    bench.org.asked_ids.clear()
    for user_id in ids[:3]:
        await bench.due_now(user_id)
    await bench.resolver.step()
    assert (await bench.parked(), await bench.deleted(), len(bench.org.asked_ids)) == (ids[:2], [], 3)
    await bench.work()
    assert bench.target.rows[ids[2]]["first_name"] == "New"


async def test_very_many_who_are_hidden_by_id_are_lost_access_too(bench: Bench) -> None:
    """Events of a few users at a time show it as well: once more than 20 are parked as hidden, nobody is believed."""
    ids = await bench.filled(40)
    bench.org.hidden |= set(ids[:22])
    for user_id in ids[:21]:
        await bench.due_now(user_id)
    await bench.work()
    assert await bench.why_lost() == "Okta knows 21 of 40 users no more, and told of no deletion"
    bench.org.asked_ids.clear()
    await bench.due_now(ids[21])
    await bench.work()
    assert (bench.org.asked_ids, len(await bench.parked())) == ([ids[21]], 22)


async def test_the_next_good_sweep_regains_access_and_forgives(bench: Bench) -> None:
    """When Okta shows everybody again, access is there, and who was parked for it is parked no more."""
    ids = await bench.filled(60)
    bench.org.hidden |= set(ids[5:])
    await bench.swept()
    assert await bench.why_lost()
    bench.org.hidden.clear()
    sweep = await bench.swept()
    assert (sweep.phase, sweep.report["equal"], await bench.parked(), await bench.why_lost()) == ("done", True, [], "")


async def test_who_is_still_hidden_is_not_forgiven(bench: Bench) -> None:
    """Access may be there again while a few are hidden or deleted: they stay for a person to decide."""
    ids = await bench.filled(60)
    bench.org.hidden |= set(ids[5:])
    await bench.swept()
    bench.org.hidden = {ids[5], ids[40]}
    sweep = await bench.swept()
    assert (sweep.phase, await bench.why_lost()) == ("done", "")
    assert (await bench.parked(), await bench.deleted()) == ([ids[5], ids[40]], [])


async def test_regaining_leaves_other_reasons_parked(bench: Bench) -> None:
    """Who is parked because Okta's answer cannot be read stays parked: only hidden users are forgiven."""
    ids = await bench.filled(6)
    await bench.due_now(ids[0])
    await bench.run_sql("UPDATE subject SET state = 'parked', error = 'odd', hidden = 0")
    await bench.swept("backfill")
    assert await bench.parked() == [ids[0]]


async def test_a_person_may_say_that_they_are_gone(bench: Bench) -> None:
    """With --accept-missing, whom Okta finds neither in its list nor by id is deleted, however many, and no other."""
    ids = await bench.filled(60)
    bench.org.hidden |= set(ids[5:])
    await bench.swept()
    bench.org.hidden.discard(ids[7])
    bench.org.unlisted.add(ids[7])
    sweep = await bench.swept(accept_missing=True)
    assert (sweep.phase, sweep.error, await bench.why_lost()) == ("done", None, "")
    gone = [user_id for user_id in ids[5:] if user_id != ids[7]]
    assert (await bench.deleted(), await bench.parked()) == (gone, [])
    assert (sweep.report["equal"], bench.target.rows[ids[7]]["status"]) == (True, "ACTIVE")
    assert {bench.target.rows[user_id]["status"] for user_id in gone} == {"DELETED"}


async def test_even_then_an_empty_list_is_not_believed(bench: Bench) -> None:
    """That Okta lists nobody at all is never taken for a fact."""
    ids = await bench.filled(30)
    bench.org.hidden |= set(ids)
    sweep = await bench.swept(accept_missing=True)
    assert (sweep.phase, await bench.deleted()) == ("failed", [])


async def test_a_read_of_who_changed_lately_judges_nobody(bench: Bench) -> None:
    """A list of the last changes lacks nearly everybody: that says nothing, and an empty one does not either."""
    ids = await bench.filled(60)
    sweep = await bench.swept("changes")
    assert (sweep.phase, bench.org.asked_ids, await bench.why_lost()) == ("done", [], "")
    assert len(bench.target.rows) == len(ids)


async def test_the_last_word_about_access_counts(bench: Bench) -> None:
    """The last reason is the one that is told, and to regain what is there harms nothing."""
    await bench.filled(2)
    for reason in ("first", "second"):
        await bench.write(lambda db, reason=reason: access.lose(db, reason, 1))
    assert await bench.why_lost() == "second"
    for _ in range(2):
        await bench.write(lambda db: access.regain(db, 2))
    assert await bench.why_lost() == ""


async def test_a_failed_sweep_leaves_the_note_that_was(bench: Bench) -> None:
    """A sweep that fails for lost access is over: the next one begins from its start, and is not held up."""
    ids = await bench.filled(30)
    await bench.write(lambda db: leave_note(db, ACCESS, {"reason": "before"}, 1))
    bench.org.hidden |= set(ids)
    first = await bench.swept()
    bench.org.hidden.clear()
    second = await bench.swept()
    assert (first.phase, second.phase, second.id) == ("failed", "done", first.id + 1)
    assert await bench.state.read(sweeps.open_sweeps) == []
    assert ids_of(30) == sorted(bench.target.rows)
