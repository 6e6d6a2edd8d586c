"""`demo`: a simulated org that keeps changing, and the whole service in step with it, in one terminal."""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Annotated

import apsw
import httpx2
from cyclopts import Parameter
from rich.live import Live

from rosterhook.cli.common import out
from rosterhook.cli.demo_view import EVENTS, Glimpse, line, view
from rosterhook.cli.opened import stores
from rosterhook.config import Config
from rosterhook.config.load import load_config
from rosterhook.data_dir import DEMO_MARK
from rosterhook.errors import ConfigError, RosterhookError
from rosterhook.listener import listening
from rosterhook.model import ORG, now_ms
from rosterhook.okta import events as okta_events
from rosterhook.service import Supervised, part, run_until_signal, supervise, wait_for
from rosterhook.simulator.app import running
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.traffic import Job
from rosterhook.simulator.world import Simulator
from rosterhook.status import read_status
from rosterhook.store.queries import rows
from rosterhook.stores import Stores
from rosterhook.targets import Row
from rosterhook.targets.registry import opened_targets

#: What a demo leaves in its folder. Where there is anything else, it removes nothing.
OWN_FILES = re.compile(
    r"made-by-rosterhook-demo|demo\.(toml|log)|(users|inbox|state)\.db(-wal|-shm|-journal)?|\w+\.lock"
)
START_SECONDS = 60.0
REFRESH_SECONDS = 0.5
CHANGES_A_SECOND = 4.0

CONFIG = """\
# What `rosterhook demo` runs with. It is written anew at each start.
data_dir = "{data_dir}"

[server]
port = {port}
open = true

[okta]
org_url = "{org_url}"
token = "sim-token"

[[targets]]
name = "tutorial"
type = "sql"
url = "sqlite:///{data_dir}/users.db"
preset = "tutorial"
hold_percent = 100   # so many people leave a simulated org that an approval would be asked for all the time
"""


def demo(
    *,
    port: Annotated[int, Parameter(help="Port of the service (8787).")] = 8787,
    users: Annotated[int, Parameter(help="Size of the simulated org (200).")] = 200,
    data_dir: Annotated[Path, Parameter(help="Folder for the demo (data); emptied if a demo made it.")] = Path("data"),
    seconds: Annotated[float | None, Parameter(help="End after so many seconds, not at Ctrl-C.")] = None,
) -> None:
    """Try everything in one terminal: a simulated Okta org that keeps changing, synced into data/users.db."""
    folder = data_dir.absolute()
    _empty(folder)

    async def run(stop: asyncio.Event) -> None:
        await _run(folder, port, users, seconds, stop)

    run_until_signal(run)
    out.print(f"The demo has ended. Its database and its log are in {data_dir}/.", soft_wrap=True)


def _empty(folder: Path) -> None:
    """Begin with nothing, but only where nothing of value can be.

    Raises:
        ConfigError: the folder is not a demo's, or somebody has put something into it.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = [path.name for path in folder.iterdir()]
        foreign = [name for name in there if not OWN_FILES.fullmatch(name)]
        if foreign or (there and DEMO_MARK not in there):
            raise ConfigError(
                f"{folder} holds {(foreign or there)[0]}, which no demo has made.",
                hint="Name another folder with --data-dir.",
            )
        for name in there:
            (folder / name).unlink()
        (folder / DEMO_MARK).touch()
    except OSError as error:
        raise ConfigError(f"Cannot use {folder}: {error.strerror}.", hint="Name another with --data-dir.") from None


async def _run(folder: Path, port: int, users: int, seconds: float | None, stop: asyncio.Event) -> None:
    hook_url = f"http://127.0.0.1:{port}/okta/events"
    # The whole of each limit: with half of it the first minute's reads might wait for the next.
    settings = Settings(
        test_user=True,
        announce=True,
        hook_url=hook_url,
        hook_secret="demo",  # noqa: S106
        principal_share=1.0,
    )
    with (folder / "demo.log").open("w") as log:
        async with running(settings) as simulator:
            config = _configure(folder, port, simulator.url)
            with listening(config.server) as listener:
                supervising = asyncio.create_task(supervise(_parts(folder, log, listener), stop, listener))
                try:
                    await _show(config, simulator, users, seconds, stop)
                finally:
                    stop.set()
                    await supervising


def _configure(folder: Path, port: int, org_url: str) -> Config:
    path = folder / "demo.toml"
    path.write_text(CONFIG.format(data_dir=folder, port=port, org_url=org_url))
    return load_config(path, environ={}, cwd=folder)


def _parts(folder: Path, log: IO[str], listener: socket.socket) -> list[Supervised]:
    """Both processes, with the demo's own configuration and nothing of this shell's or this folder's."""
    foreign = ("ROSTERHOOK_", "OKTA_")
    env = {key: value for key, value in os.environ.items() if not key.upper().startswith(foreign)}
    env["ROSTERHOOK_CONFIG"] = str(folder / "demo.toml")
    return [
        part("web", env=env, cwd=folder, stderr=log, listener=listener),
        part("worker", env=env, cwd=folder, stderr=log),
    ]


