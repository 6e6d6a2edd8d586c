"""A fake Okta with lists, a target in memory, and all who work on a full read; both clocks are numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from rosterhook import access, directory, sweeps
from rosterhook.dispatcher import Dispatcher
from rosterhook.errors import OktaError, OktaNotFound, OktaStalePlace
from rosterhook.holds import Limit
from rosterhook.okta.budget import Budget
from rosterhook.okta.events import parse_stamp
from rosterhook.okta.pages import Page
from rosterhook.okta.users import USERS
from rosterhook.reconcile import Sweeper
from rosterhook.resolver import Resolver
from rosterhook.sources import OktaSource
from rosterhook.store.database import Database
from rosterhook.store.queries import run
from rosterhook.sweeps import Kind, Sweep
from rosterhook.targets import Target
from rosterhook.testing import MemoryTarget

NOW = parse_stamp("2026-03-01T12:00:00.000Z") or 0
ROUNDS = 400


def ids_of(number: int, first: int = 0) -> list[str]:
    """So many ids, as Okta makes them."""
    return [f"00u{each:017}" for each in range(first, first + number)]


def user_of(user_id: str, second: int = 0, status: str = "ACTIVE", **profile: Any) -> dict[str, Any]:
    """A user as Okta shows them, changed in this second."""
    shown = {"login": f"{user_id}@example.com", "firstName": "Ada", **profile}
    return {"id": user_id, "status": status, "lastUpdated": f"2026-02-01T00:00:{second:02}.000Z", "profile": shown}


class FakeOrg:
    """Users by id and by list.

    Attributes:
        users: as they are.
        listed_as: what the list shows of somebody in place of that.
        unlisted: whom the list lacks, though they are there.
        hidden: whom nothing shows any more.
        fault: raised in place of a page.
        user_faults: raised in place of a user.
        stale: so many pages behind the first are refused.
        circle: the next page of each is the page itself.
        asked, asked_ids: every page and every user that was asked for.
    """

    def __init__(self, page: int) -> None:
        self.users: dict[str, dict[str, Any]] = {}
        self.listed_as: dict[str, dict[str, Any]] = {}
        self.unlisted: set[str] = set()
        self.hidden: set[str] = set()
        self.fault: OktaError | None = None
        self.user_faults: dict[str, OktaError] = {}
        self.stale = 0
        self.circle = False
        self.asked: list[str] = []
        self.asked_ids: list[str] = []
        self.during: Any = None
        self.extra: list[Any] = []
        self._page = page

    def put(self, *users: dict[str, Any]) -> None:
        self.users |= {user["id"]: user for user in users}

    async def user_page(self, place: str) -> Page[dict[str, Any]]:
        self.asked.append(place)
        if self.fault:
            raise self.fault
        query = {key: values[0] for key, values in parse_qs(place.partition("?")[2]).items()}
        after = query.get("after", "")
        if after and self.stale:
            self.stale -= 1
            raise OktaStalePlace("Okta does not know the place.", status=400)
        shown = [user for user in self._list(query["filter"]) if user["id"] > after]
        rows, more = shown[: self._page], shown[self._page :]
        following = f"{USERS}?after={rows[-1]['id']}&filter={query['filter']}" if more else None
        found = Page([*rows, *self.extra], place if self.circle else following)
        if self.during:
            await self.during()
        return found

    async def user(self, user_id: str) -> dict[str, Any]:
        self.asked_ids.append(user_id)
        if user_id in self.user_faults:
            raise self.user_faults[user_id]
        if user_id in self.hidden or user_id not in self.users:
            raise OktaNotFound("gone", status=404, code="E0000007")
        return self.users[user_id]

    async def users_of(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """As a search finds them."""
        return {user["id"]: user for user in self._list("") if user["id"] in ids}

    def _list(self, filter: str) -> list[dict[str, Any]]:
        since = parse_stamp(filter.partition('lastUpdated gt "')[2].rstrip('"')) or 0
        lacking = self.unlisted | self.hidden
        shown = [self.listed_as.get(user_id, user) for user_id, user in sorted(self.users.items())]
        return [user for user in shown if user["id"] not in lacking and directory.last_updated_ms(user) > since]


class Client:
    """The fake as the Okta client shows it: `users` are a search there."""

    def __init__(self, org: FakeOrg) -> None:
        self.user_page, self.user, self.users = org.user_page, org.user, org.users_of


class Bench:
    """A state store, a fake Okta, a target, and the three who work on a sweep."""

    def __init__(self, folder: Path, *, page: int = 3, target: Target | None = None, at: str = "", **more: Any) -> None:
        self.now = NOW
        self.seconds = 0.0
        self.at = at
        self.org = FakeOrg(page)
        self.target: Any = target or MemoryTarget("app", **more)
        self.limit = Limit(users=1000)
        self.repairs = True
        self.budget = Budget(1.0, clock=lambda: self.seconds)
        self.folder = folder
        self.state = Database(folder / "state.db", "state")
        self.start()

    def start(self) -> None:
        """A new worker over the same store."""
        client, names = Client(self.org), [self.target.name]
        self.resolver = Resolver(self.state, OktaSource(client, self.budget), names, clock=self.clock)
        self.dispatcher = Dispatcher(self.state, self.target, self.now, limit=self.limit, clock=self.clock)
        self.sweeper = Sweeper(
            self.state,
            client,
            self.budget,
            [self.target],
            repairs=lambda _: self.repairs,
            at=self.at,
            clock=self.clock,
            monotonic=lambda: self.seconds,
        )

    def clock(self) -> int:
        """Each look at the clock is a millisecond later than the one before."""
        self.now += 1
        return self.now

    def wait(self, seconds: float) -> None:
        """Let time pass, by both clocks."""
        self.seconds += seconds
        self.now += int(seconds * 1000)

    async def order(self, kind: Kind = "reconcile", **options: Any) -> int:
        return await self.write(lambda db: sweeps.order(db, kind, "by a test", self.now, **options))

    async def round(self) -> bool:
        """One step of each who works; tell whether there was anything to do."""
        return bool(await self.sweeper.step() | await self.resolver.step() | await self.dispatcher.step())

    async def work(self) -> None:
        """Until no sweep is open, nobody is due, and nothing waits to be written."""
        for _ in range(ROUNDS):
            if not await self.round():
                if not await self.state.read(sweeps.open_sweeps) and not await self.due():
                    return
                self.wait(20)
        raise AssertionError(f"it does not end: {await self.state.read(sweeps.open_sweeps)}")

    async def swept(self, kind: Kind = "reconcile", **options: Any) -> Sweep:
        """Order a sweep and work until it is over."""
        number = await self.order(kind, **options)
        await self.work()
        return await self.sweep(number)

    async def filled(self, number: int, first: int = 0, **profile: Any) -> list[str]:
        """So many users in the org, in the directory and in the target."""
        ids = ids_of(number, first)
        self.org.put(*(user_of(user_id, **profile) for user_id in ids))
        assert not (await self.swept("backfill")).error
        self.org.asked.clear()
        self.org.asked_ids.clear()
        self.wait(60)
        return ids

    async def sweep(self, number: int) -> Sweep:
        found = await self.state.read(lambda db: sweeps.find(db, number))
        assert found is not None
        return found

    async def found(self, number: int) -> list[dict[str, Any]]:
        """The differences that were kept."""
        return await self.state.read(lambda db: sweeps.findings(db, number))

    async def due_now(self, user_id: str) -> None:
        """As an event does."""
        subject = {"org": "default", "kind": "user", "id": user_id, "due_ms": self.now}
        values = {**subject, "waiting_ms": self.now, "fresh_ms": None}
        await self.write(lambda db: run(db, "make_subject_due", values))

    async def due(self) -> list[str]:
        return [user for (user,) in await self.rows("SELECT id FROM subject WHERE state <> 'parked' ORDER BY id")]

    async def parked(self) -> list[str]:
        return [user for (user,) in await self.rows("SELECT id FROM subject WHERE state = 'parked' ORDER BY id")]

    async def held(self, user_id: str) -> directory.Held | None:
        return await self.state.read(lambda db: directory.find(db, user_id))

    async def deleted(self) -> list[str]:
        """Who is a tombstone."""
        return [user for (user,) in await self.rows('SELECT id FROM "user" WHERE deleted_ms IS NOT NULL ORDER BY id')]

    async def why_lost(self) -> str:
        return await self.state.read(access.why_lost)

    async def rows(self, sql: str) -> list[Any]:
        return await self.state.read(lambda db: db.execute(sql).fetchall())

    async def write(self, work: Any) -> Any:
        return await self.state.write(work)

    async def run_sql(self, sql: str) -> None:
        await self.write(lambda db: db.execute(sql) and None)

    async def close(self) -> None:
        await self.state.close()
