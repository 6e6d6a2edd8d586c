"""A whole worker over the tiny org and targets in memory: stepped by hand, held at its calls, killed at any commit."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import apsw
from convergence_org import LOG_PAGE, Org, User

from rosterhook import compare, directory, dispatcher, follower, holds, inbox, intake, replay, resolver, sources, sweeps
from rosterhook.dispatcher import Dispatcher, next_epoch
from rosterhook.errors import OktaStalePlace, OktaUnavailable, RosterhookError, StoreError, TargetError
from rosterhook.follower import Follower
from rosterhook.holds import limit_of
from rosterhook.inbox import SqliteInbox
from rosterhook.intake import Intake
from rosterhook.model import Change, Delivery, Outcome, Park, RetryAt
from rosterhook.notes import BORN, leave_note, read_note
from rosterhook.okta.budget import Budget
from rosterhook.reconcile import Sweeper
from rosterhook.resolver import Resolver
from rosterhook.sources import OktaSource
from rosterhook.store.database import Database, Work, _Job
from rosterhook.targets import Row
from rosterhook.testing.memory import MemoryTarget
from rosterhook.upkeep import LONGEST_WAIT_MS, wake

START_MS = 1_767_225_600_300
#: So many rounds of all loops are more than any backlog of these tests needs.
MANY_ROUNDS = 400


class Died(Exception):
    """The process was killed: nobody may catch it."""


class DirectDatabase(Database):
    """A store that works in the caller's thread: the hop to another costs more than the work, and nobody here works at
    the same time as another.
    """

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        # A kill of the process loses nothing of it, and no test here pulls the plug.
        self._writer.execute("PRAGMA synchronous = OFF")

    async def read(self, work: Work[Any]) -> Any:
        return self._read(work)

    async def write(self, work: Work[Any]) -> Any:
        loop = asyncio.get_running_loop()
        job = _Job(work, loop, loop.create_future())
        self._commit([job])
        if job.error is not None:
            raise job.error
        return job.result


class MortalDatabase(DirectDatabase):
    """A store whose writer fails, or whose process dies, at a chosen commit.

    Attributes:
        fate: how many commits are still good, and what happens then: "refused", "before" or "after" the commit.
    """

    fate: tuple[int, str] | None = None

    async def write(self, work: Work[Any]) -> Any:
        if self.fate is None:
            return await super().write(work)
        left, what = self.fate
        self.fate = (left - 1, what) if left else None
        if not left and what == "refused":
            raise StoreError("The disk is full")
        if not left and what == "before":
            raise Died
        done = await super().write(work)
        if not left:
            raise Died
        return done

    async def commit(self, work: Work[Any]) -> Any:
        """A write of another process, which has no such fate."""
        return await super().write(work)


#: Everything that is cut into pieces is cut into very small ones.
PATCHES: Sequence[tuple[Any, str, Any]] = (
    (follower, "MOST_EVENTS", LOG_PAGE),
    (intake, "DELIVERIES_A_STEP", 2),
    (sources, "FEW", 1),
    (resolver, "MANY", 5),
    (dispatcher, "CHANGES_A_STEP", 3),
    (compare, "BATCH", 3),
    (inbox, "Database", DirectDatabase),
)


class Gates:
    """Where the loops call the world outside: one that shall wait there waits until it is let through."""

    def __init__(self) -> None:
        self.waiting: dict[str, asyncio.Event] = {}
        self._shut: dict[str, asyncio.Event] = {}

    def reset(self) -> None:
        """Nobody waits any more, and all of them are open."""
        self.waiting, self._shut = {}, {}

    def shut(self, name: str) -> None:
        self._shut[name], self.waiting[name] = asyncio.Event(), asyncio.Event()

    def open(self, name: str) -> None:
        if name in self._shut:
            self._shut.pop(name).set()

    async def passed(self, name: str) -> None:
        if name in self._shut:
            self.waiting[name].set()
            await self._shut[name].wait()


class GatedTarget(MemoryTarget):
    """A target that can be made to fail, and whose writes may land long after their writer has died.

    Attributes:
        answer: what becomes of the next user, in place of being written; an error is one of the whole target.
        under_way: a batch that has been sent and has not arrived.
    """

    def __init__(self, name: str, gates: Gates, policies: Mapping[str, Any]) -> None:
        super().__init__(name, **policies)
        self.policies = policies
        self.answer: Outcome | TargetError | None = None
        self.under_way: Sequence[Change] = ()
        self._gates = gates

    async def deliver(self, changes: Sequence[Change]) -> list[Outcome]:
        answer, self.answer = self.answer, None
        self.under_way = changes
        await self._gates.passed(self.name)
        self.under_way = ()
        if isinstance(answer, Exception):
            raise answer
        if answer is None:
            return await super().deliver(changes)
        return [answer, *await super().deliver(changes[1:])]

    async def snapshot(self) -> AsyncIterator[Row]:
        rows = [row async for row in super().snapshot()]
        await self._gates.passed("sweeper")
        for row in rows:
            yield row


class World:
    """The org, the worker and its targets.

    Attributes:
        now: milliseconds since 1970, for all of them.
        held: steps that wait at a call outside.
        zombies: writes of killed workers that are still on their way.
    """

    def __init__(self, folder: Path, policies: Mapping[str, Mapping[str, Any]], hold_users: int) -> None:
        self.now = START_MS
        self.org = Org(lambda: self.now)
        self.gates = Gates()
        self.org.gate = self.gates.passed
        self.targets = {name: GatedTarget(name, self.gates, each) for name, each in policies.items()}
        self.held: dict[str, asyncio.Task[bool]] = {}
        self.zombies: list[tuple[GatedTarget, Sequence[Change]]] = []
        self._folder = folder
        self._hold_users = hold_users
        self._patches = ExitStack()
        for module, name, value in PATCHES:
            self._patches.enter_context(patch.object(module, name, value))

    async def start(self) -> None:
        """A new worker over what is there: the parts and their wiring are those of `worker.py`."""
        self.state = MortalDatabase(self._folder / "state.db", "state")
        self.inbox = SqliteInbox(self._folder)
        epoch = await self.state.write(self._prepare)
        names, budget = list(self.targets), Budget(0.5)
        time: dict[str, Any] = {"clock": lambda: self.now, "monotonic": lambda: self.now / 1000}
        clock: dict[str, Any] = {"clock": lambda: self.now}
        self.sweeper = Sweeper(self.state, self.org, budget, list(self.targets.values()), **time)
        parts: dict[str, Any] = {
            "intake": Intake(self.inbox, self.state, **clock),
            "follower": Follower(self.state, self.org, poll_seconds=0, **time),
            "resolver": Resolver(self.state, OktaSource(self.org, budget), names, **clock),
            "sweeper": self.sweeper,
        }
        for name, target in self.targets.items():
            policies = [target.policies[status] for status in ("suspended", "deactivated", "deleted")]
            limit = limit_of(self._hold_users, 5.0, 1.0, policies, had_rows=False)
            parts[name] = Dispatcher(self.state, target, epoch, limit=limit, **clock)
        self.loops: dict[str, Callable[[], Awaitable[bool]]] = {name: part.step for name, part in parts.items()}

    def _prepare(self, db: apsw.Connection) -> int:
        for name in self.targets:
            directory.want_everybody(db, name, "settings", self.now)
        wake(db, self.now, later_ms=LONGEST_WAIT_MS)
        if not read_note(db, BORN)[0]:
            leave_note(db, BORN, {"at_ms": self.now}, self.now)
        if sweeps.newest(db) is None:
            sweeps.order(db, "backfill", "first start", self.now)
        return next_epoch(db, self.now)

    async def stop(self) -> None:
        """The process is killed: what waits for an answer never gets it, though what it has sent may arrive."""
        for name, task in self.held.items():
            if name in self.targets and self.targets[name].under_way:
                self.zombies.append((self.targets[name], self.targets[name].under_way))
            task.cancel()
        await asyncio.gather(*self.held.values(), return_exceptions=True)
        self.held = {}
        self.gates.reset()
        await self.inbox.close()
        await self.state.close()

    async def close(self) -> None:
        """The end of the test."""
        self._patches.close()
        await self.stop()

    async def crash(self) -> None:
        """Killed, and started again."""
        await self.stop()
        await self.start()

    async def land(self) -> None:
        """What dead workers have sent arrives at last."""
        while self.zombies:
            target, changes = self.zombies.pop()
            await MemoryTarget.deliver(target, changes)

    async def step(self, name: str) -> bool:
        """One step of a loop, or the rest of one that was held. It fails as in a worker: what it had to do is a row."""
        self.gates.open(name)
        task = self.held.pop(name, None) or asyncio.ensure_future(self.loops[name]())
        try:
            return await task
        except Died:
            await self.crash()
        except RosterhookError:
            pass
        return True

    async def work(self, name: str, mode: str, commits: int = 0) -> None:
        """Have a loop go on: one "step", until it is "idle", to its next call outside ("hold"), or with a commit that
        goes wrong after so many: "refused", or its process dies "before" or "after" it.
        """
        if mode == "hold":
            await self._hold(name)
            return
        if mode not in {"step", "idle"}:
            self.state.fate = (commits, mode)
        for _ in range(1 if mode == "step" else 8):
            if not await self.step(name):
                break
        self.state.fate = None

    async def _hold(self, name: str) -> None:
        """Let a loop go on until it calls the world outside, and leave it there until its next step."""
        for _ in range(10):
            if name in self.held:
                return
            self.gates.shut(name)
            task = self.held[name] = asyncio.ensure_future(self.loops[name]())
            waiting = asyncio.ensure_future(self.gates.waiting[name].wait())
            await asyncio.wait([task, waiting], return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if task.done() and not await self.step(name):
                return

    async def hook(self, picks: Sequence[int]) -> None:
        """A delivery with some of the newest events, in any order, perhaps twice; who is not picked is dropped."""
        newest = self.org.events[-12:]
        if newest and picks:
            events = b",".join(newest[-1 - pick % len(newest)] for pick in picks)
            await self.inbox.append(Delivery(self.now, {}, b'{"data": {"events": [%s]}}' % events))

    async def order(self, kind: sweeps.Kind, **options: Any) -> int:
        return int(await self.state.commit(lambda db: sweeps.order(db, kind, "by hand", self.now, **options)))

    async def decide(self, *, approve: bool) -> None:
        """A person looks at what is held."""
        verdict = holds.approve if approve else holds.reject
        for hold in await self.state.read(holds.list_holds):
            await self.state.commit(lambda db, number=hold.id: verdict(db, number, self.now))

    async def settle(self, fates: Sequence[tuple[int, str]] = ()) -> None:
        """Calls work again, the log has stored all, and everybody works until nothing is left to do.

        Args:
            fates: what commits are still to meet, one after the other; see `MortalDatabase.fate`.
        """
        left_fates = list(fates)
        self.org.faults.clear()
        self.org.unreached.clear()
        for target in self.targets.values():
            target.answer = None
        await self.land()
        while self.org.late:
            self.org.store_late(0)
        for _ in range(MANY_ROUNDS):
            if left_fates and self.state.fate is None:
                self.state.fate = left_fates.pop()
            busy = [name for name in [*self.loops] if await self.step(name)]
            left = await self.waiting()
            if not busy and not left:
                self.state.fate = None
                return
            self.now += 1 if busy else 5000
            await self.decide(approve=True)
            await self.state.commit(lambda db, left=left: self._replay(db, left))
        raise AssertionError(f"still something to do: {await self.waiting()}")

    def _replay(self, db: apsw.Connection, left: Sequence[tuple[str, str, str, str]]) -> None:
        """A person has mended the target, and has thought again about what was rejected."""
        for target, user_id, state, _ in left:
            if target in self.targets and state in {"parked", "rejected"}:
                directory.replay_links(db, user=user_id, target=target, now=self.now)

    async def waiting(self) -> list[tuple[str, str, str, str]]:
        """What is not done, or waits for a person: users to be read, users to be written, sweeps. But for users whom
        Okta does not find, though it told of no deletion: about them only a full read, or a person, knows more.
        """
        return await self.rows(
            "SELECT 'read', id, state, error FROM subject WHERE state <> 'parked' OR hidden = 0"
            " UNION ALL SELECT target, user_id, state, error FROM link WHERE state <> 'ok'"
            " UNION ALL SELECT 'sweep', kind, phase, error FROM sweep WHERE finished_ms IS NULL"
        )

    async def not_found(self) -> set[str]:
        """Users whom Okta did not find, though it told of no deletion."""
        return {user_id for (user_id,) in await self.rows("SELECT id FROM subject WHERE state = 'parked'")}

    async def accept_gone(self) -> None:
        """A person has found out that these are deleted indeed. Of some, nobody has ever known more than an id."""
        gone = sorted(await self.not_found())
        await self.state.commit(lambda db: replay.accept_gone(db, gone, list(self.targets), self.now))

    async def told(self, user_id: str) -> str:
        """All that is known of a user, to find out why something is wrong."""
        events = "SELECT type, published_ms, hook_arrivals, log_arrivals FROM event WHERE body LIKE"
        found = {
            "history": self.org.history.get(user_id),
            "held": await self.rows(f"SELECT * FROM user WHERE id = '{user_id}'"),
            "subject": await self.rows(f"SELECT * FROM subject WHERE id = '{user_id}'"),
            "links": await self.rows(f"SELECT * FROM link WHERE user_id = '{user_id}'"),
            "events": await self.rows(f"{events} '%{user_id}%'"),
        }
        return json.dumps(found, indent=1, default=str)

    async def users(self) -> dict[str, tuple[int, int, User | None]]:
        """What the directory holds: version, stamp, and the user; None for a tombstone."""
        found = await self.rows('SELECT id, version, last_updated_ms, deleted_ms, body FROM "user"')
        return {key: (version, at, None if gone else json.loads(body)) for key, version, at, gone, body in found}

    async def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return await self.state.read(lambda db: db.execute(sql).fetchall())

    def trouble(self, where: str, what: str) -> None:
        """The next call fails: for all of it, for one user for now or for good, or because its place is too old."""
        if where in self.targets:
            answers: dict[str, Outcome | TargetError] = {
                "later": RetryAt(self.now + 2000, "the target is busy"),
                "never": Park("the target refuses this user"),
            }
            self.targets[where].answer = answers.get(what, TargetError("The target is down"))
        elif what == "place":
            self.org.faults[where] = OktaStalePlace("Invalid cursor", status=400, code="E0000031")
        else:
            self.org.faults[where] = OktaUnavailable("Okta does not answer", status=503)
