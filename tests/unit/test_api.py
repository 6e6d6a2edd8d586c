"""The endpoints over real stores and a real SQLite target."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx2
import pytest

from rosterhook import directory, web
from rosterhook.config import Config
from rosterhook.dispatcher import Dispatcher
from rosterhook.errors import ConfigError, StoreError
from rosterhook.hook_secrets import HookRecord, Retired, digest_of, write_record
from rosterhook.store.database import Database
from rosterhook.store.queries import run
from rosterhook.targets.registry import build_target

TOKEN = "admin-token-1234567890"


def configure(folder: Path, **target: Any) -> Config:
    app = {"name": "app", "type": "sql", "url": f"sqlite:///{folder / 'users.db'}", **target}
    settings = {"hook": {"secret": "s"}, "server": {"admin_token": TOKEN}, "targets": [app]}
    return Config.model_validate({"data_dir": folder / "data", **settings})


def user(number: int, **profile: Any) -> dict[str, Any]:
    stamp = "2026-01-01T00:00:00.000Z"
    return {"id": f"00u{number:03}", "status": "ACTIVE", "lastUpdated": stamp, "profile": profile}


async def fill(config: Config, *users: dict[str, Any]) -> None:
    """Have the directory and the target hold users, without any process."""
    state = Database(config.data_dir / "state.db", "state")
    target = build_target(config.targets[0])
    for each in users:
        await state.write(
            lambda db, each=each: directory.record(db, each, fresh=True, targets=["app"], waiting_ms=None, now=1)
        )
    while await Dispatcher(state, target, 1).step():
        pass
    await target.aclose()
    await state.close()


def asking(app: Any) -> httpx2.AsyncClient:
    headers = {"Authorization": f"Bearer {TOKEN}"}
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://host", headers=headers)


async def test_half_of_a_surrogate_pair_does_not_cost_the_page(tmp_path: Path) -> None:
    """`/api/users` shows who has half a character in a name as Okta does, and everybody else with them."""
    config = configure(tmp_path)
    await fill(config, user(1), user(2, lastName="\ud83d"), user(3))
    async with web.opened(config) as opened, asking(opened.app) as client:
        answer = await client.get("/api/users")
    assert answer.status_code == 200
    assert [each["profile"].get("lastName") for each in json.loads(answer.text)] == [None, "\ud83d", None]


async def test_get_users_is_the_first_targets_rows(tmp_path: Path) -> None:
    """`/getUsers` answers an array of rows with column names as keys, as the table has them."""
    config = configure(tmp_path, columns={"key": "id", "mail": "profile.email", "status": "status"})
    await fill(config, user(1, email="a@b.c"), user(2, email="q\"'é\u2028@b.c"))
    async with web.opened(config) as opened, asking(opened.app) as client:
        answer = await client.get("/getUsers")
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == [
        {"key": "00u001", "mail": "a@b.c", "status": "ACTIVE"},
        {"key": "00u002", "mail": "q\"'é\u2028@b.c", "status": "ACTIVE"},
    ]


async def test_get_users_with_the_tutorials_table_is_the_tutorials_json(tmp_path: Path) -> None:
    """With the preset, `/getUsers` has exactly the tutorial's six keys, in its order."""
    config = configure(tmp_path, preset="tutorial")
    await fill(config, user(1, firstName="Test", lastName="User", email="t@e.x", mobilePhone="111"))
    async with web.opened(config) as opened, asking(opened.app) as client:
        answer = await client.get("/getUsers")
    assert answer.text == (
        '[{"id": 1, "firstName": "Test", "lastName": "User", "email": "t@e.x", "mobilePhone": "111",'
        ' "oktaId": "00u001"}]'
    )


async def test_get_users_before_the_first_row_is_an_empty_array(tmp_path: Path) -> None:
    """A target without its table yet has no users; that is no error."""
    async with web.opened(configure(tmp_path)) as opened, asking(opened.app) as client:
        assert (await client.get("/getUsers")).json() == []


