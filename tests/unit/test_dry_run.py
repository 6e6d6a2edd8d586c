"""A dry run: the whole reconcile on a scratch copy, which tells all and changes nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sql_helpers import opened as opened_sql
from sql_helpers import rows as rows_of
from sql_helpers import run
from sweep_bench import Bench, Client, ids_of, user_of

from rosterhook import access, sweeps
from rosterhook.arrivals import LOG, record_event
from rosterhook.dry_run import opened_dry_run
from rosterhook.errors import OktaForbidden
from rosterhook.okta.events import parse
from rosterhook.store.database import Database
from rosterhook.sweeps import Sweep


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.close()


async def dry(bench: Bench, **options: Any) -> tuple[Sweep, list[dict[str, Any]]]:
    """Run one to its end; the sweep and what it found."""

    async def pause() -> None:
        bench.wait(20)

    client: Any = Client(bench.org)
    async with opened_dry_run(
        bench.folder, client, bench.budget, [bench.target], clock=bench.clock, **options
    ) as running:
        sweep = await running.run(pause)
        return sweep, await running.state.read(lambda db: sweeps.findings(db, running.number))


def contents(folder: Path) -> dict[str, str]:
    """Every file of a folder, by what is in it; without those in which SQLite keeps nothing but who reads."""
    files = [path for path in folder.rglob("*") if path.is_file() and not path.name.endswith("-shm")]
    whole = {str(path.relative_to(folder)): path.read_bytes() for path in files}
    return {name: hashlib.sha256(data).hexdigest() for name, data in whole.items() if data}


def differences(found: list[dict[str, Any]], target: str) -> dict[str, tuple[str, dict[str, Any]]]:
    """By user, the kind and the fields."""
    return {one["user"]: (one["kind"], one["fields"]) for one in found if one["target"] == target}


async def test_tells_who_and_what_on_both_sides_and_changes_nothing(bench: Bench) -> None:
    """Whom Okta has changed, made and deactivated, and which rows differ: told field by field; all stays as it was."""
    ids = await bench.filled(6)
    new = ids_of(1, 50)[0]
    bench.org.put(user_of(ids[0], 5, firstName="Grace"), user_of(new), user_of(ids[4], 5, status="DEPROVISIONED"))
    bench.target.rows[ids[1]]["email"] = "edited@example.com"
    del bench.target.rows[ids[2]]
    stranger = ids_of(1, 99)[0]
    bench.target.rows[stranger] = {**bench.target.rows[ids[3]], "id": stranger}
    await bench.close()
    store, rows = contents(bench.folder), {key: dict(row) for key, row in bench.target.rows.items()}
    sweep, found = await dry(bench)
    assert (contents(bench.folder), bench.target.rows) == (store, rows)
    bench.state = Database(bench.folder / "state.db", "state")
    stamps = ["2026-02-01T00:00:00.000Z", "2026-02-01T00:00:05.000Z"]
    assert differences(found, "") == {
        ids[0]: ("changed", {"lastUpdated": stamps, "profile.firstName": ["Ada", "Grace"]}),
        ids[4]: ("changed", {"lastUpdated": stamps, "status": ["ACTIVE", "DEPROVISIONED"]}),
        new: ("missing", differences(found, "")[new][1]),
    }
    target = differences(found, "app")
    assert {user_id: kind for user_id, (kind, _) in target.items()} == {
        ids[0]: "changed", ids[1]: "changed", ids[2]: "missing", ids[4]: "changed", new: "missing", stranger: "surplus",
    }  # fmt: skip
    assert target[ids[0]][1] == {"first_name": ["Ada", "Grace"], "last_updated": stamps}
    assert target[ids[1]][1] == {"email": ["edited@example.com", None]}
    assert target[ids[4]][1] == {"status": ["ACTIVE", "DEPROVISIONED"], "last_updated": stamps}
    assert target[new][1]["login"] == [None, f"{new}@example.com"]
    assert (sweep.phase, sweep.report["equal"], sweep.report["targets"]["app"]["mended"]) == ("done", False, 0)


async def test_equal_sides_have_nothing_to_tell(bench: Bench) -> None:
    """Where nothing differs, nothing is found, and the proof says equal."""
    await bench.filled(6)
    sweep, found = await dry(bench)
    assert (found, sweep.report["equal"], sweep.report["okta"]["count"]) == ([], True, 6)


async def test_what_waits_to_be_written_is_told(bench: Bench) -> None:
    """Changes that are in the own store and not yet in the target are differences of the target, and of Okta none."""
    ids = await bench.filled(3)
    bench.org.put(user_of(ids[0], 5, firstName="Grace"))
    number = await bench.order("backfill")
    while (await bench.sweep(number)).phase != "filling":
        await bench.sweeper.step()
    _, found = await dry(bench)
    assert (differences(found, ""), list(differences(found, "app"))) == ({}, [ids[0]])
    assert await bench.rows("SELECT count(*) FROM link WHERE state = 'pending'") == [(1,)]


async def test_who_would_be_deleted_is_told(bench: Bench) -> None:
    """Who is missing is asked for by id: whose leaving is explained would be marked, and others would be parked."""
    ids = await bench.filled(6)
    bench.org.put(user_of(ids[0], 1, status="DEPROVISIONED"))
    await bench.swept("backfill")
    told = {"uuid": "e", "eventType": "user.lifecycle.delete.completed", "target": [{"id": ids[0], "type": "User"}]}
    raw = json.dumps(told)
    await bench.write(lambda db: record_event(db, parse(raw.encode()), LOG, bench.now, bench.now))
    bench.org.hidden |= {ids[0], ids[1]}
    sweep, found = await dry(bench)
    assert differences(found, "app") == {ids[0]: ("changed", {"status": ["DEPROVISIONED", "DELETED"]})}
    assert (sweep.report["missing"], sweep.report["not_found"]) == (2, 1)
    assert (await bench.deleted(), await bench.parked()) == ([], [])


async def test_lost_access_is_told_and_not_noted(bench: Bench) -> None:
    """A dry run over an org that shows nobody fails with the cure, and the service goes on believing."""
    ids = await bench.filled(30)
    bench.org.hidden |= set(ids)
    sweep, found = await dry(bench)
    assert (sweep.phase, found) == ("failed", [])
    assert "admin role" in (sweep.error or "")
    assert await bench.why_lost() == ""


async def test_access_that_is_lost_counts(bench: Bench) -> None:
    """What the service knows of lost access, and of who left with a word, the dry run knows too."""
    ids = await bench.filled(6)
    bench.org.put(user_of(ids[0], 1, status="DEPROVISIONED"))
    await bench.swept("backfill")
    await bench.write(lambda db: access.lose(db, "a reason", 1))
    bench.org.hidden.add(ids[0])
    sweep, _ = await dry(bench)
    assert (sweep.phase, await bench.why_lost()) == ("done", "a reason")


async def test_options_are_those_of_the_sweep(bench: Bench) -> None:
    """A dry run compares only the target that was named, and may accept who is missing."""
    ids = await bench.filled(30)
    bench.org.hidden |= set(ids[:25])
    bench.target.rows[ids[29]]["email"] = "edited@example.com"
    sweep, found = await dry(bench, target="other")
    assert (sweep.phase, found) == ("failed", [])
    sweep, found = await dry(bench, accept_missing=True)
    gone = {user_id for user_id, (_, fields) in differences(found, "app").items() if "status" in fields}
    assert (gone, await bench.deleted()) == (set(ids[:25]), [])


async def test_a_fault_of_okta_ends_it_and_leaves_no_scratch(bench: Bench) -> None:
    """When Okta refuses its list, the reason is raised, and the copy is gone."""
    await bench.filled(3)
    bench.org.fault = OktaForbidden("no scope", status=403)
    with pytest.raises(OktaForbidden):
        await dry(bench)
    assert [path.name for path in bench.folder.glob("dry-run-*")] == []


async def test_who_is_in_doubt_is_told_too(bench: Bench) -> None:
    """Whose change shows no newer stamp is read by id, and is told as a difference to Okta like any other."""
    ids = await bench.filled(3)
    bench.org.put(user_of(ids[0], firstName="Same second"))
    _, found = await dry(bench)
    assert differences(found, "app") == {ids[0]: ("changed", {"first_name": ["Ada", "Same second"]})}
    assert differences(found, "") == {ids[0]: ("changed", {"profile.firstName": ["Ada", "Same second"]})}


async def test_before_the_first_start_everybody_is_news(tmp_path: Path) -> None:
    """A folder without a store has nothing to copy: everybody would be written, and no store is made."""
    bench = Bench(tmp_path / "other")
    bench.org.put(*(user_of(user_id) for user_id in ids_of(3)))
    bench.folder = tmp_path
    sweep, _ = await dry(bench)
    assert (sweep.phase, sweep.report["changed"]) == ("done", 3)
    assert sorted(path.name for path in tmp_path.glob("*")) == ["dry-run.lock", "other"]  # noqa: ASYNC240
    await bench.close()


async def test_a_service_may_run_beside_it(bench: Bench) -> None:
    """While a dry run is under way the service works on, and its writes are not undone."""
    ids = await bench.filled(6)

    async def meanwhile() -> None:
        bench.org.during = None
        bench.target.rows[ids[0]]["first_name"] = "Written"
        await bench.due_now(ids[5])

    bench.org.during = meanwhile
    _, found = await dry(bench)
    assert (list(differences(found, "app")), await bench.due()) == ([ids[0]], [ids[5]])


async def test_a_table_stays_row_for_row(tmp_path: Path, sqlite_url: str) -> None:
    """On a real table a dry run tells the same, and writes neither rows nor the versions in them."""
    async with opened_sql(sqlite_url) as target:
        bench = Bench(tmp_path / "data", target=target)
        ids = await bench.filled(5)
        bench.org.put(user_of(ids[0], 5, firstName="Grace"))
        await run(sqlite_url, f"UPDATE users SET email = 'edited' WHERE id = '{ids[1]}'")
        await run(sqlite_url, f"DELETE FROM users WHERE id = '{ids[2]}'")
        whole = "SELECT * FROM users ORDER BY id"
        before, shown = await run(sqlite_url, whole), await rows_of(target)
        _, found = await dry(bench)
        assert (await run(sqlite_url, whole), await rows_of(target)) == (before, shown)
        assert {user_id: kind for user_id, (kind, _) in differences(found, "app").items()} == {
            ids[0]: "changed", ids[1]: "changed", ids[2]: "missing",
        }  # fmt: skip
        assert differences(found, "app")[ids[1]][1] == {"email": ["edited", None]}
        await bench.close()


async def test_an_absent_table_lacks_everybody(tmp_path: Path, sqlite_url: str) -> None:
    """Before the first row was written, everybody in service is missing, and no table is made."""
    async with opened_sql(sqlite_url) as target:
        bench = Bench(tmp_path / "data", target=target)
        ids = ids_of(3)
        bench.org.put(*(user_of(user_id) for user_id in ids))
        _, found = await dry(bench)
        assert {kind for kind, _ in differences(found, "app").values()} == {"missing"}
        assert sorted(differences(found, "")) == sorted(differences(found, "app")) == ids
        assert not (tmp_path / "new").exists()
        await bench.close()
