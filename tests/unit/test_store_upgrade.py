"""A store of the first release is opened by this one: nothing is lost, and what each target holds is known."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import Any

import apsw
from holds_bench import Bench, names
from log_bench import DAY, NOW, log_event
from log_bench import Bench as LogBench
from sweep_bench import Bench as SweepBench
from sweep_bench import user_of

from rosterhook import directory
from rosterhook.follower import MARGIN_MS
from rosterhook.holds import Limit
from rosterhook.okta.events import essence, parse
from rosterhook.replay import replay_links
from rosterhook.store.database import Database
from rosterhook.store.migrate import migrations, schema_version
from rosterhook.targets import Row

LIMIT = Limit(users=3, percent=1.0)


def first_release(folder: Path) -> apsw.Connection:
    """A new store as the first release made it."""
    folder.mkdir(exist_ok=True)
    db = apsw.Connection(str(folder / "state.db"))
    number, sql = migrations("state")[0]
    db.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY)")
    db.execute(sql)
    db.execute("INSERT INTO migration VALUES (?)", (number,))
    return db


def put(db: apsw.Connection, user: dict[str, Any], version: int, deleted_ms: int | None = None) -> None:
    """A user in the directory."""
    values = ("default", user["id"], version, directory.digest(user), user["status"], json.dumps(user))
    more = (directory.last_updated_ms(user), 1, deleted_ms)
    db.execute(f'INSERT INTO "user" VALUES ({", ".join("?" * 9)})', (*values, *more))


def link(db: apsw.Connection, user_id: str, wanted: int, done: int, state: str) -> None:
    """What the target holds of a user, and shall hold."""
    columns = "org, target, user_id, wanted, done, state, attempts, due_ms, done_ms"
    values = ("default", "app", user_id, wanted, done, state, 0, 1, 1 if done else None)
    db.execute(f"INSERT INTO link ({columns}) VALUES ({', '.join('?' * 9)})", values)


def staff(db: apsw.Connection, ids: list[str], status: str, wanted: int, done: int) -> None:
    """Users with a state in the target each."""
    for user_id in ids:
        user = {**user_of(user_id, status=status), "lastUpdated": "2025-01-01T00:00:00.000Z"}
        put(db, user, wanted, 1 if status == "DELETED" else None)
        link(db, user_id, wanted, done, "ok" if wanted == done else "pending")


async def test_nothing_is_lost(tmp_path: Path) -> None:
    """Users, links, events, who is due and parked, notes and the quarantine are there after the upgrade."""
    with closing(first_release(tmp_path)) as db:
        put(db, user_of("00u1"), 3)
        link(db, "00u1", 3, 3, "ok")
        db.execute("INSERT INTO event VALUES (1, 'default', 'e1', 't', 5, '', 'x', 'hook', 2, 0, 6, '', x'00')")
        db.execute("INSERT INTO event_subject VALUES ('default', 'user', '00u1', 1)")
        columns = "org, kind, id, state, due_ms, generation, attempts, crowded, error"
        for user_id, state in (("00u1", "due"), ("00u2", "parked")):
            db.execute(
                f"INSERT INTO subject ({columns}) VALUES ('default', 'user', ?, ?, 7, 2, 1, 0, 'why')", (user_id, state)
            )
        db.execute("INSERT INTO quarantine VALUES (1, 'default', 9, 5, 'why', '{}', x'00')")
        db.execute("""INSERT INTO note VALUES ('default', 'epoch', '77', 1)""")
        db.execute("""INSERT INTO "offset" VALUES ('default', 'intake', 12, 5)""")
        db.execute("INSERT INTO counter VALUES ('default', 'events_stored', 41)")
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()]
        before = {name: db.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables if name != "migration"}
    state = Database(tmp_path / "state.db", "state")
    after = await state.read(lambda db: {name: db.execute(f'SELECT * FROM "{name}"').fetchall() for name in before})
    version = await state.read(schema_version)
    await state.close()
    for name, rows in before.items():
        assert [row[: len(old)] for row, old in zip(after[name], rows, strict=True)] == rows
    assert version == migrations("state")[-1][0] > 1


async def test_removals_of_users_whom_the_target_holds_are_counted(tmp_path: Path) -> None:
    """Who was delivered by the first release and leaves after the upgrade is removed: very many are held."""
    with closing(first_release(tmp_path)) as db:
        staff(db, names(20), "ACTIVE", 1, 1)
    bench = Bench(tmp_path, LIMIT)
    await bench.off(*names(5))
    await bench.dispatch()
    assert (await bench.held(), bench.removed()) == (names(5), set())
    await bench.state.close()


async def test_removals_that_waited_during_the_upgrade_are_counted(tmp_path: Path) -> None:
    """Who left before the upgrade, and whom the target still holds as before, is held with the others."""
    ids = names(30)
    with closing(first_release(tmp_path)) as db:
        staff(db, ids[:3], "DEPROVISIONED", 2, 1)
        staff(db, ids[3:6], "DELETED", 2, 1)
        staff(db, ids[6:], "ACTIVE", 1, 1)
    bench = Bench(tmp_path, LIMIT)
    await bench.dispatch()
    assert (await bench.held(), bench.removed()) == (ids[:6], set())
    await bench.state.close()


async def test_what_was_removed_before_is_no_removal(tmp_path: Path) -> None:
    """Deactivated and deleted users of before are written again without an approval; who was never written too."""
    ids = names(30)
    with closing(first_release(tmp_path)) as db:
        staff(db, ids[:8], "DEPROVISIONED", 2, 2)
        staff(db, ids[8:16], "DELETED", 2, 2)
        staff(db, ids[16:24], "DEPROVISIONED", 2, 0)
        staff(db, ids[24:], "ACTIVE", 1, 1)
    bench = Bench(tmp_path, LIMIT)
    await bench.state.write(lambda db: replay_links(db, now=1))
    await bench.dispatch()
    assert (await bench.held(), set((await bench.states()).values())) == ([], {"ok"})
    assert bench.removed() == {*ids[:8], *ids[16:24]}
    await bench.state.close()


async def test_a_deletion_of_who_was_deactivated_before_is_a_removal(tmp_path: Path) -> None:
    """Deactivated by the first release and deleted now is a second removal, as with users of this one."""
    with closing(first_release(tmp_path)) as db:
        staff(db, names(8), "DEPROVISIONED", 2, 2)
    bench = Bench(tmp_path, LIMIT)
    await bench.gone(*names(8))
    await bench.dispatch()
    assert await bench.held() == names(8)
    await bench.state.close()


async def test_the_log_is_followed_from_the_first_event_on(tmp_path: Path) -> None:
    """The hook brought events before the upgrade: what it missed since comes by the log, and who asked is served."""
    with closing(first_release(tmp_path)) as db:
        body = json.dumps(log_event("e0", at_ms=NOW - 20 * DAY)).encode()
        event = parse(body)
        values = (1, "default", "e0", event.type, event.published_ms, "SUCCESS", essence(event), "hook", 1, 0)
        db.execute(f"INSERT INTO event VALUES ({', '.join('?' * 13)})", (*values, NOW - 20 * DAY, "", body))
        db.execute("INSERT INTO cursor (org, source, asked_ms) VALUES ('default', 'log', 5)")
    bench = LogBench(tmp_path)
    await bench.born(NOW)
    bench.log.add(log_event("e0", at_ms=NOW - 20 * DAY), log_event("missed", user="00u2"), at_ms=NOW - 10 * DAY)
    await bench.drain()
    assert bench.sinces() == [NOW - 20 * DAY - MARGIN_MS]
    assert (await bench.arrivals(), await bench.due()) == ({"e0": (1, 1), "missed": (0, 1)}, ["00u2"])
    assert await bench.rows("SELECT asked_ms FROM cursor") == [(None,)]
    await bench.state.close()


async def test_a_full_read_finds_the_store_as_it_is(tmp_path: Path) -> None:
    """A reconcile over the upgraded store changes nobody who is as before, and fills in who was missed."""
    with closing(first_release(tmp_path)) as db:
        for user_id in names(4):
            put(db, directory.canonical(user_of(user_id)), 1)
            link(db, user_id, 1, 1, "ok")
    bench = SweepBench(tmp_path)
    bench.target.rows |= {user_id: _row(user_id) for user_id in names(4)}
    bench.org.put(*(user_of(user_id) for user_id in names(4)), user_of("00unew"))
    sweep = await bench.swept()
    assert {key: sweep.report[key] for key in ("same", "changed", "missing")} == {"same": 4, "changed": 1, "missing": 0}
    assert (sweep.report["equal"], sorted(bench.target.rows)) == (True, [*names(4), "00unew"])
    await bench.close()


async def test_a_full_read_that_was_under_way_goes_on(tmp_path: Path) -> None:
    """Whom Okta's list had before the upgrade is not asked for after it; who was not in it is."""
    ids = names(3)
    with closing(first_release(tmp_path)) as db:
        users = {user_id: directory.canonical(user_of(user_id)) for user_id in ids}
        for user in users.values():
            put(db, user, 1)
        number, sql = migrations("state")[1]
        db.execute(sql)
        db.execute("INSERT INTO migration VALUES (?)", (number,))
        columns = "org, kind, reason, options, phase, place, listed, calls, known, asked_ms, started_ms"
        db.execute(
            f"INSERT INTO sweep ({columns}) VALUES ('default', 'backfill', '', '{{}}', 'reading', '', 2, 1, 3, 1, 1)"
        )
        for user_id in ids[:2]:
            marks = ("default", "", user_id, directory.digest(users[user_id]), 1)
            db.execute("INSERT INTO seen (org, target, id, digest, version) VALUES (?, ?, ?, ?, ?)", marks)
    bench = SweepBench(tmp_path)
    bench.org.put(*(user_of(user_id) for user_id in ids))
    await bench.work()
    sweep = await bench.sweep(1)
    found = {key: sweep.report[key] for key in ("listed", "missing", "read_later")}
    assert (sweep.phase, found) == ("done", {"listed": 2, "missing": 1, "read_later": 1})
    assert (bench.org.asked_ids, sweep.report["okta"]) == ([ids[2]], sweep.report["directory"])
    await bench.close()


def _row(user_id: str) -> dict[str, object]:
    user = user_of(user_id)
    row: Row = {
        "id": user_id, "status": "ACTIVE", "login": user["profile"]["login"], "email": None, "first_name": "Ada",
        "last_name": None, "mobile_phone": None, "created": None, "last_updated": user["lastUpdated"],
    }  # fmt: skip
    return dict(row)
