"""The inbox: every delivery as it came, durable before it is answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import apsw

from rosterhook.errors import StoreError
from rosterhook.model import Delivery
from rosterhook.store.database import Database
from rosterhook.store.queries import query, rows, run, value

#: Deliveries in memory that wait for a commit; more are refused, so that a stuck disk cannot fill the memory.
MAX_WAITING = 5000
MAX_WAITING_BYTES = 64 * 1024 * 1024
ROWS_A_STATEMENT = 64


class Inbox(Protocol):
    """An append-only log of deliveries: the seam behind which another store may stand."""

    async def append(self, delivery: Delivery) -> None:
        """Return when the delivery is on disk.

        Raises:
            StoreError: it is not stored, or nobody knows; Okta must send it again.
        """

    async def read(self, after: int, limit: int) -> list[Delivery]:
        """Up to `limit` deliveries behind sequence number `after`, in the order of arrival."""

    async def prune(self, before: int) -> int:
        """Forget deliveries with a sequence number below `before`; return how many, 0 when none is left.

        Works in small steps: call it again until it answers 0.
        """


class SqliteInbox:
    """The inbox in a file of its own, `inbox.db`. Only the web process appends and prunes.

    While one batch commits, the next gathers: under load each fsync carries hundreds of deliveries.
    """

    def __init__(self, data_dir: Path) -> None:
        self.database = Database(data_dir / "inbox.db", "inbox", busy_ms=1500)
        self._waiting: list[tuple[Delivery, asyncio.Future[None]]] = []
        self._waiting_bytes = 0
        self._committing: asyncio.Task[None] | None = None

    async def append(self, delivery: Delivery) -> None:
        if len(self._waiting) >= MAX_WAITING or self._waiting_bytes > MAX_WAITING_BYTES:
            raise StoreError("Too many deliveries wait for the disk.", hint="Check the disk of data_dir.")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, future))
        self._waiting_bytes += len(delivery.body)
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        await future

    async def read(self, after: int, limit: int) -> list[Delivery]:
        found = await self.database.read(lambda db: rows(db, "read_deliveries", {"after": after, "limit": limit}))
        return [
            Delivery(received_ms, json.loads(headers), body, fault, seq)
            for seq, received_ms, headers, fault, body in found
        ]

    async def prune(self, before: int) -> int:
        return await self.database.write(lambda db: run(db, "prune_deliveries", {"before": before}))

    async def received(self) -> int:
        """How many deliveries have ever been stored."""
        return await self.database.read(last_seq)

    async def close(self) -> None:
        """Commit what waits and close the file."""
        if self._committing is not None:
            await self._committing
        await self.database.close()

    async def _commit_all(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting, self._waiting_bytes = self._waiting, [], 0
                error = await self._commit([delivery for delivery, _ in batch])
                for _, future in batch:
                    if future.done():
                        continue
                    if error is None:
                        future.set_result(None)
                    else:
                        future.set_exception(error)
        finally:
            self._committing = None

    async def _commit(self, deliveries: list[Delivery]) -> StoreError | None:
        try:
            await self.database.write(lambda db: _insert(db, deliveries))
        except StoreError as error:
            return error
        return None


def last_seq(db: apsw.Connection) -> int:
    """The sequence number of the newest delivery that was ever stored, pruned or not."""
    return int(value(db, "last_delivery") or 0)


def _insert(db: apsw.Connection, deliveries: Sequence[Delivery]) -> None:
    for start in range(0, len(deliveries), ROWS_A_STATEMENT):
        some = deliveries[start : start + ROWS_A_STATEMENT]
        values: list[int | str | bytes | None] = []
        for row in some:
            values += (row.received_ms, json.dumps(dict(row.headers)), row.fault, row.body)
        db.execute(_insert_statement(len(some)), values)


@cache
def _insert_statement(count: int) -> str:
    """One statement with many rows costs a fifth of as many statements."""
    return query("append_deliveries") + ", (?, ?, ?, ?)" * (count - 1)
