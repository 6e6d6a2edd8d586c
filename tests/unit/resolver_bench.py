"""A resolver over a fake Okta, for tests of what is read and what becomes of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rosterhook import directory
from rosterhook.errors import OktaError, OktaNotFound
from rosterhook.okta.budget import Budget
from rosterhook.okta.events import parse_stamp
from rosterhook.resolver import Resolver
from rosterhook.sources import OktaSource
from rosterhook.store.database import Database
from rosterhook.store.queries import run

STAMP = "2026-01-01T00:00:05.000Z"
AT = parse_stamp(STAMP) or 0


def okta_user(user_id: str, stamp: str = STAMP, **profile: Any) -> dict[str, Any]:
    return {"id": user_id, "status": "ACTIVE", "lastUpdated": stamp, "profile": profile}


class FakeOkta:
    """Users by id, and an index for searches that may differ; both remember what was asked."""

    def __init__(self) -> None:
        self.by_id: dict[str, dict[str, Any] | OktaError] = {}
        self.index: dict[str, dict[str, Any]] | OktaError = {}
        self.asked_ids: list[str] = []
        self.searches: list[Sequence[str]] = []
        self.during: Any = None

    async def user(self, user_id: str) -> dict[str, Any]:
        self.asked_ids.append(user_id)
        if self.during:
            await self.during()
        found = self.by_id.get(user_id) or OktaNotFound("gone", status=404, code="E0000007")
        if isinstance(found, OktaError):
            raise found
        return found

    async def users(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        self.searches.append(ids)
        if isinstance(self.index, OktaError):
            raise self.index
        return {user_id: self.index[user_id] for user_id in ids if user_id in self.index}


class Bench:
    """A state store, a fake Okta, and the resolver between them; time is a number."""

    def __init__(self, folder: Path) -> None:
        self.now = AT + 60_000
        self.okta = FakeOkta()
        self.state = Database(folder / "state.db", "state")
        self.seconds = 0.0
        self.budget = Budget(0.5, lambda: self.seconds)
        source = OktaSource(self.okta, self.budget, clock=lambda: self.seconds)
        self.resolver = Resolver(self.state, source, ["app"], clock=lambda: self.now, monotonic=lambda: self.seconds)

    def pass_by(self, seconds: float) -> None:
        """Let time pass on both clocks."""
        self.seconds += seconds
        self.now += int(seconds * 1000)

    async def due(self, *ids: str, fresh_ms: int | None = AT) -> None:
        for user_id in ids:
            subject = {"org": "default", "kind": "user", "id": user_id, "due_ms": self.now}
            values = {**subject, "waiting_ms": AT, "fresh_ms": fresh_ms}
            await self.state.write(lambda db, values=values: run(db, "make_subject_due", values) and None)

    async def rows(self, sql: str) -> list[Any]:
        return await self.state.read(lambda db: db.execute(sql).fetchall())

    async def held(self, user_id: str) -> directory.Held | None:
        return await self.state.read(lambda db: directory.find(db, user_id))

    async def subjects(self) -> list[Any]:
        return await self.rows("SELECT id, state, attempts, error FROM subject ORDER BY id")
