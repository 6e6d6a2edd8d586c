"""The ceiling of a first load, a program of its own: pages that are there are parsed, and their users upserted.

`python -m bench.ceilings --users 100000 --sqlite FILE` (or `--postgresql URL`) prints what it did as one line of JSON.
No HTTP, no store of its own, no version compared: what is faster would write less.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import apsw
import asyncpg  # type: ignore[import-untyped]  # ships no types
import msgspec
import uvloop

from bench.databases import TABLE, UPSERT, UPSERT_MANY, Row, row_of
from bench.listing import PAGE, Users

#: Rows in one transaction.
BATCH = 5 * PAGE
URL = "http://127.0.0.1:1"


def sqlite(pages: Sequence[bytes], file: Path) -> None:
    """Into a file of SQLite in WAL mode, each transaction on disk."""
    with closing(apsw.Connection(str(file))) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute(TABLE)
        for rows in _batches(pages):
            db.execute("BEGIN IMMEDIATE")
            db.executemany(UPSERT, rows)
            db.execute("COMMIT")


async def postgresql(pages: Sequence[bytes], url: str) -> None:
    """Into a table of PostgreSQL, each transaction on disk."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(TABLE)
        upsert = await connection.prepare(UPSERT_MANY)
        for rows in _batches(pages):
            await upsert.fetch(*zip(*rows, strict=True))
    finally:
        await connection.close()


def _batches(pages: Sequence[bytes]) -> Iterator[list[Row]]:
    for first in range(0, len(pages), BATCH // PAGE):
        some = pages[first : first + BATCH // PAGE]
        yield [row_of(user) for page in some for user in msgspec.json.decode(page)]


def main() -> None:
    """Read the options, load, print."""
    parser = argparse.ArgumentParser(prog="python -m bench.ceilings")
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--sqlite", type=Path)
    parser.add_argument("--postgresql")
    options = parser.parse_args()
    users = Users(URL)
    pages = [users.page(first, min(first + PAGE, options.users)) for first in range(0, options.users, PAGE)]
    started = time.perf_counter()
    if options.postgresql:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(postgresql(pages, options.postgresql))
    else:
        sqlite(pages, options.sqlite)
    print(json.dumps({"users": options.users, "seconds": time.perf_counter() - started}))


if __name__ == "__main__":
    main()
