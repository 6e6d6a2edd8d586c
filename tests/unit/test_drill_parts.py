"""The drill's own judgement: that it fails when somebody is lost or deleted by hand, and passes when nobody is."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from rosterhook.drill.clock import DrillClock, shifted
from rosterhook.drill.outage import HOST, Proxy, way_to
from rosterhook.drill.run import Drill, Result, Score
from rosterhook.drill.script import SCRIPT, chosen
from rosterhook.drill.settings import TABLE, target_config
from rosterhook.drill.verdict import expected_row, judge
from rosterhook.drill.watch import Watch
from rosterhook.errors import ConfigError, TargetError
from rosterhook.model import now_ms
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.world import Simulator
from rosterhook.targets.registry import opened_targets


class Held:
    """An org, a table that holds it exactly, and the oracle that looks at both."""

    def __init__(self, simulator: Simulator, file: Path, watch: Watch) -> None:
        self.org = simulator.org
        self.simulator = simulator
        self.file = file
        self.watch = watch
        self.ids = [user["id"] for user in self.org]

    def edit(self, sql: str, *values: object) -> None:
        """Do something to the table that the service would never do."""
        connection = sqlite3.connect(self.file)
        with connection:
            connection.execute(sql, values)
        connection.close()


def filled(file: Path, users: Any) -> None:
    rows = [expected_row(user) for user in users]
    connection = sqlite3.connect(file)
    with connection:
        connection.execute(f"CREATE TABLE {TABLE} (id TEXT PRIMARY KEY, {', '.join(list(rows[0])[1:])})")
        marks = ", ".join("?" for _ in rows[0])
        connection.executemany(f"INSERT INTO {TABLE} VALUES ({marks})", [tuple(row.values()) for row in rows])
    connection.close()


@pytest.fixture
async def held(tmp_path: Path) -> AsyncIterator[Held]:
    simulator = Simulator(Settings(users=20))
    file = tmp_path / "users.db"
    filled(file, simulator.org)
    async with opened_targets([target_config(f"sqlite:///{file}")]) as targets:
        watch = Watch(targets[0], simulator.org)
        assert not (await watch.look()).lost
        yield Held(simulator, file, watch)


async def test_equal_table_passes(held: Held) -> None:
    """A table that holds the org exactly: nobody is lost, nobody is wrongly deleted."""
    verdict = await held.watch.look()
    assert (verdict.lost, verdict.wrongly_deleted, held.watch.wrongly_deleted) == ({}, {}, {})


async def test_removed_row_is_lost_and_wrongly_deleted(held: Held) -> None:
    """A row that was there and is not any more counts as both, though its user is still in the org."""
    held.edit(f"DELETE FROM {TABLE} WHERE id = ?", held.ids[0])
    verdict = await held.watch.look()
    assert set(verdict.lost) == set(verdict.wrongly_deleted) == {held.ids[0]}


async def test_row_marked_deleted_is_lost_and_wrongly_deleted(held: Held) -> None:
    """A row that says DELETED of somebody who is in the org counts as both; the real status is told."""
    held.edit(f"UPDATE {TABLE} SET status = 'DELETED' WHERE id = ?", held.ids[1])
    verdict = await held.watch.look()
    assert verdict.lost == {held.ids[1]: {"status": ("DELETED", held.org.get(held.ids[1])["status"])}}
    assert verdict.wrongly_deleted == {held.ids[1]: held.org.get(held.ids[1])["status"]}


@pytest.mark.parametrize("column", sorted(set(expected_row(next(iter(Simulator(Settings(users=1)).org)))) - {"id"}))
async def test_changed_value_is_lost(held: Held, column: str) -> None:
    """Any column that is not what the org says counts, with what it is and what it should be."""
    held.edit(f"UPDATE {TABLE} SET {column} = 'x' WHERE id = ?", held.ids[2])
    verdict = await held.watch.look()
    assert list(verdict.lost) == [held.ids[2]]
    assert list(verdict.lost[held.ids[2]]) == [column]
    assert not verdict.wrongly_deleted


async def test_wrongly_deleted_is_remembered_when_it_is_mended(held: Held) -> None:
    """Who was seen deleted once counts for the step, though the row is right again; the next step begins anew."""
    held.edit(f"UPDATE {TABLE} SET status = 'DELETED' WHERE id = ?", held.ids[3])
    await held.watch.look()
    held.edit(f"UPDATE {TABLE} SET status = ? WHERE id = ?", held.org.get(held.ids[3])["status"], held.ids[3])
    assert not (await held.watch.look()).lost
    assert list(held.watch.wrongly_deleted) == [held.ids[3]]
    held.watch.forget()
    assert not held.watch.wrongly_deleted


async def test_deleted_user_must_be_marked(held: Held) -> None:
    """Who was deleted in the org and is still shown in service is lost; once marked, all is well."""
    user_id = held.ids[4]
    held.org.delete(user_id)
    if held.org.find(user_id):
        held.org.delete(user_id)
    assert list((await held.watch.look()).lost) == [user_id]
    held.edit(f"UPDATE {TABLE} SET status = 'DELETED' WHERE id = ?", user_id)
    verdict = await held.watch.look()
    assert (verdict.lost, verdict.wrongly_deleted) == ({}, {})


async def test_newcomer_is_lost_until_it_comes(held: Held) -> None:
    """A user who has not come yet is lost, but was never there to be deleted."""
    (newcomer,) = held.simulator.create_users(1)
    verdict = await held.watch.look()
    assert list(verdict.lost) == [newcomer]
    assert not verdict.wrongly_deleted


async def test_row_of_nobody_is_told(held: Held) -> None:
    """A row of a user whom the org never had is as wrong as one that lacks."""
    held.edit(f"INSERT INTO {TABLE} (id, status) VALUES ('00uNobody', 'ACTIVE')")
    assert (await held.watch.look()).lost == {"00uNobody": {"row": ("there", None)}}


async def test_locked_target_is_no_verdict(held: Held) -> None:
    """A target that cannot be read is neither equal nor unequal, and the outage is over when it shall be."""
    async with way_to(f"sqlite:///{held.file}", held.file.parent) as way:
        async with way.down():
            connection = sqlite3.connect(held.file, timeout=0)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                connection.execute(f"SELECT * FROM {TABLE}")
            connection.close()
        assert not (await held.watch.look()).lost


async def test_look_fails_where_the_table_cannot_be_read(held: Held) -> None:
    """What cannot be read raises, and a look that is tried gives nothing."""
    held.edit(f"ALTER TABLE {TABLE} RENAME COLUMN status TO other")
    with pytest.raises(TargetError):
        await held.watch.look()
    assert await held.watch.try_look() is None


def drill(folder: Path) -> Drill:
    return Drill(users=1, changes=1, seed=1, rate=1, steps=SCRIPT[:1], target=None, folder=folder)


@pytest.mark.parametrize(
    ("result", "passed"),
    [
        (Result(SCRIPT[0], changes=5, seconds=1.0), True),
        (Result(SCRIPT[0], skipped="not possible here"), True),
        (Result(SCRIPT[0], seconds=1.0, lost=1), False),
        (Result(SCRIPT[0], seconds=1.0, wrongly_deleted=1), False),
        (Result(SCRIPT[0], seconds=None), False),
        (Result(SCRIPT[0], seconds=1.0, problem="the reconcile did not end"), False),
    ],
)
def test_one_bad_step_fails_the_drill(tmp_path: Path, result: Result, passed: bool) -> None:
    """Lost, wrongly deleted, not in time, not done: each fails the whole drill. What cannot be done here does not."""
    good = Result(SCRIPT[0], changes=5, seconds=0.1)
    score = Score(drill(tmp_path), "SQLite", [good, result])
    assert (result.passed, score.passed, score.as_json()["passed"]) == (passed, passed, passed)


def test_calls_are_told_for_a_thousand_changes(tmp_path: Path) -> None:
    """The price of the sync, over all steps."""
    results = [Result(SCRIPT[0], changes=200, calls=100), Result(SCRIPT[0], changes=300, calls=25)]
    assert Score(drill(tmp_path), "SQLite", results).as_json()["total"]["okta_calls_per_1000_changes"] == 250.0


def test_steps_are_chosen_by_name() -> None:
    """In the script's order, whatever the order of asking; a name that is none is refused."""
    assert [step.name for step in chosen(["kills", "calm"])] == ["calm", "kills"]
    assert chosen([]) == SCRIPT
    with pytest.raises(ConfigError, match="no step earthquake"):
        chosen(["earthquake"])


