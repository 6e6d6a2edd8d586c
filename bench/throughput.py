"""How fast a backlog is worked off: events from the inbox, then users from Okta's search."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
import uvloop
from pydantic import SecretStr

from bench.bodies import hook_body
from bench.findings import Finding
from bench.processes import BenchError, process
from bench.progress import tell
from rosterhook.config import LogConfig
from rosterhook.directory import last_updated_ms
from rosterhook.inbox import SqliteInbox
from rosterhook.intake import Intake
from rosterhook.model import Delivery, now_ms
from rosterhook.observe import configure_logging
from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.resolver import Resolver
from rosterhook.sources import OktaSource
from rosterhook.store.database import Database

EVENTS_A_USER = 4
#: Events of one user are so far apart that their seconds tell them apart, as the resolver asks of a search.
APART_MS = 3000
STEPS = 10_000


def throughput(folder: Path, *, events: int) -> Iterator[Finding]:
    """In this process, over stores on disk; the org is a process of its own that answers at once."""
    users = events // EVENTS_A_USER
    command = ["rosterhook.simulator", "--users", str(users), "--rate-multiplier", "1000"]
    configure_logging(LogConfig(level="warning"))
    tell(f"throughput: {events:,} events of {users:,} users")
    ready = r"listening on (\S+)"
    with process(command, folder, ready) as org, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        taking, resolving, calls = runner.run(_work(folder, org.url, events))
    yield Finding("throughput: intake of a backlog, one event a delivery", f"{events / taking:,.0f} events/s")
    yield Finding(
        "throughput: resolver, users by search",
        f"{users / resolving:,.0f} users/s, {users:,} users with {calls:,} calls",
    )


async def _work(folder: Path, url: str, events: int) -> tuple[float, float, int]:
    async with _stores(folder) as (inbox, state), httpx2.AsyncClient(base_url=url, trust_env=False) as control:
        truth = (await control.get("/_sim/truth", timeout=60)).json()
        await _fill(inbox, truth["users"], events)
        taking = await _timed(Intake(inbox, state).step)
        budget = Budget(1.0)
        client = OktaClient(url, SswsAuth(SecretStr("sim-token")), budget, timeout_seconds=30)
        try:
            resolving = await _timed(Resolver(state, OktaSource(client, budget), ["none"]).step)
        finally:
            await client.aclose()
        return taking, resolving, (await control.get("/_sim/calls")).json()["total"]


@asynccontextmanager
async def _stores(folder: Path) -> AsyncIterator[tuple[SqliteInbox, Database]]:
    inbox, state = SqliteInbox(folder / "data"), Database(folder / "data" / "state.db", "state")
    try:
        yield inbox, state
    finally:
        await inbox.close()
        await state.close()


async def _fill(inbox: SqliteInbox, users: list[dict[str, Any]], events: int) -> None:
    """The backlog: each user's last event is as old as the user's `lastUpdated`."""
    for start in range(0, events, 1000):
        some = range(start, min(start + 1000, events))
        await asyncio.gather(*(inbox.append(_delivery(number, users)) for number in some))


def _delivery(number: int, users: list[dict[str, Any]]) -> Delivery:
    rounds, place = divmod(number, len(users))
    user = users[place]
    at_ms = last_updated_ms(user) - APART_MS * (EVENTS_A_USER - 1 - rounds)
    published = datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Delivery(now_ms(), {"content-type": "application/json"}, hook_body(number, user["id"], published))


async def _timed(step: Callable[[], Awaitable[bool]]) -> float:
    """Step until there is nothing to do; return the seconds."""
    started = time.perf_counter()
    for _ in range(STEPS):
        if not await step():
            return time.perf_counter() - started
    raise BenchError(f"there is still work after {STEPS} steps")
