"""The receiver over a real inbox whose disk or lock fails: 503, and then life goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import apsw
import httpx2
import pytest

from rosterhook.config import HookConfig
from rosterhook.hook_secrets import HookSecrets
from rosterhook.inbox import SqliteInbox
from rosterhook.receiver import Receiver


@pytest.fixture
async def hook(tmp_path: Path):
    """A real inbox, and a client that posts to the receiver before it."""
    hook, inbox = HookConfig(secret="s"), SqliteInbox(tmp_path)
    transport = httpx2.ASGITransport(app=Receiver(hook, HookSecrets(hook, tmp_path), inbox, _nowhere))
    async with httpx2.AsyncClient(transport=transport, base_url="http://hook") as client:
        yield inbox, client
    await inbox.close()


async def _nowhere(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("not the hook's path")


async def post(client: httpx2.AsyncClient, body: bytes) -> int:
    answer = await client.post("/okta/events", content=body, headers={"Authorization": "s"})
    return answer.status_code


async def test_full_disk_is_503_until_there_is_room(hook: Any) -> None:
    """A delivery that does not fit on the disk is answered 503 and not stored; the next that fits is taken."""
    inbox, client = hook
    await inbox.database.write(lambda db: db.execute("PRAGMA max_page_count = 20") and None)
    assert await post(client, b"x" * 1_000_000) == 503
    assert await post(client, b"small") == 200
    assert [one.body for one in await inbox.read(0, 10)] == [b"small"]


async def test_locked_store_is_503_until_the_lock_goes(hook: Any) -> None:
    """While another process locks the store, Okta is told to come again; afterwards deliveries are taken."""
    inbox, client = hook
    inbox.database._writer.set_busy_timeout(20)
    other = apsw.Connection(str(inbox.database.path))
    other.execute("BEGIN IMMEDIATE")
    assert await post(client, b"one") == 503
    other.execute("ROLLBACK")
    other.close()
    assert await post(client, b"two") == 200
    assert [one.body for one in await inbox.read(0, 10)] == [b"two"]
