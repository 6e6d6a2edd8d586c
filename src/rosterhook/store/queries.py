"""Every statement by name, from sql/*.sql: the whole of what the store is asked to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, cast

import apsw

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def _statements() -> dict[str, str]:
    folder = resources.files("rosterhook.store") / "sql"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".sql")), key=lambda each: each.name)
    found: dict[str, str] = {}
    for file in files:
        parts = _NAME.split(file.read_text(encoding="utf-8"))
        found |= {name: sql.strip() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}
    return found


def names() -> list[str]:
    """The name of every statement."""
    return list(_statements())


def query(name: str) -> str:
    """The statement called `name`. Raises KeyError when there is none."""
    return _statements()[name]


def rows(db: apsw.Connection, name: str, values: Mapping[str, object] | None = None) -> list[Any]:
    """Run the statement called `name` and return its rows as tuples."""
    return db.execute(query(name), _bindings(values)).fetchall()


def each(db: apsw.Connection, name: str, values: Mapping[str, object] | None = None) -> Iterator[Any]:
    """Run the statement called `name` and give its rows one by one, none before it is wanted."""
    return iter(db.execute(query(name), _bindings(values)))


def value(db: apsw.Connection, name: str, values: Mapping[str, object] | None = None) -> Any:
    """Run the statement called `name` and return the first value of its first row, or None."""
    found = db.execute(query(name), _bindings(values)).fetchone()
    return found[0] if found else None


def run(db: apsw.Connection, name: str, values: Mapping[str, object] | None = None) -> int:
    """Run the statement called `name` and return how many rows it changed."""
    db.execute(query(name), _bindings(values))
    return int(db.changes())


def run_many(db: apsw.Connection, name: str, many: Iterable[Mapping[str, object]]) -> None:
    """Run the statement called `name` once for each of `many`."""
    db.executemany(query(name), cast("Any", many))


def returned(db: apsw.Connection, name: str, many: Iterable[Mapping[str, object]]) -> list[Any]:
    """Run the statement called `name` once for each of `many`, and return what each one returns."""
    return db.executemany(query(name), cast("Any", many)).fetchall()


def _bindings(values: Mapping[str, object] | None) -> Any:
    return values or None