async def test_get_users_of_a_broken_target_is_an_error_in_words(tmp_path: Path) -> None:
    """A target that cannot be read answers 503 with what is wrong and what to do, and no traceback."""
    (tmp_path / "users.db").write_bytes(b"no database" * 1000)
    async with web.opened(configure(tmp_path)) as opened, asking(opened.app) as client:
        answer = await client.get("/getUsers")
    assert answer.status_code == 503
    assert answer.json()["error"]
    assert "Traceback" not in answer.text


async def test_users_come_in_pages(tmp_path: Path) -> None:
    """`/api/users` follows Link next to every user once, tombstones marked."""
    config = configure(tmp_path)
    await fill(config, *(user(number) for number in range(7)))
    state = Database(config.data_dir / "state.db", "state")
    await state.write(lambda db: directory.record_gone(db, "00u003", targets=["app"], waiting_ms=None, now=1))
    await state.close()
    found, path = [], "/api/users?limit=3"
    async with web.opened(config) as opened, asking(opened.app) as client:
        while path:
            answer = await client.get(path)
            found += answer.json()
            path = answer.links.get("next", {}).get("url", "")
    assert [each["id"] for each in found] == [f"00u{number:03}" for number in range(7)]
    assert found[3]["status"] == "DELETED"
    assert found[3]["rosterhook"] == {
        "version": 2,
        "changed": "1970-01-01T00:00:00.001Z",
        "deleted": "1970-01-01T00:00:00.001Z",
    }


@pytest.mark.parametrize("limit", ["0", "-1", "x", "1001", "9" * 5000, "²"])
async def test_bad_limit_is_told(tmp_path: Path, limit: str) -> None:
    """A limit that is none is answered 400 with the range."""
    async with web.opened(configure(tmp_path)) as opened, asking(opened.app) as client:
        answer = await client.get("/api/users", params={"limit": limit})
    assert (answer.status_code, answer.json()) == (400, {"error": "limit is a number from 1 to 1000"})


async def test_readyz_needs_a_writable_store_and_tells_the_rest(tmp_path: Path) -> None:
    """Ready means that deliveries can be stored; that the worker is away is told, and refuses nothing."""
    async with web.opened(configure(tmp_path)) as opened, asking(opened.app) as client:
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["worker"]) == (200, "not running")
        other = Database(tmp_path / "data" / "inbox.db", "inbox", busy_ms=10)
        other._writer.execute("BEGIN IMMEDIATE")
        opened._inbox.database._writer.set_busy_timeout(10)
        locked = await client.get("/readyz")
        other._writer.execute("ROLLBACK")
        await other.close()
    assert locked.status_code == 503
    assert locked.json() == {"ready": False, "store": "not writable"}


async def test_readyz_sees_a_full_disk_and_survives_a_broken_state(tmp_path: Path) -> None:
    """A store that takes nothing more is not ready; a state store that cannot be read leaves the receiver ready."""
    async with web.opened(configure(tmp_path)) as opened, asking(opened.app) as client:
        await opened._inbox.database.write(lambda db: db.execute("PRAGMA max_page_count = 1") and None)
        full = await client.get("/readyz")
        await opened._inbox.database.write(lambda db: db.execute("PRAGMA max_page_count = 1000") and None)
        await opened._state.write(lambda db: db.execute("ALTER TABLE note RENAME TO away") and None)
        half = await client.get("/readyz")
    assert (half.status_code, half.json()["worker"]) == (200, "not known")
    assert (full.status_code, full.json()) == (503, {"ready": False, "store": "not writable"})


async def test_readyz_tells_strangers_no_names(tmp_path: Path) -> None:
    """An error of Okta, which names users, is not shown to who has no token."""
    import json

    async with web.opened(configure(tmp_path)) as opened, asking(opened.app) as client:
        note = {"okta": {"mode": "token", "error": "Okta did not answer GET /api/v1/users/00uSecret"}}
        values = {"org": "default", "name": "worker", "value": json.dumps(note), "now": 10**14}
        await opened._state.write(lambda db: run(db, "leave_note", values))
        answer = await client.get("/readyz")
    assert answer.json()["okta"] == "not reachable: see the status"
    assert "00uSecret" not in answer.text


