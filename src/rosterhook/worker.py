"""The worker process: intake, resolver and one dispatcher for each target, each a loop of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import apsw
import structlog

from rosterhook import directory
from rosterhook.config import Config, SqlTarget
from rosterhook.data_dir import only_one, refuse_demo
from rosterhook.dispatcher import Dispatcher, next_epoch
from rosterhook.intake import Intake
from rosterhook.loops import Loop
from rosterhook.model import ORG, Clock, now_ms
from rosterhook.observe import without_password
from rosterhook.okta.budget import Budget
from rosterhook.okta.connect import READ_USERS, connected
from rosterhook.resolver import Resolver
from rosterhook.sources import EventSource, OktaSource, UserSource
from rosterhook.store.database import Database
from rosterhook.store.queries import run
from rosterhook.stores import Stores, opened_stores, org_of, refuse_other_org
from rosterhook.targets import Target
from rosterhook.targets.registry import opened_targets

INBOX_POLL_SECONDS = 0.05
IDLE_SECONDS = 0.25
NOTE_SECONDS = 2.0
PRUNE_SECONDS = 600.0
#: For the steps that are under way when the worker shall end. Shorter than the ten seconds that Docker grants.
DRAIN_SECONDS = 5.0
DAY_MS = 24 * 3600 * 1000

log = structlog.get_logger("rosterhook.worker")


class Worker:
    """All loops over one state store. `async with opened(config) as worker: await worker.run(stop)`."""

    def __init__(
        self,
        config: Config,
        stores: Stores,
        source: UserSource,
        targets: Sequence[Target],
        epoch: int,
        budget: Budget | None,
        clock: Clock,
    ) -> None:
        self._config = config
        self._state = state = stores.state
        self._budget = budget
        self._clock = clock
        names = [target.name for target in targets]
        self._dispatchers = [Dispatcher(state, target, epoch, clock=clock) for target in targets]
        self._resolver = Resolver(state, source, names, on_change=self._ring_dispatchers, clock=clock)
        intake = Intake(stores.inbox, state, on_due=lambda: self._resolving.ring(), clock=clock)
        self._resolving = Loop("resolver", self._resolver.step, idle_seconds=IDLE_SECONDS)
        self._dispatching = [
            Loop(f"dispatcher {each.target.name}", each.step, idle_seconds=IDLE_SECONDS) for each in self._dispatchers
        ]
        self._loops = [
            Loop("intake", intake.step, idle_seconds=INBOX_POLL_SECONDS),
            self._resolving,
            *self._dispatching,
            Loop("note", self._leave_note, idle_seconds=NOTE_SECONDS),
            Loop("prune", self._prune, idle_seconds=PRUNE_SECONDS),
        ]

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set; then every loop ends after the step it is in: nothing is left half done."""
        tasks = [asyncio.create_task(loop.run(), name=loop.name) for loop in self._loops]
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for loop in self._loops:
                loop.stop()
            stopping.cancel()
            # A step that waits for Okta or a target may be cut off anywhere: what it did not finish is still a row.
            _, late = await asyncio.wait(tasks, timeout=DRAIN_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._state.write(lambda db: run(db, "leave_note", {**self._note(), "now": 0}))

    def _ring_dispatchers(self) -> None:
        for loop in self._dispatching:
            loop.ring()

    async def _leave_note(self) -> bool:
        await self._state.write(lambda db: run(db, "leave_note", self._note()))
        return False

    def _note(self) -> dict[str, object]:
        note = {
            "okta": {
                "mode": self._config.okta.login or "events",
                "budget": self._budget.as_dict() if self._budget else {},
                "error": self._resolver.health.error,
                "read_ms": self._resolver.health.read_ms,
            },
            "targets": {each.target.name: each.error for each in self._dispatchers},
        }
        return {"org": ORG, "name": "worker", "value": json.dumps(note), "now": self._clock()}

    async def _prune(self) -> bool:
        before = self._clock() - int(self._config.store.retention_days * DAY_MS)
        forgotten = await self._state.write(lambda db: run(db, "prune_quarantine", {"before": before}))
        if forgotten:
            log.warning("quarantine.pruned", deliveries=forgotten, older_than_days=self._config.store.retention_days)
        return await self._state.write(lambda db: run(db, "prune_events", {"before": before})) > 0


@asynccontextmanager
async def opened(config: Config, *, clock: Clock = now_ms) -> AsyncIterator[Worker]:
    """A worker over the stores, the org and the targets of a configuration.

    Raises:
        ConfigError: data_dir belongs to another org, or a target cannot be made.
        StoreError: data_dir cannot be used, or another worker has it.
    """
    if not config.server.open:
        refuse_demo(config.data_dir)
    async with (
        only_one(config.data_dir, "worker"),
        opened_stores(config.data_dir) as stores,
        opened_targets(config.targets) as targets,
        _source(config, stores.state) as (source, budget),
    ):
        epoch = await stores.state.write(lambda db: _prepare(db, config, clock()))
        yield Worker(config, stores, source, targets, epoch, budget, clock)


async def run_worker(config: Config, stop: asyncio.Event) -> None:
    """The whole life of a worker process."""
    async with opened(config) as worker:
        log.info("worker.started", data_dir=str(config.data_dir), targets=[t.name for t in config.targets])
        await worker.run(stop)
    log.info("worker.stopped")


@asynccontextmanager
async def _source(config: Config, state: Database) -> AsyncIterator[tuple[UserSource, Budget | None]]:
    if config.okta.login is None:
        log.warning(
            "okta.not_asked",
            reason="there is no okta.token and no okta.client_id: users are built from the events alone",
            hint="Set okta.org_url, and okta.token or okta.client_id with a key, for whole profiles.",
        )
        yield EventSource(state), None
        return
    budget = Budget(config.okta.share)
    async with connected(config.okta, [READ_USERS], budget=budget) as client:
        yield OktaSource(client, budget), budget


def _prepare(db: apsw.Connection, config: Config, now: int) -> int:
    """Before the first step: the right org, everybody wanted by every target, and the epoch of this worker."""
    _same_org(db, config.okta.org_url, now)
    for target in config.targets:
        directory.want_everybody(db, target.name, fingerprint(target), now)
    return next_epoch(db, now)


def _same_org(db: apsw.Connection, org_url: str | None, now: int) -> None:
    refuse_other_org(db, org_url)
    if org_url is not None and org_of(db) is None:
        run(db, "leave_note", {"org": ORG, "name": "org_url", "value": org_url, "now": now})


def fingerprint(target: SqlTarget) -> str:
    """Of all in a target's configuration that decides what is written where; not of its password."""
    settings: dict[str, Any] = target.model_dump(mode="json", exclude={"name", "url", "url_file"})
    settings["url"] = without_password(target.url.get_secret_value())
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
