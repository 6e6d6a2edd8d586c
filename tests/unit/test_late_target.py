"""The API's view of a target: made when it is first read."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from rosterhook.config import SqlTarget
from rosterhook.errors import ConfigError
from rosterhook.late_target import LateTarget
from rosterhook.targets import registry
from rosterhook.targets.sql import SqlTable


def config(url: str) -> SqlTarget:
    return SqlTarget.model_validate(
        {"name": "app", "type": "sql", "url": url, "columns": {"id": "id", "status": "status"}}
    )


async def rows_of(target: LateTarget) -> list[object]:
    return [row["id"] async for row in target.snapshot()]


async def test_rows_are_the_targets_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Readers who come at once get the same rows of one target, made for the first and closed at the end."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as db, db:
        db.execute("CREATE TABLE users (id TEXT PRIMARY KEY, status TEXT)")
        db.executemany("INSERT INTO users (id) VALUES (?)", [("00u1",), ("00u2",)])
    made: list[SqlTable] = []
    closed: list[SqlTable] = []

    class Table(SqlTable):
        def __init__(self, config: SqlTarget) -> None:
            super().__init__(config)
            made.append(self)

        async def aclose(self) -> None:
            closed.append(self)
            await super().aclose()

    monkeypatch.setattr(registry, "SqlTable", Table)
    async with aclosing(LateTarget(config(f"sqlite:///{tmp_path / 'app.db'}"))) as target:
        assert target.name == "app"
        assert made == []
        assert await asyncio.gather(rows_of(target), rows_of(target)) == [["00u1", "00u2"]] * 2
        assert len(made) == 1
    assert closed == made


async def test_target_that_cannot_work_is_told_to_who_reads_it() -> None:
    """A configuration that cannot work refuses the reader, each time; closing such a target does nothing."""
    target = LateTarget(config("oracle://host/db"))
    for _ in range(2):
        with pytest.raises(ConfigError, match="oracle"):
            await rows_of(target)
    await target.aclose()