def test_clock_is_as_wrong_as_the_file_says(tmp_path: Path) -> None:
    """Another process's clock follows the drill's at once, forward and back; time that passes does so for everybody."""
    right = DrillClock(tmp_path / "clock")
    clock = shifted(tmp_path / "clock")
    for ahead in (0, 3_600_000, -3_600_000, 0):
        right.jump_to(ahead)
        assert abs(clock() - now_ms() - ahead) < 60_000
        assert abs(right.now_ms() - now_ms()) < 60_000
    right.let_pass(7_200_000)
    right.jump_to(3_600_000)
    assert abs(right.now_ms() - now_ms() - 7_200_000) < 60_000
    assert abs(clock() - now_ms() - 10_800_000) < 60_000


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "oracle://db/x", "no url", "postgresql:///db"])
async def test_target_that_cannot_be_cut_off_is_refused(tmp_path: Path, url: str) -> None:
    """A target in memory, of an unknown kind, or without a host is refused before anything starts."""
    with pytest.raises(ConfigError, match="--target"):
        async with way_to(url, tmp_path):
            pass


async def test_proxy_goes_away_and_comes_back() -> None:
    """What passes is passed on; a closed proxy cuts off who is there and refuses who comes, until it is opened."""
    over: list[asyncio.Task[None]] = []

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()

    server = await asyncio.start_server(lambda *pair: over.append(asyncio.create_task(echo(*pair))), HOST, 0)
    proxy = Proxy(HOST, server.sockets[0].getsockname()[1])
    await proxy.open()
    assert await said(proxy.port, b"one") == b"one"
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    writer.write(b"two")
    assert await reader.readexactly(3) == b"two"
    proxy.close()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    with pytest.raises(ConnectionError):
        await asyncio.open_connection(HOST, proxy.port)
    await proxy.open()
    assert await said(proxy.port, b"three") == b"three"
    await proxy.aclose()
    await asyncio.gather(*over)
    server.close()


async def said(port: int, words: bytes) -> bytes:
    """What comes back for some words."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(words)
    answer = await reader.readexactly(len(words))
    writer.close()
    await writer.wait_closed()
    return answer


def test_nobody_and_nothing_is_equal() -> None:
    """An empty org and an empty table are equal: the verdict invents nothing."""
    verdict = judge({}, [], set(), set())
    assert (verdict.lost, verdict.wrongly_deleted) == ({}, {})
