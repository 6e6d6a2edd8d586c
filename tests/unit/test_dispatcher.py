"""The dispatcher: what becomes of each outcome, and that one fault hinders nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rosterhook import directory
from rosterhook.dispatcher import Dispatcher, next_epoch
from rosterhook.errors import TargetError
from rosterhook.model import Change, Delivered, Outcome, Park, Report, RetryAt
from rosterhook.replay import replay_links, replay_parked
from rosterhook.store.database import Database
from rosterhook.targets import Row


class Recorder:
    """A target that remembers changes and answers as told."""

    name = "app"

    def __init__(self) -> None:
        self.seen: list[Change] = []
        self.answers: dict[str, Outcome] = {}
        self.error: Exception | None = None
        self.during: Any = None

    async def check(self) -> Report:
        return Report()

    async def deliver(self, changes: Sequence[Change]) -> list[Outcome]:
        if self.error:
            raise self.error
        self.seen += changes
        if self.during:
            await self.during()
        return [self.answers.get(change.user_id, Delivered()) for change in changes]

    async def snapshot(self) -> AsyncIterator[Row]:
        for change in self.seen:
            yield {"id": change.user_id}

    async def aclose(self) -> None:
        return


class Bench:
    """A state store with users in it, a target, and the dispatcher between them."""

    def __init__(self, folder: Path) -> None:
        self.now = 1_000_000
        self.state = Database(folder / "state.db", "state")
        self.target = Recorder()
        self.dispatcher = Dispatcher(self.state, self.target, 10_000, clock=lambda: self.now)

    async def change(self, user_id: str, second: int = 1, waiting_ms: int | None = 999_000) -> None:
        user = {"id": user_id, "lastUpdated": f"2026-01-01T00:00:{second:02}.000Z", "profile": {}}
        await self.state.write(
            lambda db: directory.record(db, user, fresh=True, targets=["app"], waiting_ms=waiting_ms, now=self.now)
        )

    async def links(self) -> list[Any]:
        sql = "SELECT user_id, wanted, done, state, error FROM link ORDER BY user_id"
        return await self.state.read(lambda db: db.execute(sql).fetchall())


@pytest.fixture
async def bench(tmp_path: Path):
    bench = Bench(tmp_path)
    yield bench
    await bench.state.close()


async def test_delivered_is_done_and_measured(bench: Bench) -> None:
    """A delivered user is in sync, and the time from the event to now is kept."""
    await bench.change("00u1")
    assert await bench.dispatcher.step()
    assert await bench.links() == [("00u1", 1, 1, "ok", None)]
    assert await bench.state.read(lambda db: db.execute("SELECT lag_ms FROM link").get) == 1000
    assert not await bench.dispatcher.step()


async def test_superseded_versions_collapse(bench: Bench) -> None:
    """A user who changes three times before the target is reached is written once, as of now."""
    for second in (1, 2, 3):
        await bench.change("00u1", second)
    await bench.dispatcher.step()
    assert [(change.order, change.user["lastUpdated"][17:19]) for change in bench.target.seen] == [(10_003, "03")]


async def test_change_during_a_delivery_is_delivered_too(bench: Bench) -> None:
    """A version that comes while an older one is being written stays pending, and is written next."""

    async def during() -> None:
        bench.target.during = None
        await bench.change("00u1", 2)

    bench.target.during = during
    await bench.change("00u1", 1)
    await bench.dispatcher.step()
    assert await bench.links() == [("00u1", 2, 1, "pending", None)]
    await bench.dispatcher.step()
    assert await bench.links() == [("00u1", 2, 2, "ok", None)]


async def test_one_bad_user_hinders_no_other(bench: Bench) -> None:
    """Parked and postponed users keep their reason; the others are in sync."""
    for name in ("00u1", "00u2", "00u3"):
        await bench.change(name)
    bench.target.answers = {"00u1": Park("bad column"), "00u2": RetryAt(bench.now + 5000, "busy")}
    await bench.dispatcher.step()
    assert await bench.links() == [
        ("00u1", 1, 0, "parked", "bad column"),
        ("00u2", 1, 0, "pending", "busy"),
        ("00u3", 1, 1, "ok", None),
    ]
    assert not await bench.dispatcher.step()
    bench.now += 6000
    bench.target.answers = {}
    await bench.dispatcher.step()
    assert [row[3] for row in await bench.links()] == ["parked", "ok", "ok"]


async def test_target_that_is_down_loses_nothing(bench: Bench) -> None:
    """While a target takes nothing, every user waits and the fault is shown; then all are delivered."""
    await bench.change("00u1")
    bench.target.error = TargetError("down", hint="start it")
    with pytest.raises(TargetError):
        await bench.dispatcher.step()
    assert bench.dispatcher.error == "down start it"
    assert (await bench.links())[0][3] == "pending"
    bench.target.error = None
    await bench.dispatcher.step()
    assert ((await bench.links())[0][3], bench.dispatcher.error) == ("ok", "")


async def test_parked_is_replayed_by_hand(bench: Bench) -> None:
    """`replay` gives a parked user its next chance, and nobody else."""
    await bench.change("00u1")
    await bench.change("00u2")
    bench.target.answers = {"00u1": Park("no")}
    await bench.dispatcher.step()
    bench.target.answers, bench.target.seen = {}, []
    done = await bench.state.write(lambda db: replay_parked(db, None, bench.now))
    assert done.writes == 1
    await bench.dispatcher.step()
    assert [change.user_id for change in bench.target.seen] == ["00u1"]
    assert {row[3] for row in await bench.links()} == {"ok"}


async def test_replay_during_a_delivery_is_not_lost(bench: Bench) -> None:
    """When somebody orders a replay while a user is being written, the user is written once more."""

    async def during() -> None:
        bench.target.during = None
        bench.now += 5
        await bench.state.write(lambda db: replay_links(db, now=bench.now))

    bench.target.during = during
    await bench.change("00u1")
    await bench.dispatcher.step()
    assert (await bench.links())[0][3] == "pending"
    await bench.dispatcher.step()
    assert (len(bench.target.seen), (await bench.links())[0][3]) == (2, "ok")


async def test_replay_of_all_writes_everybody_again(bench: Bench) -> None:
    """A full replay has the target hold every user anew."""
    await bench.change("00u1")
    await bench.dispatcher.step()
    assert await bench.state.write(lambda db: replay_links(db, now=bench.now)) == 1
    await bench.dispatcher.step()
    assert len(bench.target.seen) == 2


async def test_deleted_user_is_told_as_such(bench: Bench) -> None:
    """A tombstone reaches the target as a change that says deleted."""
    await bench.change("00u1")
    await bench.state.write(
        lambda db: directory.record_gone(db, "00u1", targets=["app"], waiting_ms=None, now=bench.now)
    )
    await bench.dispatcher.step()
    [change] = bench.target.seen
    assert (change.deleted, change.user["status"]) == (True, "DELETED")


async def test_epochs_grow_even_when_the_clock_goes_back(bench: Bench) -> None:
    """Each worker's epoch lies above its predecessor's, so its writes win, whatever the clock says."""
    epochs = [await bench.state.write(lambda db, now=now: next_epoch(db, now)) for now in (5000, 3000, 90_000)]
    assert epochs == [5000, 6000, 90_000]


async def test_cancelled_delivery_stays_pending(bench: Bench) -> None:
    """A delivery that is cut off in the middle is delivered again."""
    reached = asyncio.Event()

    async def hang() -> None:
        reached.set()
        await asyncio.Event().wait()

    bench.target.during = hang
    await bench.change("00u1")
    step = asyncio.create_task(bench.dispatcher.step())
    await reached.wait()
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    bench.target.during = None
    await bench.dispatcher.step()
    assert (len(bench.target.seen), (await bench.links())[0][3]) == (2, "ok")