async def test_status_has_every_promised_number(tmp_path: Path) -> None:
    """The status has the keys that programs rely on."""
    config = configure(tmp_path)
    await fill(config, user(1))
    async with web.opened(config) as opened, asking(opened.app) as client:
        status = (await client.get("/api/status")).json()
        metrics = (await client.get("/metrics")).text
        page = (await client.get("/")).text
    assert status["deliveries"] == {"received": 0, "waiting": 0, "quarantined": 0}
    assert status["events"] == {"stored": 0, "duplicates": 0}
    assert status["subjects"]["due"] == status["subjects"]["parked"] == 0
    assert status["users"] == {"active": 1, "total": 1, "deleted": 0}
    assert status["targets"] == [{"name": "app", "in_sync": 1, "pending": 0, "parked": 0, "held": 0, "error": ""}]
    assert set(status["okta"]) >= {"mode", "budget"}
    assert status["lag_seconds"] == {"p50": None, "p99": None}
    assert 'rosterhook_links{state="in_sync",target="app"} 1.0' in metrics
    assert "The worker is not running" in page


async def test_unknown_path_is_404_in_words(tmp_path: Path) -> None:
    """An address that does not exist is 404 as JSON."""
    async with web.opened(configure(tmp_path)) as opened, asking(opened.app) as client:
        answer = await client.get("/nowhere")
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


async def test_no_secret_no_start(tmp_path: Path) -> None:
    """Without a hook secret the web process does not start, and says what to set."""
    config = configure(tmp_path).model_copy(update={"hook": Config().hook})
    with pytest.raises(ConfigError, match=r"hook\.secret") as told:
        async with web.opened(config):
            pass
    assert "hook.secret_file" in told.value.hint


async def test_second_web_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two web processes over one data_dir would both write the inbox: the second says so and ends."""
    monkeypatch.setattr("rosterhook.data_dir.WAIT_SECONDS", 0.0)
    config = configure(tmp_path)
    async with web.opened(config):
        with pytest.raises(StoreError, match=r"web\.lock is taken"):
            async with web.opened(config):
                pass


async def test_old_deliveries_are_pruned_once_taken_in(tmp_path: Path) -> None:
    """Pruning removes what is old and taken in, and never what the worker has not read."""
    from rosterhook.model import Delivery

    async with web.opened(configure(tmp_path)) as opened:
        for received_ms in (1, 2, 3, 10**15):
            await opened._inbox.append(Delivery(received_ms, {}, b""))
        await opened._state.write(
            lambda db: (
                run(db, "move_offset", {"org": "default", "reader": "intake", "seq": 2, "received_ms": 2}) and None
            )
        )
        while await opened.prune():
            pass
        assert [each.seq for each in await opened._inbox.read(0, 10)] == [3, 4]


async def test_refused_calls_of_okta_are_in_the_status(tmp_path: Path) -> None:
    """What the web process refused, the commands and the status tell."""
    config = configure(tmp_path)
    async with web.opened(config) as opened, asking(opened.app) as client:
        agent = {"Authorization": "wrong", "User-Agent": "Okta Hook Service v1.0.0 - who1"}
        assert (await client.post(config.hook.path, content=b"{}", headers=agent)).status_code == 401
        await opened.keep_watch()
        status = (await client.get("/api/status")).json()
    assert status["hook"]["refused"] == 1
    assert status["hook"]["refused_seconds_ago"] >= 0


async def test_running_web_process_lets_a_retired_secret_go(tmp_path: Path) -> None:
    """When its time is over, a secret is refused without a restart."""
    config = configure(tmp_path)
    secret = config.hook.accepted()[0].decode()
    async with web.opened(config) as opened, asking(opened.app) as client:
        sent = {"Authorization": secret}
        assert (await client.post(config.hook.path, content=b"{}", headers=sent)).status_code == 200
        write_record(config.data_dir, HookRecord(secret="rotated", retired={digest_of(secret): Retired(0.0)}))
        await opened.keep_watch()
        assert (await client.post(config.hook.path, content=b"{}", headers=sent)).status_code == 401
