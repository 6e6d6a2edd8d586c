"""A reconcile that changes nothing: the very same sweep, on a scratch copy of the own store, with nobody to deliver."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import apsw

from rosterhook import sweeps
from rosterhook.data_dir import only_one
from rosterhook.errors import StoreError
from rosterhook.full_read import Lister
from rosterhook.model import Clock, now_ms
from rosterhook.okta.budget import Budget
from rosterhook.reconcile import Sweeper
from rosterhook.resolver import Resolver
from rosterhook.sources import OktaSource, Users
from rosterhook.store.database import Database, store_errors
from rosterhook.sweeps import Sweep
from rosterhook.targets import Target

#: Where in data_dir the copy is, as long as it is.
SCRATCH = "dry-run"
#: What a sweep reads. Of the events, those of deletions: they explain why somebody is not found.
_COPIES = (
    'INSERT INTO main."user" SELECT * FROM old."user"',
    "INSERT INTO main.link SELECT * FROM old.link",
    "INSERT INTO main.note SELECT * FROM old.note",
    "INSERT INTO main.event SELECT * FROM old.event"
    " WHERE type LIKE 'user.lifecycle.delete.%' OR type = 'system.import.user.delete'",
    "INSERT INTO main.event_subject SELECT * FROM old.event_subject WHERE event_seq IN (SELECT seq FROM main.event)",
)


class UserClient(Lister, Users, Protocol):
    """The part of the Okta client that a dry run needs: lists, and reads by id."""


@dataclass
class DryRun:
    """A scratch copy with one reconcile in it.

    Attributes:
        state: the copy.
    """

    state: Database
    number: int
    _sweeper: Sweeper
    _resolver: Resolver

    async def run(self, pause: Callable[[], Awaitable[None]]) -> Sweep:
        """Run it to its end.

        Args:
            pause: awaited where Okta's limits make it wait.

        Raises:
            OktaError: Okta cannot be read.
        """
        while True:
            sweep = await self.state.read(lambda db: sweeps.find(db, self.number))
            assert sweep is not None  # noqa: S101 - it was ordered here
            if sweep.finished_ms is not None:
                return sweep
            if not (await self._sweeper.step() | await self._resolver.step()):
                await pause()


@asynccontextmanager
async def opened_dry_run(
    data_dir: Path,
    client: UserClient,
    budget: Budget,
    targets: Sequence[Target],
    *,
    clock: Clock = now_ms,
    **options: object,
) -> AsyncIterator[DryRun]:
    """A dry run over a copy of the state store, which is thrown away.

    Args:
        options: of the sweep.

    Raises:
        StoreError: there is no room for the copy, or the store cannot be read.
    """
    async with only_one(data_dir, "dry-run", hint="Another dry run is under way: wait for it."):
        scratch = _emptied(data_dir / SCRATCH)
        path = scratch / "state.db"
        state = Database(path, "state")
        try:
            if (data_dir / "state.db").exists():
                _copy(data_dir / "state.db", path)
            number = await state.write(lambda db: sweeps.order(db, "reconcile", "dry run", clock(), **options))
            names = [target.name for target in targets]
            sweeper = Sweeper(state, client, budget, targets, dry=True, clock=clock)
            resolver = Resolver(state, OktaSource(client, budget), names, clock=clock)
            yield DryRun(state, number, sweeper, resolver)
        finally:
            await state.close()
            shutil.rmtree(scratch, ignore_errors=True)


def _emptied(scratch: Path) -> Path:
    """A folder for everybody's profile; what a dry run that was killed has left is removed."""
    with store_errors(scratch):
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(mode=0o700)
    return scratch


def _copy(old: Path, new: Path) -> None:
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_URI
    with store_errors(new), closing(apsw.Connection(str(new), flags=flags)) as db:
        db.execute("ATTACH ? AS old", (old.absolute().as_uri() + "?mode=ro",))
        schemas = [db.execute(f"SELECT max(number) FROM {name}.migration").get for name in ("main", "old")]  # noqa: S608
        if schemas[0] != schemas[1]:
            raise StoreError("The own store is of another release.", hint="Start the service of this release first.")
        with db:
            for statement in _COPIES:
                db.execute(statement)
