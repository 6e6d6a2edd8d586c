"""All that runs in a drill: the org in this process, web and worker in their own, the target, and the oracle's eyes."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import sqlalchemy as sa

from rosterhook import sweeps
from rosterhook.config import ServerConfig, SqlTarget
from rosterhook.drill.child import Child
from rosterhook.drill.clock import DrillClock
from rosterhook.drill.outage import Way, way_to
from rosterhook.drill.settings import TABLE, TARGET, Secrets, ServiceFile, org_settings, target_config
from rosterhook.drill.watch import Watch
from rosterhook.errors import ConfigError, RosterhookError, StoreError
from rosterhook.listener import listening
from rosterhook.simulator.app import running
from rosterhook.simulator.world import Simulator
from rosterhook.status import Status, read_status
from rosterhook.stores import Stores, opened_stores
from rosterhook.targets.registry import opened_targets
from rosterhook.targets.sql_engine import Database, execute, in_sync

START_SECONDS = 60.0
POLL_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Stage:
    """What the steps of the script play on.

    Attributes:
        seed: of all dice.
        file: the service's configuration.
        stores: the service's own, to look into and to give an operator's orders.
    """

    seed: int
    simulator: Simulator
    file: ServiceFile
    way: Way
    web: Child
    worker: Child
    clock: DrillClock
    stores: Stores
    watch: Watch

    @property
    def children(self) -> tuple[Child, Child]:
        """Both processes."""
        return self.web, self.worker

    @property
    def calls(self) -> int:
        """How many API calls the org has answered."""
        return sum(self.simulator.calls_by_bucket.values())

    async def status(self) -> Status:
        """As `rosterhook status` tells it."""
        return await read_status(self.stores.inbox.database, self.stores.state, [TARGET], self.clock.now_ms())

    async def unsettled(self) -> str:
        """What is still on its way, in words; "" when nothing is. What is held waits for a person, not for us."""
        on_their_way = self.simulator.hooks.pending  # first: what arrives meanwhile is counted there
        try:
            status = await self.status()
        except StoreError as error:
            return str(error)
        waiting = {
            "events on their way to the hook": on_their_way,
            "deliveries to take in": status["deliveries"]["waiting"],
            "users to read": status["subjects"]["due"],
            "users to write": status["targets"][0]["pending"],
            "full reads": int(status["sweeps"]["current"] is not None),
        }
        return ", ".join(f"{number} {what}" for what, number in waiting.items() if number)

    async def order_reconcile(self) -> int:
        """As the command `reconcile --no-wait` does; its number."""
        now = self.clock.now_ms()
        return await self.stores.state.write(lambda db: sweeps.order(db, "reconcile", "ordered by the drill", now))

    async def reconciled(self, number: int, seconds: float) -> sweeps.Sweep:
        """Wait until a reconcile is over, done or failed.

        Raises:
            RosterhookError: not in time.
        """

        async def over() -> bool:
            return (await self._sweep(number)).finished_ms is not None

        await until(over, seconds, f"reconcile {number} is not over")
        return await self._sweep(number)

    async def is_equal(self) -> bool:
        """Nothing is on its way, and the target is as the org says."""
        verdict = None if await self.unsettled() else await self.watch.try_look()
        return verdict is not None and not verdict.lost

    async def sweeps_ordered(self) -> int:
        """How many full reads, of everybody or of what has changed, were ever ordered."""
        newest = await self.stores.state.read(sweeps.newest)
        return newest.id if newest else 0

    async def _sweep(self, number: int) -> sweeps.Sweep:
        found = await self.stores.state.read(lambda db: sweeps.find(db, number))
        assert found is not None  # noqa: S101 - it was ordered here
        return found


async def until(true: Callable[[], Awaitable[bool]], seconds: float, what: str) -> None:
    """Ask again and again until something is so.

    Raises:
        RosterhookError: not in time.
    """
    end = asyncio.get_running_loop().time() + seconds
    while not await true():
        if asyncio.get_running_loop().time() > end:
            raise RosterhookError(f"The drill waited {seconds:g} s: {what}.", hint="--keep leaves the logs to look at.")
        await asyncio.sleep(POLL_SECONDS)


@asynccontextmanager
async def staged(folder: Path, target_url: str | None, users: int, seed: int) -> AsyncIterator[Stage]:
    """Start all, and wait until both processes run and the org has verified the hook.

    Args:
        folder: for stores, logs and configuration; without any of a drill before.

    Raises:
        ConfigError, TargetError: the target cannot be used.
        RosterhookError: a process did not start.
    """
    shared = Secrets()
    async with AsyncExitStack() as stack:
        listener = stack.enter_context(listening(ServerConfig(port=0)))
        port = listener.getsockname()[1]
        way = await stack.enter_async_context(way_to(target_url, folder))
        target = target_config(way.own_url)
        await stack.enter_async_context(_own_table(target))
        clock = DrillClock(folder / "clock")
        org = running(org_settings(users, seed, port, shared), clock=lambda: clock.now_ms() / 1000)
        simulator = await stack.enter_async_context(org)
        file = ServiceFile(folder / "drill.toml", port, simulator.url, way.service_url, shared)
        file.write(holds=False)
        targets = await stack.enter_async_context(opened_targets([target]))
        stores = await stack.enter_async_context(opened_stores(file.data_dir))
        web, worker = (_child(name, folder, file, listener) for name in ("web", "worker"))
        for child in (web, worker):
            child.start()
            stack.push_async_callback(child.stop)
        stage = Stage(seed, simulator, file, way, web, worker, clock, stores, Watch(targets[0], simulator.org))
        await _until_up(stage)
        yield stage


@asynccontextmanager
async def _own_table(target: SqlTarget) -> AsyncIterator[None]:
    """A table of the drill's own: nobody's users are written over. It is gone afterwards.

    Raises:
        ConfigError: there is one.
    """
    database = Database(target.url.get_secret_value(), target.name)
    try:
        if database.exists():
            async with database.reading() as connection:
                there = await in_sync(connection, lambda c: sa.inspect(c).has_table(TABLE))
            if there:
                raise ConfigError(
                    f"The target has a table {TABLE} already, of another drill.",
                    hint=f"If none is running: DROP TABLE {TABLE};",
                )
        yield
        if database.file is None:
            async with database.altering() as connection:
                await execute(connection, sa.text(f"DROP TABLE IF EXISTS {TABLE}"))
    finally:
        await database.aclose()


def _child(name: str, folder: Path, file: ServiceFile, listener: socket.socket) -> Child:
    """A process with the drill's own configuration, and nothing of this shell's."""
    foreign = ("ROSTERHOOK_", "OKTA_")
    env = {key: value for key, value in os.environ.items() if not key.upper().startswith(foreign)}
    env["ROSTERHOOK_CONFIG"] = str(file.path)
    command = [sys.executable, "-m", "rosterhook.drill.process", name, "--clock", str(folder / "clock")]
    # Web inherits the listening socket, as under `serve`: who calls while it starts again waits in the queue.
    inherit = (listener.fileno(),) if name == "web" else ()
    more = [f"--listen-fd={listener.fileno()}"] if name == "web" else []
    return Child(name, [*command, *more], env=env, cwd=folder, log=folder / f"{name}.log", inherit=inherit)


async def _until_up(stage: Stage) -> None:
    async with httpx2.AsyncClient(trust_env=False) as client:

        async def up() -> bool:
            try:
                answer = await client.get(f"http://127.0.0.1:{stage.file.port}/readyz")
                return bool(answer.json()["worker"] == "running")
            except (httpx2.HTTPError, ValueError, KeyError):
                return False

        await until(up, START_SECONDS, "web and worker do not run")

    async def heard() -> bool:
        return any(hook.verified for hook in stage.simulator.hooks)

    await until(heard, START_SECONDS, "the org has not verified the hook")
