"""One SQLite file: one writer thread that commits everything waiting at once, and readers beside it."""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import apsw

from rosterhook.errors import StoreError
from rosterhook.store.migrate import migrate

T = TypeVar("T")
Work = Callable[[apsw.Connection], T]

#: More works in one transaction would only make the first of them wait longer.
MAX_WORKS_A_COMMIT = 500
READERS = 2
#: Of the inbox, larger pages: fewer of them a commit. In the other store a commit changes a page here and one there.
PAGE_BYTES = {"inbox": 8192, "state": 4096}
#: Pages of the WAL before a checkpoint. Of the inbox, which grows at its end, a few: its slowest commits are those
#: with a checkpoint. The other store has indexes whose pages change again and again, each written once a checkpoint.
CHECKPOINT_PAGES = {"inbox": 250, "state": 4000}
#: Memory for pages, in KiB: indexes of a large org are in random order, and SQLite's usual 2 MB hold little of them.
WRITER_KIB = {"inbox": 2_000, "state": 32_000}
READER_KIB = 4_000

HINTS: dict[type[apsw.Error], str] = {
    apsw.FullError: "The disk is full: make room.",
    apsw.ReadOnlyError: "The file or its folder is read-only: check owner and mode.",
    apsw.CantOpenError: "Check that the folder exists and that this user may write there.",
    apsw.BusyError: "Another process holds a long write transaction: end it.",
    apsw.LockedError: "Another process holds a long write transaction: end it.",
    apsw.CorruptError: "The file is damaged: stop, keep a copy, and restore a backup.",
    apsw.NotADBError: "That is not a SQLite database: check data_dir.",
    apsw.IOError: "The disk does not answer as it should: check it.",
}


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = None


class Database:
    """A SQLite file in WAL mode with synchronous=FULL: what is committed survives a power cut.

    Args:
        path: the file; it is made when absent.
        kind: which migrations it gets.
        busy_ms: how long a write waits for another process before it is a StoreError.
    """

    def __init__(self, path: Path, kind: Literal["inbox", "state"], *, busy_ms: int = 2000) -> None:
        self.path = path
        self._kind = kind
        self._busy_ms = busy_ms
        with store_errors(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Everybody's profile is in it: for its owner alone, and so are the files that SQLite adds to it.
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
            self._writer = self._connect(WRITER_KIB[kind])
            migrate(self._writer, kind)
            # What a statement would have to undo, and what it sorts, is else written into the system's temporary
            # folder, a page for each row. After the migrations, which may change every row.
            self._writer.execute("PRAGMA temp_store = MEMORY")
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write_loop, name=f"write-{kind}", daemon=True)
        self._thread.start()
        self._local = threading.local()
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix=f"read-{kind}")
        self._closed = False

    async def write(self, work: Work[T]) -> T:
        """Run `work` in the writer's next transaction, and return when that is on disk.

        `work` shares its transaction with others; when it raises, only its own changes are undone.

        Raises:
            StoreError: the store cannot be written; nothing of `work` is stored.
        """
        if self._closed:
            raise StoreError(f"{self.path} is closed.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._jobs.put(_Job(work, loop, future))
        return await future

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a connection of its own; it sees one committed state throughout.

        Raises:
            StoreError: the store cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def close(self) -> None:
        """Commit what waits, and close every connection. Safe to repeat."""
        if self._closed:
            return
        self._closed = True
        self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)
        self._readers.shutdown()
        self._writer.close()

    def _connect(self, cache_kib: int) -> apsw.Connection:
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(self._busy_ms)
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES[self._kind]}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES[self._kind]}")
        connection.execute(f"PRAGMA cache_size = -{cache_kib}")
        connection.execute("PRAGMA foreign_keys = ON")
        return connection

    def _read(self, work: Work[T]) -> T:
        with store_errors(self.path):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = self._local.connection = self._connect(READER_KIB)
            connection.execute("BEGIN")
            try:
                return work(connection)
            finally:
                connection.execute("ROLLBACK")

    def _write_loop(self) -> None:
        closing = False
        while not closing:
            jobs: list[_Job] = []
            item = self._jobs.get()
            while item is not None and len(jobs) < MAX_WORKS_A_COMMIT:
                jobs.append(item)
                if len(jobs) == MAX_WORKS_A_COMMIT or self._jobs.empty():
                    break
                item = self._jobs.get()
            closing = item is None
            if jobs:
                self._commit(jobs)
                _answer(jobs)

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            with store_errors(self.path):
                self._writer.execute("BEGIN IMMEDIATE")
                try:
                    if len(jobs) == 1:
                        jobs[0].result = jobs[0].work(self._writer)  # alone, it is undone with the transaction
                    else:
                        for job in jobs:
                            self._run(job)
                    self._writer.execute("COMMIT")
                except BaseException:
                    if self._writer.in_transaction:
                        self._writer.execute("ROLLBACK")
                    raise
        except BaseException as error:  # each waiter gets it; the thread must live on
            for job in jobs:
                job.error = error

    def _run(self, job: _Job) -> None:
        self._writer.execute("SAVEPOINT job")
        try:
            with store_errors(self.path):
                job.result = job.work(self._writer)
        except BaseException as error:
            if not self._writer.in_transaction:
                raise  # SQLite has already rolled everything back, as it does when the disk is full
            self._writer.execute("ROLLBACK TO job")
            job.error = error
        self._writer.execute("RELEASE job")


def _answer(jobs: list[_Job]) -> None:
    """Resolve all waiters in one hop to the loop: a hop each costs more than the commit."""
    loop = jobs[0].loop
    try:
        loop.call_soon_threadsafe(_resolve, jobs)
    except RuntimeError:
        return  # the loop is gone, and with it all who waited


def _resolve(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.done():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn SQLite's and the system's errors into a StoreError that names the file and the cure."""
    try:
        yield
    except apsw.Error as error:
        hint = next((hint for kind, hint in HINTS.items() if isinstance(error, kind)), "")
        raise StoreError(f"Cannot use {path}: {error}.", hint=hint) from error
    except OSError as error:
        raise StoreError(f"Cannot use {path}: {error.strerror}.", hint="Check data_dir.") from error