async def _show(config: Config, simulator: Simulator, users: int, seconds: float | None, stop: asyncio.Event) -> None:
    end = asyncio.get_running_loop().time() + seconds if seconds is not None else None
    await _until_up(config, stop)
    async with stores(config) as opened:
        with _screen() as show:
            grown = False
            while not stop.is_set() and (end is None or asyncio.get_running_loop().time() < end):
                glimpse = await _look(config, opened, simulator)
                show(glimpse)
                if glimpse.rows and not grown:
                    grown = True  # the tutorial's Test User has come through first, as in the tutorial
                    simulator.create_users(users - 1)
                    simulator.traffic.start(Job(changes=0, seed=1, per_second=CHANGES_A_SECOND, mix={}))
                await wait_for(stop, REFRESH_SECONDS)


async def _until_up(config: Config, stop: asyncio.Event) -> None:
    """Wait for both processes: the web answers, and both stores are there."""
    url = f"http://{config.server.host}:{config.server.port}/readyz"
    async with httpx2.AsyncClient(trust_env=False) as client:
        for _ in range(int(START_SECONDS / 0.1)):
            try:
                if (await client.get(url)).json()["worker"] == "running":
                    return
            except (httpx2.HTTPError, ValueError, KeyError):
                pass
            if stop.is_set():
                return
            await wait_for(stop, 0.1)
    raise RosterhookError("The demo did not start.", hint=f"Look into {config.data_dir}/demo.log.")


async def _look(config: Config, opened: Stores, simulator: Simulator) -> Glimpse:
    names = [target.name for target in config.targets]
    status = await read_status(opened.inbox.database, opened.state, names, now_ms())
    async with opened_targets(config.targets) as targets:
        held: list[Row] = [row async for row in targets[0].snapshot()]
    return Glimpse(
        status=status,
        rows=held,
        org_users=len(simulator.org),
        org_calls=sum(simulator.calls_by_bucket.values()),
        deliveries=simulator.hooks.as_json(),
        events=await opened.state.read(_newest),
        url=f"http://{config.server.host}:{config.server.port}",
        database=config.data_dir / "users.db",
    )


def _newest(db: apsw.Connection) -> list[tuple[str, str]]:
    """The newest events as type and login."""
    found = rows(db, "newest_events", {"org": ORG, "user": None, "limit": EVENTS})
    events = [okta_events.parse(body) for *_, body in found]
    return [(event.type, event.users[0].login or "" if event.users else "") for event in events]


@contextmanager
def _screen() -> Iterator[Callable[[Glimpse], None]]:
    """How to show a glimpse: a live view in a terminal, a line now and then elsewhere."""
    if not out.is_terminal:
        yield lambda glimpse: out.print(line(glimpse), soft_wrap=True)
        return
    with Live(console=out, screen=True, auto_refresh=False) as live:
        yield lambda glimpse: live.update(view(glimpse), refresh=True)
