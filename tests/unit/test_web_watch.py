"""What the web process has the System Log asked for: whatever it could not take, and what came while it was away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rosterhook import receiver, web, worker
from rosterhook.config import Config
from rosterhook.errors import StoreError
from rosterhook.model import now_ms
from rosterhook.notes import WEB, read_note
from rosterhook.web import Web


def configure(folder: Path) -> Config:
    target = {"name": "app", "type": "sql", "url": f"sqlite:///{folder / 'users.db'}"}
    settings = {"hook": {"secret": "s", "max_body_bytes": 2048}, "server": {"admin_token": "t" * 20}}
    return Config.model_validate({"data_dir": folder / "data", "targets": [target], **settings})


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Web]:
    async with web.opened(configure(tmp_path)) as opened:
        yield opened


async def asked(running: Web) -> bool:
    """Whether the log is asked for now."""
    found = await running._state.read(lambda db: db.execute("SELECT asked_ms FROM cursor").fetchall())
    return any(asked_ms is not None for (asked_ms,) in found)


async def answer(running: Web) -> None:
    """As the follower does when it has read the log."""
    await running._state.write(lambda db: db.execute("UPDATE cursor SET asked_ms = NULL") and None)


async def post(running: Web, body: bytes = b"{}", secret: str = "s") -> int:
    transport = httpx2.ASGITransport(app=running.app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://hook") as client:
        return (await client.post("/okta/events", content=body, headers={"Authorization": secret})).status_code


async def fail(*_: Any) -> None:
    raise StoreError("the disk is full")


async def test_the_start_asks_for_what_came_before(running: Web) -> None:
    """Calls may have found nobody until now: the log is asked for once, and the hook is judged from now on."""
    before = now_ms()
    await running.keep_watch()
    assert await asked(running)
    noted, _ = await running._state.read(lambda db: read_note(db, WEB))
    assert before <= noted["at_ms"] <= now_ms()
    await answer(running)
    await running.keep_watch()
    assert not await asked(running)


async def test_each_delivery_that_was_not_stored_asks(running: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """A 503 is counted, and the log is asked for at the next look; without another one it is not asked again."""
    await running.keep_watch()
    for _ in range(2):
        await answer(running)
        with monkeypatch.context() as patch:
            patch.setattr(running._inbox, "append", fail)
            assert [await post(running) for _ in range(3)] == [503] * 3
        assert not await asked(running)
        await running.keep_watch()
        assert await asked(running)
        await answer(running)
        await running.keep_watch()
        assert not await asked(running)
    assert running._receiver.unstored == 6


async def test_a_commit_that_takes_too_long_counts_too(running: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """No commit in time is a 503 as well, whatever becomes of the delivery later."""

    async def hang(*_: Any) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(running._inbox, "append", hang)
    monkeypatch.setattr(receiver, "ANSWER_SECONDS", 0.01)
    assert (await post(running), running._receiver.unstored) == (503, 1)


async def test_what_was_answered_otherwise_asks_for_nothing(running: Web) -> None:
    """What was stored, what was refused, and what was too large (the intake asks for that) is not counted."""
    await running.keep_watch()
    await answer(running)
    answers = [await post(running), await post(running, secret="wrong"), await post(running, b"x" * 3000)]
    assert (answers, running._receiver.unstored) == ([200, 401, 413], 0)
    await running.keep_watch()
    assert not await asked(running)


async def test_an_asking_that_fails_is_made_again(running: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the state store cannot be written, the next look asks for what was lost before."""
    await running.keep_watch()
    await answer(running)
    with monkeypatch.context() as patch:
        patch.setattr(running._inbox, "append", fail)
        await post(running)
    with monkeypatch.context() as patch:
        patch.setattr(running._state, "write", fail)
        with pytest.raises(StoreError):
            await running.keep_watch()
    assert not await asked(running)
    await running.keep_watch()
    assert await asked(running)


async def test_a_worker_wakes_who_waits_when_its_clock_is_set_back(tmp_path: Path) -> None:
    """The worker looks at its clock with each note: once it is set back, nobody waits for the old time."""
    now = now_ms()
    async with worker.opened(configure(tmp_path), clock=lambda: now) as working:
        subject = "INSERT INTO subject (org, kind, id, state, due_ms, generation, attempts, crowded)"
        values = f"VALUES ('default', 'user', '00u1', 'due', {now + 60_000}, 1, 0, 0)"
        await working._state.write(lambda db: db.execute(f"{subject} {values}") and None)
        for back, due_ms in ((0, now + 60_000), (3_600_000, now - 3_600_000)):
            now -= back
            await working._watch()
            [(found,)] = await working._state.read(lambda db: db.execute("SELECT due_ms FROM subject").fetchall())
            assert found == due_ms
