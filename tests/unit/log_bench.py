"""A System Log in memory, and the follower over it; both clocks are numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from rosterhook import sweeps
from rosterhook.arrivals import HOOK, Source, record_event
from rosterhook.errors import OktaError, OktaStalePlace
from rosterhook.follower import Follower
from rosterhook.model import iso
from rosterhook.notes import BORN, leave_note
from rosterhook.okta.events import parse, parse_stamp
from rosterhook.okta.pages import LOGS, Page
from rosterhook.store.database import Database
from rosterhook.store.queries import run

STAMP = "2026-03-01T12:00:00.000Z"
NOW = parse_stamp(STAMP) or 0
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def log_event(
    uuid: str,
    event_type: str = "user.account.update_profile",
    user: str | None = "00u1",
    at_ms: int = NOW,
    **parts: Any,
) -> dict[str, Any]:
    """An event as the log and the hook tell it."""
    target = [{"id": user, "type": "User", "alternateId": f"{user}@example.com"}] if user else []
    told = {"uuid": uuid, "eventType": event_type, "published": iso(at_ms), "target": target}
    return {**told, "outcome": {"result": "SUCCESS"}, **parts}


def for_hooks(*hook_ids: str) -> dict[str, Any]:
    """The part of an event that names the hooks that were to get it."""
    return {"debugContext": {"debugData": {"targetEventHookIds": ",".join(hook_ids)}}}


class FakeLog:
    """Okta's log: rows in the order in which they were stored, and places that say how many lie behind.

    Attributes:
        asked: every place that was asked for.
        fault: raised in place of an answer.
        is_stale: every place but a first one is refused.
        refuses_filter: a first place with a filter is refused.
        during: awaited in the middle of an answer.
    """

    def __init__(self, page: int = 1000) -> None:
        self.rows: list[tuple[int, bytes]] = []
        self.asked: list[str] = []
        self.fault: OktaError | None = None
        self.is_stale = False
        self.refuses_filter: OktaError | None = None
        self.during: Any = None
        self._page = page

    def add(self, *events: Any, at_ms: int = NOW) -> None:
        """Store events; what is no object is stored as it is."""
        self.rows += [(at_ms, json.dumps(event).encode()) for event in events]

    async def log_page(self, place: str) -> Page[bytes]:
        self.asked.append(place)
        if self.during:
            await self.during()
        if self.fault:
            raise self.fault
        query = {key: values[0] for key, values in parse_qs(place.partition("?")[2]).items()}
        if self.is_stale and "after" in query:
            raise OktaStalePlace("The place is too old.", status=400)
        if self.refuses_filter and "filter" in query and "after" not in query:
            raise self.refuses_filter
        begin = int(query["after"]) if "after" in query else self._first(query["since"])
        found = [row for _, row in self.rows[begin : begin + self._page]]
        wanted = query.get("filter") or query.get("kept", "")
        rows = [row for row in found if not wanted or f'"{json.loads(row)["eventType"]}"' in wanted]
        return Page(rows, f"{LOGS}?after={begin + len(found)}&kept={wanted}")

    def _first(self, since: str) -> int:
        since_ms = parse_stamp(since) or 0
        return next((place for place, (at_ms, _) in enumerate(self.rows) if at_ms >= since_ms), len(self.rows))


class Bench:
    """A state store, a log, and the follower between them."""

    def __init__(self, folder: Path, *, page: int = 1000, poll_seconds: float = 60.0) -> None:
        self.now = NOW
        self.seconds = 0.0
        self.rings = 0
        self.urgent = False
        self.our_hooks: tuple[str, ...] = ()
        self.log = FakeLog(page)
        self.state = Database(folder / "state.db", "state")
        self.poll_seconds = poll_seconds
        self.follower = self.new_follower()

    def new_follower(self) -> Follower:
        """The follower of another worker over the same store."""
        return Follower(
            self.state,
            self.log,
            poll_seconds=self.poll_seconds,
            on_due=self._ring,
            is_urgent=lambda: self.urgent,
            our_hooks=lambda: self.our_hooks,
            clock=lambda: self.now,
            monotonic=lambda: self.seconds,
        )

    def _ring(self) -> None:
        self.rings += 1

    async def drain(self) -> None:
        """Read the log to its end."""
        while await self.follower.step():
            pass

    def wait(self, seconds: float) -> None:
        """Let time pass, by both clocks."""
        self.seconds += seconds
        self.now += int(seconds * 1000)

    async def born(self, at_ms: int) -> None:
        await self.state.write(lambda db: leave_note(db, BORN, {"at_ms": at_ms}, at_ms))

    async def arrive(self, event: Any, source: Source = HOOK, at_ms: int | None = None) -> None:
        """Have an event arrive by the hook, or otherwise."""
        raw, at = json.dumps(event).encode(), self.now if at_ms is None else at_ms
        await self.state.write(
            lambda db: record_event(db, parse(raw), source, at, self.now, our_hooks=self.our_hooks) and None
        )

    async def ask(self) -> None:
        await self.state.write(lambda db: run(db, "ask_follower", {"org": "default", "now": self.now}) and None)

    async def read_all(self) -> None:
        """As the resolver does: whoever is due has been read."""
        await self.state.write(lambda db: db.execute("DELETE FROM subject") and None)

    async def rows(self, sql: str) -> list[Any]:
        return await self.state.read(lambda db: db.execute(sql).fetchall())

    async def due(self) -> list[str]:
        return [user for (user,) in await self.rows("SELECT id FROM subject ORDER BY id")]

    async def uuids(self) -> list[str]:
        return [uuid for (uuid,) in await self.rows("SELECT uuid FROM event ORDER BY seq")]

    async def arrivals(self) -> dict[str, tuple[int, int]]:
        """Of each event, how often it came by the hook and by the log."""
        found = await self.rows("SELECT uuid, hook_arrivals, log_arrivals FROM event")
        return {uuid: (hook, log) for uuid, hook, log in found}

    async def sweeps(self) -> list[str]:
        """The kinds of the sweeps that were ordered and are not over."""
        return [sweep.kind for sweep in await self.state.read(sweeps.open_sweeps)]

    async def place(self) -> str | None:
        found = await self.rows("SELECT position FROM cursor")
        return found[0][0] if found else None

    def sinces(self) -> list[int]:
        """The moments from which the log was begun to be read."""
        queries = [parse_qs(place.partition("?")[2]) for place in self.log.asked]
        return [parse_stamp(query["since"][0]) or 0 for query in queries if "since" in query]
