"""Every statement by name, from sql/*.sql: the whole of what the store is asked to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib import resources
from typing import Any, NamedTuple, cast

import apsw

_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)
_COMMENT = re.compile(r"^--.*\n", re.MULTILINE)
_PARAMETER = re.compile(r":(\w+)")
#: How many rows one statement takes.
_LENGTHS = (50, 10, 1)


@cache
def _statements() -> dict[str, str]:
    folder = resources.files("rosterhook.store") / "sql"
    files = sorted((each for each in folder.iterdir() if each.name.endswith(".sql")), key=lambda each: each.name)
    found: dict[str, str] = {}
    for file in files:
        parts = _NAME.split(file.read_text(encoding="utf-8"))
        found |= {name: _COMMENT.sub("", sql).strip() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}
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
    """Run the statement called `name` for each of `many`.

    Dozens of them are one statement, if all that it takes stands in one row of VALUES: each statement lets other
    threads run and waits for its turn again, which in a busy process costs more than the work itself.
    """
    if _form(name) is None:
        db.executemany(query(name), cast("Any", many))
    else:
        rows_many(db, name, many)


def rows_many(db: apsw.Connection, name: str, many: Iterable[Mapping[str, object]]) -> list[Any]:
    """As `run_many`, for a statement whose rows are wanted; those of all, in any order."""
    form, found = _form(name), []
    assert form is not None, f"{name} has no row of VALUES"  # noqa: S101 - a statement that is written wrong
    for chunk in _chunks(list(many)):
        values = [row[column] for row in chunk for column in form.columns]
        found += db.execute(_repeated(form, len(chunk)), cast("Any", values)).fetchall()
    return found


class _Form(NamedTuple):
    """A statement around its row of VALUES, and what the row takes."""

    before: str
    row: str
    after: str
    columns: tuple[str, ...]


@cache
def _form(name: str) -> _Form | None:
    before, values, rest = query(name).partition("VALUES (")
    row, _, after = rest.partition(")")
    if not values or "(" in row or "?" in row or _PARAMETER.search(before + after):
        return None
    return _Form(before, f"({_PARAMETER.sub('?', row)})", after, tuple(_PARAMETER.findall(row)))


@cache
def _repeated(form: _Form, times: int) -> str:
    return f"{form.before}VALUES {', '.join([form.row] * times)}{form.after}"


def _chunks(many: list[Mapping[str, object]]) -> Iterator[list[Mapping[str, object]]]:
    """In few different lengths, so that the statements stay prepared."""
    start = 0
    for length in _LENGTHS:
        while len(many) - start >= length:
            yield many[start : start + length]
            start += length


def _bindings(values: Mapping[str, object] | None) -> Any:
    return values or None
