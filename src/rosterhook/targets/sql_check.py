"""Whether a found table can be written, and the very statement that mends it when not."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from rosterhook.config import SqlTarget
from rosterhook.targets.sql_table import Found, fields, planned, planned_type, type_name, version_column


def problems_of(config: SqlTarget, found: Found, dialect: Dialect, *, upserts: bool = True) -> list[str]:
    """What hinders writing to the found table, each with its cure; empty when nothing does.

    Args:
        upserts: rows are written by upserts, which need a unique key.
    """
    words = _Words(config, dialect)
    return [
        *_missing(config, found, words),
        *_unwritable(config, found, dialect),
        *(_key(config, found, words) if upserts else ()),
        *_version(config, found, words),
        *_unfilled(config, found, words),
    ]


class _Words:
    """The SQL of the cures."""

    def __init__(self, config: SqlTarget, dialect: Dialect) -> None:
        self._dialect = dialect
        self.sqlite = dialect.name == "sqlite"
        self._quote = dialect.identifier_preparer.quote
        self._name = planned(config, dialect).name
        self.table = dialect.identifier_preparer.format_table(planned(config, dialect))

    def add(self, column: str, kind: TypeEngine[str] | TypeEngine[int], rest: str = "") -> str:
        return f"ALTER TABLE {self.table} ADD COLUMN {self._quote(column)} {kind.compile(self._dialect)}{rest};"

    def unique(self, column: str) -> str:
        name = self._quote(f"{self._name}_{column}_unique")
        return f"CREATE UNIQUE INDEX {name} ON {self.table} ({self._quote(column)});"

    def widen(self, column: str) -> str:
        change = "MODIFY" if self._dialect.name == "mysql" else "ALTER COLUMN"
        kind = "BIGINT NOT NULL DEFAULT 0" if self._dialect.name == "mysql" else "TYPE BIGINT"
        return f"ALTER TABLE {self.table} {change} {self._quote(column)} {kind};"

    def default(self, column: str) -> str:
        if self.sqlite:
            return f'make the table anew with a default for "{column}" (SQLite cannot add one later)'
        return f"run ALTER TABLE {self.table} ALTER COLUMN {self._quote(column)} SET DEFAULT '';"


def _missing(config: SqlTarget, found: Found, words: _Words) -> list[str]:
    return [
        f'table {words.table} has no column "{column}" for {path}: '
        + (
            f'it has "{other}", so write it like that in columns'
            if (other := _other_case(column, found))
            else f"run {words.add(column, planned_type(path))}"
        )
        for column, path in config.columns.items()
        if column not in found.columns
    ]


def _other_case(column: str, found: Found) -> str | None:
    return next((name for name in found.columns if name.lower() == column.lower()), None)


def _unwritable(config: SqlTarget, found: Found, dialect: Dialect) -> list[str]:
    writable = {field.column for field in fields(config, found, dialect)}
    problems = []
    for column, path in config.columns.items():
        if column not in found.columns:
            continue
        about = found.columns[column]
        if column not in writable:
            kind = type_name(about["type"], dialect)
            problems.append(f'column "{column}" ({kind}) cannot be written: map {path} to a column of text')
        elif about.get("computed"):
            problems.append(f'column "{column}" is computed by the database: map {path} to another column')
    return problems


def _key(config: SqlTarget, found: Found, words: _Words) -> list[str]:
    key = config.key_column
    if key not in found.columns or found.is_unique(key):
        return []
    return [f'column "{key}" has the key, but is neither primary key nor unique: run {words.unique(key)}']


def _version(config: SqlTarget, found: Found, words: _Words) -> list[str]:
    name = config.version_column
    if not name:
        return []
    instead = 'or set version_column = "" to do without protection from older writes'
    if name not in found.columns:
        add = words.add(name, version_column(name).type, " NOT NULL DEFAULT 0")
        return [f'table {words.table} has no column "{name}": run {add} {instead}']
    kind = found.columns[name]["type"]
    if not isinstance(kind, sa.Integer):
        return [f'column "{name}" holds no integers: name another version_column, {instead}']
    if isinstance(kind, sa.BigInteger) or words.sqlite:
        return []
    return [f'column "{name}" is too narrow for versions: run {words.widen(name)} {instead}']


def _unfilled(config: SqlTarget, found: Found, words: _Words) -> list[str]:
    ours = {*config.columns, config.version_column}
    return [
        f'column "{column}" is NOT NULL without a default, and nothing is mapped to it:'
        f" add it to columns, or {words.default(column)}"
        for column in found.columns
        if column not in ours and not found.fills(column)
    ]
