"""The simulated org in a file: what survives a restart and a SIGKILL, and what is never written over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx2
import pytest

from rosterhook.simulator import Settings, Simulator, files, in_process, running, state
from rosterhook.simulator.problems import SimulatorError

PROGRAM = (sys.executable, "-m", "rosterhook.simulator")
#: Everything a caller may see of an org, by the paths that show it.
VIEWS = ("/_sim/truth", "/api/v1/logs?limit=1000", "/api/v1/groups", "/api/v1/eventHooks", "/_sim/apps")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "org.json"


@contextlib.asynccontextmanager
async def program(path: Path, *options: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, httpx2.AsyncClient]]:
    """The simulator as a process with this state file, and a client of it."""
    started = await asyncio.create_subprocess_exec(
        *PROGRAM, "--state", str(path), *options, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert started.stdout
        line = (await asyncio.wait_for(started.stdout.readline(), 20)).decode()
        url, headers = line.rpartition(" ")[2].strip(), {"Authorization": "SSWS sim-token"}
        async with httpx2.AsyncClient(base_url=url, headers=headers, trust_env=False) as client:
            yield started, client
    finally:
        with contextlib.suppress(ProcessLookupError):
            started.kill()
        await started.communicate()


async def killed(started: asyncio.subprocess.Process) -> None:
    """SIGKILL, and wait for the end."""
    started.kill()
    await asyncio.wait_for(started.wait(), 20)


async def truth(client: httpx2.AsyncClient) -> dict:
    """The truth without the addresses in it, which change with the port."""
    found = (await client.get("/_sim/truth")).json()
    for user in found["users"]:
        del user["_links"]
    return found


async def finished(client: httpx2.AsyncClient) -> None:
    """Wait until all traffic is done."""
    async with asyncio.timeout(20):
        while (await client.get("/_sim/traffic")).json()["running"]:
            pass


async def seen(client: httpx2.AsyncClient) -> dict[str, object]:
    answers = {view: await client.get(view) for view in VIEWS}
    assert {answer.status_code for answer in answers.values()} == {200}
    return {view: answer.json() for view, answer in answers.items()}


async def test_everything_is_as_it_was(path):
    """Users, groups, memberships, the log, hooks, apps and what was deleted are the same after a restart."""
    settings = Settings(state_file=path, users=30, late_rows=0.2, late_seconds=3600, rate_multiplier=100)
    async with in_process(settings) as (simulator, client):
        await client.post("/_sim/apps", json={"generate": True})
        await client.post("/_sim/traffic", json={"changes": 400, "seed": 5})
        await finished(client)
        simulator.shortcut.put("http://127.0.0.1:9/okta", secret="a secret")
        before, parts = await seen(client), {name: part.dump() for name, part in state.parts_of(simulator).items()}
        assert before["/_sim/truth"]["deleted"]
        assert len(before["/api/v1/logs?limit=1000"]) > 200
    async with in_process(settings) as (simulator, client):
        assert await seen(client) == before
        assert {name: part.dump() for name, part in state.parts_of(simulator).items()} == parts


async def test_search_sees_everybody_at_once(path):
    """What the index had not seen before the end is in it after a restart."""
    settings = Settings(state_file=path, index_lag_seconds=3600)
    async with in_process(settings) as (simulator, client):
        [user_id] = simulator.create_users(1)
        query = {"search": f'id eq "{user_id}"'}
        assert (await client.get("/api/v1/users", params=query)).json() == []
    async with in_process(settings) as (_, client):
        assert [user["id"] for user in (await client.get("/api/v1/users", params=query)).json()] == [user_id]


async def test_sigkill_loses_nothing_that_was_saved(path):
    """After a SIGKILL the org is as it was saved, and traffic does not go on by itself."""
    async with program(path, "--users", "20") as (started, client):
        await client.post("/_sim/traffic", json={"changes": 200, "seed": 8})
        await finished(client)
        await client.post("/_sim/traffic", json={"changes": 0, "per_second": 0.001})
        while not (await client.get("/_sim/traffic")).json()["done"]:
            pass
        assert (await client.post("/_sim/state")).status_code == 204
        before = await truth(client)
        await killed(started)
    async with program(path, "--users", "999", "--seed", "4") as (_, client):
        assert await truth(client) == before
        assert (await client.get("/_sim/traffic")).json()["running"] is False


async def test_a_change_is_saved_without_being_asked(path):
    """A change is in the file soon after it, although nobody asked for it."""
    async with program(path) as (started, client):
        user_id = (await client.post("/_sim/users", json={"count": 1})).json()["ids"][0]
        async with asyncio.timeout(10):
            while user_id not in path.read_text():
                await client.get("/_sim/")
        await killed(started)
    async with program(path) as (_, client):
        assert [user["id"] for user in (await truth(client))["users"]] == [user_id]


async def test_no_id_comes_twice(path):
    """Ids that were given out in the lost moment before a SIGKILL are not given to others after it."""
    given: list[str] = []
    for _ in range(3):
        async with program(path) as (started, client):
            given += (await client.post("/_sim/users", json={"count": 20})).json()["ids"]
            await killed(started)
    assert len(set(given)) == 60


async def test_the_end_saves_too(path):
    """SIGTERM writes the last changes, whatever the time since the last write, and the next start says what it does."""
    async with program(path, "--users", "3") as (started, client):
        await client.post("/_sim/users", json={"count": 4})
        started.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(started.wait(), 20) == 0
    async with program(path, "--users", "50", "--announce", "--test-user") as (started, client):
        assert len((await truth(client))["users"]) == 7
        assert started.stdout
        line = (await asyncio.wait_for(started.stdout.readline(), 20)).decode()
    assert line.startswith(f"going on with the org of {path} (7 users); --seed, --users, ")


def test_nobody_sees_half_a_file(path):
    """While a file is written the old one is there, also when the write ends early."""

    def pieces(*, fail: bool) -> Iterator[str]:
        before = path.read_text()
        yield "new " * 100_000
        assert path.read_text() == before
        if fail:
            raise OSError(28, os.strerror(28))

    path.write_text("old")
    with pytest.raises(OSError, match="No space left"):
        files.replace_file(path, pieces(fail=True))
    assert (path.read_text(), list(path.parent.iterdir())) == ("old", [path])
    files.replace_file(path, pieces(fail=False))
    assert (path.read_text()[:4], list(path.parent.iterdir())) == ("new ", [path])


async def test_a_file_that_is_torn_by_nobody(path):
    """However often a simulator is killed while it writes, the file can be read again."""
    for _ in range(2):
        async with program(path) as (started, client):
            await client.post("/_sim/users", json={"count": 200})
            writing = asyncio.create_task(client.post("/_sim/state"))
            async with asyncio.timeout(10):
                while not path.with_name("org.json.new").exists() and not writing.done():
                    await client.get("/_sim/")
            started.kill()
            with contextlib.suppress(httpx2.HTTPError):
                await writing
            await started.wait()
        assert json.loads(path.read_text())["version"] == state.VERSION
    async with program(path) as (_, client):
        assert len((await truth(client))["users"]) % 200 == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "it is not JSON"),
        ("{" * 100_000, "it is not JSON"),
        ("[1]", "it is not the state of a simulator"),
        ('{"users": []}', "it is not the state of a simulator"),
        (
            '{"format": "rosterhook-simulator", "version": 99}',
            "it is of version 99, and this simulator writes version 1",
        ),
        ('{"format": "rosterhook-simulator", "version": 1}', "it is damaged"),
        ('{"format": "rosterhook-simulator", "version": 1, "seed": 1, "starts": 1, "parts": {}}', "its part 'numbers'"),
    ],
)
async def test_a_useless_file_is_left_alone(path, text, why):
    """A file of another kind, of another version or with damage is refused with the reason, and not touched."""
    path.write_text(text)
    with pytest.raises(SimulatorError, match=f"cannot use .*{why}.* left as it is"):
        async with running(Settings(state_file=path)):
            pass
    assert path.read_text() == text


@pytest.mark.parametrize("name", ["numbers", "org", "log", "hooks", "access"])
async def test_damage_in_any_part_is_told(path, name):
    """A file in which one part is not what it should be is refused, and not touched."""
    async with in_process(Settings(state_file=path, users=2)):
        pass
    held = json.loads(path.read_text())
    held["parts"][name] = {"nonsense": 1}
    path.write_text(json.dumps(held))
    before = path.read_bytes()
    with pytest.raises(SimulatorError, match=f"its part '{name}' is damaged"):
        async with in_process(Settings(state_file=path)):
            pass
    assert path.read_bytes() == before


async def test_a_file_has_one_simulator(path):
    """A second simulator on the same file is refused, also by another name of it; a dead one holds nobody up."""
    other = path.with_name("link.json")
    async with in_process(Settings(state_file=path)):
        other.symlink_to(path)
        with pytest.raises(SimulatorError, match=r"another simulator has .*org\.json: stop it"):
            async with in_process(Settings(state_file=other)):
                pass
    async with in_process(Settings(state_file=other)):
        assert other.is_symlink()


async def test_no_lock_stays_but_the_one_of_a_running_org(path):
    """A start that is refused leaves no lock file, nor takes that of the org that runs; nor does an end leave one."""
    async with in_process(Settings(state_file=path)):
        with pytest.raises(SimulatorError, match="another simulator has"):
            async with in_process(Settings(state_file=path)):
                pass
        assert {each.name for each in path.parent.iterdir()} == {"org.json", "org.json.lock"}
    assert [each.name for each in path.parent.iterdir()] == ["org.json"]
    path.write_text("precious")
    with pytest.raises(SimulatorError, match="it is not JSON"):
        async with in_process(Settings(state_file=path)):
            pass
    assert [each.name for each in path.parent.iterdir()] == ["org.json"]


def test_a_lock_that_was_just_removed_locks_nothing(path, monkeypatch):
    """Who opens the lock file right before its owner removes it takes the next one, not the removed one."""
    lock, flock, handles = path.with_name("org.json.lock"), state.fcntl.flock, []

    def removed_meanwhile(handle: int, how: int) -> None:
        if not handles:
            lock.unlink()
        handles.append(handle)
        flock(handle, how)

    monkeypatch.setattr(state.fcntl, "flock", removed_meanwhile)
    with state.opened(path), pytest.raises(SimulatorError, match="another simulator has"), state.opened(path):
        pass
    assert len(handles) == 3
    assert not lock.exists()


async def test_somebody_elses_file_is_no_lock(path):
    """A file with something in it, where the lock file would be, stays there."""
    lock = path.with_name("org.json.lock")
    lock.write_text("precious")
    async with in_process(Settings(state_file=path)):
        pass
    assert lock.read_text() == "precious"


async def test_secrets_are_for_the_owner_alone(path):
    """The file may hold tokens and keys, so nobody else may read it."""
    async with in_process(Settings(state_file=path)):
        assert path.stat().st_mode & 0o077 == 0
    assert path.stat().st_mode & 0o077 == 0


async def test_calls_are_answered_while_the_file_is_written(path, monkeypatch):
    """Writing happens beside the org: however long it takes, calls are answered."""
    began, may_end = threading.Event(), threading.Event()
    replace_file = state.replace_file

    def slow(*arguments: object) -> None:
        began.set()
        assert may_end.wait(20)
        replace_file(*arguments)

    async with in_process(Settings(state_file=path)) as (simulator, client):
        monkeypatch.setattr(state, "replace_file", slow)
        simulator.create_users(1)
        saving = asyncio.create_task(client.post("/_sim/state"))
        assert await asyncio.to_thread(began.wait, 20)
        simulator.create_users(1)
        assert len((await client.get("/api/v1/users")).json()) == 2
        may_end.set()
        assert (await saving).status_code == 204
        assert len(json.loads(path.read_text())["parts"]["org"]["users"]["rows"]) == 1
    assert len(json.loads(path.read_text())["parts"]["org"]["users"]["rows"]) == 2


async def test_a_full_disk_is_told_once_and_survived(path, monkeypatch, caplog):
    """While nothing can be written the org goes on, one line says why, and the next chance is used."""
    full, tries, again = [True], [0], asyncio.Event()
    loop, replace_file = asyncio.get_running_loop(), state.replace_file

    def failing(*arguments: object) -> None:
        tries[0] += 1
        if tries[0] == 3:
            loop.call_soon_threadsafe(again.set)
        if full[0]:
            raise OSError(28, os.strerror(28))
        replace_file(*arguments)

    monkeypatch.setattr(state, "SECONDS_BETWEEN_WRITES", 0.01)
    async with in_process(Settings(state_file=path)) as (simulator, client):
        monkeypatch.setattr(state, "replace_file", failing)
        [user_id] = simulator.create_users(1)
        await asyncio.wait_for(again.wait(), 20)
        answer = await client.post("/_sim/state")
        assert (answer.status_code, answer.json()) == (500, {"error": f"cannot write {path}: No space left on device"})
        assert [record.getMessage() for record in caplog.records] == [
            f"cannot write {path}: No space left on device; trying again"
        ]
        full[0] = False
    assert user_id in path.read_text()


async def test_what_cannot_be_written_at_the_end_is_an_error(path, monkeypatch):
    """An end whose last write fails is no success."""

    def failing(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    open_org = in_process(Settings(state_file=path))
    simulator, _ = await open_org.__aenter__()
    simulator.create_users(1)
    monkeypatch.setattr(state, "replace_file", failing)
    with pytest.raises(SimulatorError, match="No space left on device"):
        await open_org.__aexit__(None, None, None)


async def test_nothing_is_written_while_nothing_changes(path, monkeypatch):
    """A quiet org leaves the disk alone, however often it is asked and saved."""
    async with in_process(Settings(state_file=path, users=3)) as (_, client):
        before = path.stat()
        for _ in range(3):
            await client.get("/api/v1/users")
            assert (await client.post("/_sim/state")).status_code == 204
        assert path.stat().st_ino == before.st_ino


async def test_without_a_file_there_is_nothing_to_save():
    """Who asks an org without a file to save is told so."""
    async with in_process() as (_, client):
        answer = await client.post("/_sim/state")
    assert (answer.status_code, answer.json()) == (404, {"error": "the simulator was started without a state file"})


async def test_no_later_change_reaches_into_a_dump():
    """What the parts hand out to be written stays as it is, whatever happens to the org meanwhile."""
    async with in_process(Settings(users=10, late_rows=0.5)) as (simulator, client):
        dumps = {name: part.dump() for name, part in state.parts_of(simulator).items()}
        before = json.dumps(dumps)
        await change_everything(simulator, client)
        assert json.dumps(dumps) == before
        after = {name: part.dump() for name, part in state.parts_of(simulator).items()}
        assert [name for name in dumps if dumps[name] == after[name]] == []


async def change_everything(simulator: Simulator, client: httpx2.AsyncClient) -> None:
    """At least one change of each part."""
    simulator.shortcut.put("http://127.0.0.1:9/okta")
    await client.post("/_sim/apps", json={"generate": True})
    await client.post("/_sim/traffic", json={"changes": 100, "seed": 1})
    await finished(client)
    simulator.create_users(2)
