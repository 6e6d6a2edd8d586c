"""What the tests of the SQL target share."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa

from rosterhook.config import SqlTarget
from rosterhook.targets.registry import build_target
from rosterhook.targets.sql import SqlTable
from rosterhook.targets.sql_engine import Database


def config(url: str, **settings: Any) -> SqlTarget:
    """The configuration of a target named "app"."""
    return SqlTarget(name="app", type="sql", url=url, **settings)


@asynccontextmanager
async def opened(url: str, **settings: Any) -> AsyncIterator[SqlTable]:
    """A target that is closed at the end."""
    target = build_target(config(url, **settings))
    assert isinstance(target, SqlTable)
    try:
        yield target
    finally:
        await target.aclose()


async def run(url: str, *statements: str) -> list[tuple[Any, ...]]:
    """Run statements by another connection, as an administrator or an app would; gives the last one's rows."""
    database = Database(url, "admin")
    try:
        async with database.altering() as connection:
            for statement in statements:
                result = await connection.execute(sa.text(statement))
            return [tuple(row) for row in result] if result.returns_rows else []
    finally:
        await database.aclose()


async def rows(target: SqlTable) -> list[dict[str, object]]:
    """All that the target shows."""
    return [dict(row) async for row in target.snapshot()]
