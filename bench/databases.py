"""The table that all who load users write: that of a target that names no columns, made and filled by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from bench import postgres

#: With the version, which a script of one's own would not have: nobody shall write less than we do.
COLUMNS = (
    "id", "status", "login", "email", "first_name", "last_name", "mobile_phone", "created", "last_updated",
    "rosterhook_version",
)  # fmt: skip
_TYPES = ("VARCHAR(64) NOT NULL PRIMARY KEY", "VARCHAR(32)", *["TEXT"] * 7, "BIGINT NOT NULL DEFAULT 0")
TABLE = f"CREATE TABLE users ({', '.join(' '.join(each) for each in zip(COLUMNS, _TYPES, strict=True))})"

_INTO = f"INSERT INTO users ({', '.join(COLUMNS)})"
_ELSE = f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in COLUMNS[1:])}"
_ARRAYS = ", ".join(f"${place}::{'text' if place < len(COLUMNS) else 'bigint'}[]" for place in range(1, 11))
#: For SQLite, row by row.
UPSERT = f"{_INTO} VALUES ({', '.join('?' * len(COLUMNS))}) {_ELSE}"
#: For PostgreSQL: many rows, an array for each column.
UPSERT_MANY = f"{_INTO} SELECT * FROM unnest({_ARRAYS}) {_ELSE}"

_COUNT = "SELECT count(*) FROM users"
_SQLITE = "sqlite:///"

Row = tuple[str | int | None, ...]


def row_of(user: Mapping[str, Any]) -> Row:
    """A user of Okta's list as a row."""
    profile = user["profile"]
    names = map(profile.get, ("login", "email", "firstName", "lastName", "mobilePhone"))
    return (user["id"], user["status"], *names, user["created"], user["lastUpdated"], 1)


def made(file: Path) -> sqlite3.Connection:
    """A new file of SQLite with the empty table, as a script would make it."""
    db = sqlite3.connect(file)
    db.execute(TABLE)
    return db


def sqlite_url(file: Path) -> str:
    """A file of SQLite as a target's address."""
    return f"{_SQLITE}{file}"


def rows_in(url: str) -> int:
    """How many rows a target's table has.

    Args:
        url: as in the configuration.
    """
    if not url.startswith(_SQLITE):
        return int(postgres.value(url, _COUNT))
    return int(ask(Path(url.removeprefix(_SQLITE)), _COUNT)[0][0])


def ask(file: Path, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a query to a file of SQLite that others write; nothing can be written."""
    with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as db:
        return db.execute(query, values).fetchall()
