"""A clock that is set back: it is noticed, and nobody waits for the old time to come again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import apsw
import pytest
from resolver_bench import Bench, okta_user

from rosterhook.errors import OktaError
from rosterhook.loops import ClockWatch
from rosterhook.store.migrate import migrate
from rosterhook.upkeep import LONGEST_WAIT_MS, wake

HOUR = 3_600_000


class Clocks:
    """A clock on the wall in milliseconds, and one that only grows in seconds."""

    def __init__(self) -> None:
        self.wall, self.seconds = 1_000_000_000, 50.0

    def pass_(self, seconds: float, *, jump_ms: int = 0) -> None:
        self.seconds += seconds
        self.wall += int(seconds * 1000) + jump_ms


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
def watch(clocks: Clocks) -> ClockWatch:
    return ClockWatch(lambda: clocks.wall, lambda: clocks.seconds)


@pytest.mark.parametrize(
    ("jump_ms", "noticed"),
    [(0, False), (-ClockWatch.STEP_MS, False), (-ClockWatch.STEP_MS - 1, True), (-HOUR, True), (HOUR, False)],
)
def test_a_clock_that_is_set_back_is_noticed_once(
    clocks: Clocks, watch: ClockWatch, jump_ms: int, noticed: bool
) -> None:
    """A jump backwards of more than two seconds is told at the next look, and not again; one forwards is none."""
    clocks.pass_(2)
    assert not watch.was_set_back()
    clocks.pass_(2, jump_ms=jump_ms)
    assert watch.was_set_back() is noticed
    clocks.pass_(2)
    assert not watch.was_set_back()


def test_a_clock_that_is_trimmed_is_not_set_back(clocks: Clocks, watch: ClockWatch) -> None:
    """A clock that is slowed down for hours to come right is the same clock: each look compares with the last."""
    for _ in range(100):
        clocks.pass_(2, jump_ms=-100)
        assert not watch.was_set_back()


def test_a_clock_that_comes_back_after_a_jump_forwards_is_noticed(clocks: Clocks, watch: ClockWatch) -> None:
    """Forwards by an hour, and corrected later: what was put off by the wrong time would wait for an hour."""
    clocks.pass_(2, jump_ms=HOUR)
    assert not watch.was_set_back()
    clocks.pass_(2, jump_ms=-HOUR)
    assert watch.was_set_back()


@pytest.fixture
def db() -> apsw.Connection:
    connection = apsw.Connection(":memory:")
    migrate(connection, "state")
    return connection


def waits(db: apsw.Connection) -> list[tuple[Any, ...]]:
    """When who is tried again."""
    subjects = db.execute("SELECT 'subject', id, state, due_ms FROM subject").fetchall()
    links = db.execute("SELECT 'link', user_id, state, due_ms FROM link").fetchall()
    return sorted(subjects + links)


def fill(db: apsw.Connection, *dues: tuple[str, int]) -> None:
    """Users who wait to be read, and to be written."""
    subject = "INSERT INTO subject (org, kind, id, state, due_ms, generation, attempts, crowded) VALUES"
    link = "INSERT INTO link (org, target, user_id, state, due_ms, wanted, done, attempts) VALUES"
    for state, due_ms in dues:
        user = f"{state} {due_ms}"
        db.execute(f"{subject} ('default', 'user', ?, ?, ?, 1, 0, 0)", (user, state, due_ms))
        db.execute(f"{link} ('default', 'app', ?, ?, ?, 1, 0, 0)", (user, {"due": "pending"}.get(state, state), due_ms))


def test_who_would_wait_is_tried_now(db: apsw.Connection) -> None:
    """Everybody who was put off, to be read or to be written, is due at once; nobody else is touched."""
    fill(db, ("due", 500), ("due", 1000), ("due", 1001), ("due", 9 * HOUR), ("parked", 9 * HOUR), ("claimed", 9 * HOUR))
    before = waits(db)
    wake(db, 1000, later_ms=0)
    woken = {"due 1001", f"due {9 * HOUR}"}
    assert waits(db) == sorted((kind, user, state, 1000 if user in woken else at) for kind, user, state, at in before)


def test_a_start_wakes_only_who_would_wait_for_very_long(db: apsw.Connection) -> None:
    """Who is to wait for some minutes goes on to wait; a wait of more than an hour comes of another clock."""
    fill(db, ("due", 1000 + LONGEST_WAIT_MS), ("due", 1001 + LONGEST_WAIT_MS))
    wake(db, 1000, later_ms=LONGEST_WAIT_MS)
    assert [at for kind, _, _, at in waits(db) if kind == "subject"] == [1000 + LONGEST_WAIT_MS, 1000]


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    await bench.state.close()


async def test_a_user_who_was_put_off_is_read_after_the_clock_was_set_back(bench: Bench) -> None:
    """With the clock a day back, who waits for another try does not wait for a day."""
    bench.okta.by_id["00u1"] = OktaError("Okta answered 400", status=400)
    await bench.due("00u1")
    await bench.resolver.step()
    bench.okta.by_id["00u1"] = okta_user("00u1")
    bench.now -= 24 * HOUR
    assert not await bench.resolver.step()
    await bench.state.write(lambda db: wake(db, bench.now, later_ms=0))
    assert await bench.resolver.step()
    assert await bench.subjects() == []
