"""The inbox: every delivery as it came, durable before it is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Protocol

import apsw
import msgspec

from rosterhook.errors import StoreError
from rosterhook.model import Delivery
from rosterhook.store.database import Database
from rosterhook.store.queries import each, query, run, value

#: Deliveries in memory that wait for a commit; more are refused, so that a stuck disk cannot fill the memory.
MAX_WAITING = 5000
MAX_WAITING_BYTES = 64 * 1024 * 1024
ROWS_A_STATEMENT = 64
#: Bodies in one read: a backlog of large ones must not fill the worker's memory.
MAX_READ_BYTES = 16 * 1024 * 1024

#: A delivery, and the future that tells its sender's task how it went.
_Waiter = tuple[Delivery, asyncio.Future[None]]


class Inbox(Protocol):
    """An append-only log of deliveries: the seam behind which another store may stand."""

    async def append(self, delivery: Delivery) -> None:
        """Return when the delivery is on disk.

        Raises:
            StoreError: it is not stored, or nobody knows; Okta must send it again.
        """

    async def read(self, after: int, limit: int) -> list[Delivery]:
        """Up to `limit` deliveries behind sequence number `after`, in the order of arrival.

        Fewer when their bodies are large, but at least one as long as there is one.
        """

    async def prune(self, up_to: int, received_before: int) -> int:
        """Forget deliveries that are old and handed over; return how many, 0 when none is left.

        Works in small steps: call it again until it answers 0.

        Args:
            up_to: the last sequence number that is handed over.
            received_before: in milliseconds since 1970.
        """


class SqliteInbox:
    """The inbox in a file of its own, `inbox.db`. Only the web process appends and prunes.

    While one batch commits, the next gathers, and the writer thread takes it the moment it is free: under load each
    fsync carries very many deliveries, and no fsync waits for the event loop.
    """

    def __init__(self, data_dir: Path) -> None:
        self.database = Database(data_dir / "inbox.db", "inbox", busy_ms=1500)
        self._waiting: deque[_Waiter] = deque()
        self._unsettled = 0
        self._unsettled_bytes = 0
        self._asked = False
        self._commits: set[asyncio.Task[None]] = set()

    async def append(self, delivery: Delivery) -> None:
        if self._unsettled >= MAX_WAITING or self._unsettled_bytes > MAX_WAITING_BYTES:
            raise StoreError("Too many deliveries wait for the disk.", hint="Check the disk of data_dir.")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, future))
        self._unsettled += 1
        self._unsettled_bytes += len(delivery.body)
        if not self._asked:
            self._asked = True
            task = asyncio.create_task(self._commit())
            self._commits.add(task)
            task.add_done_callback(self._commits.discard)
        await future

    async def read(self, after: int, limit: int) -> list[Delivery]:
        return await self.database.read(lambda db: _read(db, after, limit))

    async def prune(self, up_to: int, received_before: int) -> int:
        values = {"up_to": up_to, "received_before": received_before}
        return await self.database.write(lambda db: run(db, "prune_deliveries", values))

    async def probe(self) -> None:
        """Write something and remove it, so that a full disk is seen as well as a locked file.

        Raises:
            StoreError: a delivery could not be stored now.
        """
        await self.database.write(lambda db: run(db, "probe_inbox"))
        await self.database.write(lambda db: run(db, "forget_probes"))

    async def received(self) -> int:
        """How many deliveries have ever been stored."""
        return await self.database.read(last_seq)

    async def close(self) -> None:
        """Commit what waits and close the file."""
        await asyncio.gather(*self._commits)
        await self.database.close()

    async def _commit(self) -> None:
        """Have the writer thread store all who wait when it comes to it, and tell them."""
        batch: list[_Waiter] = []
        error: Exception | None = None
        try:
            await self.database.write(lambda db: self._store(db, batch))
        except Exception as failure:  # whatever it was, each waiter must hear of it
            error = failure
            if not batch:  # the transaction did not even begin
                self._take(batch)
        for delivery, future in batch:
            self._unsettled -= 1
            self._unsettled_bytes -= len(delivery.body)
            if future.done():
                continue
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

    def _store(self, db: apsw.Connection, batch: list[_Waiter]) -> None:
        self._take(batch)
        _insert(db, [delivery for delivery, _ in batch])

    def _take(self, batch: list[_Waiter]) -> None:
        """Move all who wait into `batch`. Who comes from now on asks for the next commit.

        It runs in the writer thread while `append` runs in the loop's: what is moved one by one is never lost, and
        since the question is open again before, nobody is left behind; at worst a commit finds nobody.
        """
        self._asked = False
        with contextlib.suppress(IndexError):
            while True:
                batch.append(self._waiting.popleft())


def last_seq(db: apsw.Connection) -> int:
    """The sequence number of the newest delivery that was ever stored, pruned or not."""
    return int(value(db, "last_delivery") or 0)


def _read(db: apsw.Connection, after: int, limit: int) -> list[Delivery]:
    found: list[Delivery] = []
    size = 0
    for seq, received_ms, headers, fault, body in each(db, "read_deliveries", {"after": after, "limit": limit}):
        found.append(Delivery(received_ms, json.loads(headers), body, fault, seq))
        size += len(body)
        if size > MAX_READ_BYTES:
            break
    return found


def _insert(db: apsw.Connection, deliveries: Sequence[Delivery]) -> None:
    for start in range(0, len(deliveries), ROWS_A_STATEMENT):
        some = deliveries[start : start + ROWS_A_STATEMENT]
        values: list[int | str | bytes | None] = []
        for row in some:
            values += (row.received_ms, msgspec.json.encode(row.headers).decode(), row.fault, row.body)
        db.execute(_insert_statement(len(some)), values)


@cache
def _insert_statement(count: int) -> str:
    """One statement with many rows costs a fifth of as many statements."""
    return query("append_deliveries") + ", (?, ?, ?, ?)" * (count - 1)
