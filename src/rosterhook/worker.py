"""The worker process: intake, resolver and one dispatcher for each target, each a loop of its own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import apsw
import structlog

from rosterhook.audit import HookHealth, hook_as_json, hook_health
from rosterhook.config import Config
from rosterhook.data_dir import only_one, refuse_demo
from rosterhook.dispatcher import Dispatcher
from rosterhook.follower import Follower
from rosterhook.holds import Limit
from rosterhook.intake import Intake, handed_over
from rosterhook.loops import ClockWatch, Loop
from rosterhook.model import ORG, Clock, now_ms
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.okta.connect import READ_LOGS, READ_USERS, connected
from rosterhook.reconcile import Sweeper
from rosterhook.resolver import Resolver
from rosterhook.sources import EventSource, OktaSource, UserSource
from rosterhook.store.database import Database
from rosterhook.store.queries import run
from rosterhook.stores import Stores, opened_stores
from rosterhook.targets import Target
from rosterhook.targets.registry import opened_targets
from rosterhook.upkeep import limit_for, look_at_first, our_hooks, prepare, prune, wake

INBOX_POLL_SECONDS = 0.05
IDLE_SECONDS = 0.25
NOTE_SECONDS = 2.0
PRUNE_SECONDS = 600.0
#: For the steps that are under way when the worker shall end. Shorter than the ten seconds that Docker grants.
DRAIN_SECONDS = 5.0
DAY_MS = 24 * 3600 * 1000
FOLLOW_SECONDS = 0.5

log = structlog.get_logger("rosterhook.worker")


@dataclass(frozen=True, slots=True)
class Okta:
    """What there is of the org. Without a login only the source, which then is the events themselves.

    Attributes:
        log: reads the System Log; logged in by itself, so that a scope that only the log needs cannot hinder the users.
    """

    source: UserSource
    budget: Budget | None = None
    users: OktaClient | None = None
    log: OktaClient | None = None


class Worker:
    """All loops over one state store. `async with opened(config) as worker: await worker.run(stop)`."""

    def __init__(
        self,
        config: Config,
        stores: Stores,
        okta: Okta,
        targets: Sequence[Target],
        limits: Mapping[str, Limit],
        epoch: int,
        clock: Clock,
    ) -> None:
        self._config = config
        self._state = state = stores.state
        self._inbox = stores.inbox
        self._okta = okta
        self._clock = clock
        self._clock_watch = ClockWatch(clock)
        self._our_hooks = our_hooks(config.data_dir)
        self._hook: HookHealth | None = None
        self._dispatchers = [
            Dispatcher(state, target, epoch, limit=limits[target.name], clock=clock) for target in targets
        ]
        names = [target.name for target in targets]
        self._resolver = Resolver(state, okta.source, names, on_change=self._ring_dispatchers, clock=clock)
        intake = Intake(stores.inbox, state, on_due=self._ring_resolver, our_hooks=lambda: self._our_hooks, clock=clock)
        self._follower = self._make_follower()
        self._sweeper = self._make_sweeper(targets)
        self._resolving = Loop("resolver", self._resolver.step, idle_seconds=IDLE_SECONDS)
        self._dispatching = [
            Loop(f"dispatcher {each.target.name}", each.step, idle_seconds=IDLE_SECONDS) for each in self._dispatchers
        ]
        self._loops = [
            Loop("intake", intake.step, idle_seconds=INBOX_POLL_SECONDS),
            self._resolving,
            *self._dispatching,
            *([Loop("follower", self._follower.step, idle_seconds=FOLLOW_SECONDS)] if self._follower else []),
            *([Loop("sweeper", self._sweeper.step, idle_seconds=IDLE_SECONDS)] if self._sweeper else []),
            Loop("note", self._watch, idle_seconds=NOTE_SECONDS),
            Loop("prune", self._prune, idle_seconds=PRUNE_SECONDS),
        ]

    def _make_follower(self) -> Follower | None:
        if self._okta.log is None:
            return None
        return Follower(
            self._state,
            self._okta.log,
            poll_seconds=self._config.follower.poll_seconds,
            on_due=self._ring_resolver,
            is_urgent=lambda: self._hook is not None and self._hook.is_log_first,
            our_hooks=lambda: self._our_hooks,
            clock=self._clock,
        )

    def _make_sweeper(self, targets: Sequence[Target]) -> Sweeper | None:
        if self._okta.users is None or self._okta.budget is None:
            return None
        repaired = {target.name for target in self._config.targets if target.drift == "repair"}
        return Sweeper(
            self._state,
            self._okta.users,
            self._okta.budget,
            targets,
            repairs=lambda name: name in repaired,
            at=self._config.reconcile.at,
            on_change=self._ring_all,
            clock=self._clock,
        )

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

    def _ring_resolver(self) -> None:
        self._resolving.ring()

    def _ring_dispatchers(self) -> None:
        for loop in self._dispatching:
            loop.ring()

    def _ring_all(self) -> None:
        self._ring_resolver()
        self._ring_dispatchers()

    async def _watch(self) -> bool:
        """Look after what no event tells: the clock, the hook; and tell the other processes how things stand."""
        self._our_hooks = our_hooks(self._config.data_dir)
        if self._okta.log is not None and await self._is_taken_in():
            self._judge_hook(await self._state.read(lambda db: hook_health(db, self._clock(), self._our_hooks)))
        await self._state.write(self._leave_note)
        return False

    async def _is_taken_in(self) -> bool:
        """Tell whether every delivery that came is known: before that, nobody can say that one did not come."""
        return not await self._inbox.read(await self._state.read(handed_over), 1)

    def _judge_hook(self, health: HookHealth) -> None:
        before, self._hook = self._hook, health
        if health.warning and not (before and before.warning):
            log.error("hook.warning", reason=health.warning)
        elif before and before.warning and not health.warning:
            log.info("hook.well_again")

    def _leave_note(self, db: apsw.Connection) -> None:
        now = self._clock()
        if self._clock_watch.was_set_back():
            log.warning("clock.set_back", hint="Nobody waits for the old time to come again.")
            wake(db, now, later_ms=0)
        run(db, "leave_note", self._note())

    def _note(self) -> dict[str, object]:
        note = {
            "okta": {
                "mode": self._config.okta.login or "events",
                "budget": self._okta.budget.as_dict() if self._okta.budget else {},
                "error": self._resolver.health.error,
                "read_ms": self._resolver.health.read_ms,
            },
            "log": {
                "followed": self._follower is not None,
                "error": self._follower.error if self._follower else "",
                "polled_ms": self._follower.polled_ms if self._follower else None,
            },
            "hook": hook_as_json(self._hook) if self._hook else {},
            "targets": {each.target.name: each.error for each in self._dispatchers},
        }
        return {"org": ORG, "name": "worker", "value": json.dumps(note), "now": self._clock()}

    async def _prune(self) -> bool:
        before = self._clock() - int(self._config.store.retention_days * DAY_MS)
        return await self._state.write(lambda db: prune(db, before, self._config.store.retention_days))


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
        _okta(config, stores.state) as okta,
    ):
        for target in targets:
            await look_at_first(stores.state, target, clock())
        epoch = await stores.state.write(lambda db: prepare(db, config, clock()))
        limits = await stores.state.read(lambda db: {each.name: limit_for(db, each) for each in config.targets})
        yield Worker(config, stores, okta, targets, limits, epoch, clock)


async def run_worker(config: Config, stop: asyncio.Event, *, clock: Clock = now_ms) -> None:
    """The whole life of a worker process."""
    async with opened(config, clock=clock) as worker:
        log.info("worker.started", data_dir=str(config.data_dir), targets=[t.name for t in config.targets])
        await worker.run(stop)
    log.info("worker.stopped")


@asynccontextmanager
async def _okta(config: Config, state: Database) -> AsyncIterator[Okta]:
    if config.okta.login is None:
        log.warning(
            "okta.not_asked",
            reason="there is no okta.token and no okta.client_id: users are built from the events alone",
            hint="Set okta.org_url, and okta.token or okta.client_id with a key, for whole profiles.",
        )
        yield Okta(EventSource(state))
        return
    budget = Budget(config.okta.share)
    async with AsyncExitStack() as stack:
        users = await stack.enter_async_context(connected(config.okta, [READ_USERS], budget=budget))
        log_client = None
        if config.follower.enabled:
            log_client = await stack.enter_async_context(connected(config.okta, [READ_LOGS], budget=budget))
        yield Okta(OktaSource(users, budget), budget, users, log_client)
