"""A directory, a target in memory, and the dispatcher between them, for tests of removals that are too many."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rosterhook import directory, holds
from rosterhook.dispatcher import Dispatcher
from rosterhook.holds import Hold, Limit
from rosterhook.store.database import Database
from rosterhook.testing import MemoryTarget

#: More than three users and more than a tenth of all, within ten minutes.
LIMIT = Limit(users=3, percent=10.0, window_ms=600_000)
WINDOW = LIMIT.window_ms


class Bench:
    """Time is a number; each change of a user is a second later than the one before, by Okta's clock."""

    def __init__(self, folder: Path, limit: Limit = LIMIT, **policies: Any) -> None:
        self.now = 1_000_000
        self.targets = ["app"]
        self.target = MemoryTarget("app", **policies)
        self.state = Database(folder / "state.db", "state")
        self.dispatcher = Dispatcher(self.state, self.target, 10_000, limit=limit, clock=lambda: self.now)
        self._second = 0

    async def put(self, *ids: str, status: str = "ACTIVE", **profile: Any) -> None:
        """Have Okta say that these users are so."""
        self._second += 1
        stamp = f"2026-01-01T{self._second // 3600:02}:{self._second // 60 % 60:02}:{self._second % 60:02}.000Z"
        for user_id in ids:
            shown = {"login": f"{user_id}@example.com", **profile}
            user = {"id": user_id, "status": status, "lastUpdated": stamp, "profile": shown}
            await self._write(
                lambda db, user=user: directory.record(
                    db, user, fresh=True, targets=self.targets, waiting_ms=None, now=self.now
                )
            )

    async def off(self, *ids: str) -> None:
        """Have Okta say that these users are deactivated."""
        await self.put(*ids, status="DEPROVISIONED")

    async def gone(self, *ids: str) -> None:
        """Have Okta say that these users are deleted."""
        for user_id in ids:
            await self._write(
                lambda db, user_id=user_id: directory.record_gone(
                    db, user_id, targets=self.targets, waiting_ms=None, now=self.now
                )
            )

    async def staff(self, number: int) -> list[str]:
        """So many users in service, whom the target holds."""
        ids = names(number)
        await self.put(*ids)
        await self.dispatch()
        return ids

    async def dispatch(self) -> None:
        """Deliver all that may be delivered."""
        while await self.dispatcher.step():
            pass

    async def holds(self) -> list[Hold]:
        return await self.state.read(holds.list_holds)

    async def held(self) -> list[str]:
        """Who is held."""
        return [user["id"] for hold in await self.holds() for user in hold.users]

    async def hold_id(self) -> str:
        """The id of the one batch that waits."""
        [hold] = await self.holds()
        return hold.id

    async def approve(self, hold_id: str) -> Hold:
        return await self._write(lambda db: holds.approve(db, hold_id, self.now))

    async def reject(self, hold_id: str) -> Hold:
        return await self._write(lambda db: holds.reject(db, hold_id, self.now))

    async def states(self) -> dict[str, str]:
        """The state of each user's link."""
        return dict(await self.state.read(lambda db: db.execute("SELECT user_id, state FROM link").fetchall()))

    def shown(self) -> dict[str, object]:
        """The status that the target shows of each user."""
        return {user_id: row["status"] for user_id, row in self.target.rows.items()}

    def removed(self) -> set[str]:
        """Whom the target shows as deactivated or deleted."""
        return {user_id for user_id, status in self.shown().items() if status in ("DEPROVISIONED", "DELETED")}

    async def _write(self, work: Any) -> Any:
        return await self.state.write(work)


def names(number: int) -> list[str]:
    """Ids of so many users."""
    return [f"00u{each:03}" for each in range(number)]
