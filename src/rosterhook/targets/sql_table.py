"""The table of a SQL target: as it would be made, as it is found, and as statements use it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeEngine

from rosterhook.config import SqlTarget
from rosterhook.errors import ConfigError
from rosterhook.mapping import reader
from rosterhook.targets.sql_alike import alike_for
from rosterhook.targets.sql_values import Field, Unsupported, converter

# MySQL's TEXT ends at 64 KiB.
_LONG_TEXT = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
# Okta's ids differ by case alone; MySQL's usual collations do not tell those apart.
_KEY = sa.String(64).with_variant(mysql.VARCHAR(64, collation="utf8mb4_bin"), "mysql", "mariadb")


@dataclass(frozen=True, slots=True)
class Found:
    """A table as the database describes it.

    Attributes:
        columns: name to SQLAlchemy's description of the column.
        primary: names of the primary key's columns.
        uniques: every other unique index or constraint, its name to its columns.
    """

    columns: Mapping[str, Any]
    primary: tuple[str, ...]
    uniques: Mapping[str, tuple[str, ...]]

    def is_unique(self, column: str) -> bool:
        """Tell whether no two rows can have the same value in `column`."""
        return (column,) in (self.primary, *self.uniques.values())

    def place(self, key: str) -> str:
        """The column to page by: a primary key of one column, or else the key."""
        return self.primary[0] if len(self.primary) == 1 else key

    def fills(self, column: str) -> bool:
        """Tell whether the database itself puts a value into `column` when an insert names none."""
        about = self.columns[column]
        if about["nullable"] or about.get("default") is not None:
            return True
        if about.get("computed") or about.get("identity") or about.get("autoincrement") is True:
            return True
        # SQLite numbers its rows in such a column.
        return self.primary == (column,) and type(about["type"]) is sa.INTEGER


@dataclass(frozen=True, slots=True)
class Layout:
    """A table that is fit to be written.

    Attributes:
        table: the columns that statements name: primary key, mapped columns, version.
        key: the column with Okta's id.
        version: the column that keeps an older write from winning; None without one.
        place: a column to page by.
        unique_key: the key column is unique, so that an upsert is possible.
        shown: names of the columns of a snapshot, in order.
        uniques: the unique indexes beside that of the key.
    """

    table: sa.Table
    key: sa.Column[Any]
    version: sa.Column[Any] | None
    place: sa.Column[Any]
    unique_key: bool
    shown: tuple[str, ...]
    fields: tuple[Field, ...]
    uniques: Mapping[str, tuple[str, ...]]

    def columns_of(self, subject: str) -> tuple[str, ...]:
        """The columns of the unique index that a database named by name, or by its columns as SQLite does."""
        name = subject.rpartition(".")[2]
        if name in self.uniques:
            return self.uniques[name]
        return tuple(part.rpartition(".")[2] for part in subject.split(", ") if part)


def split_name(config: SqlTarget, dialect: Dialect) -> tuple[str | None, str]:
    """Schema and name of the table.

    Raises:
        ConfigError: the database has no such names.
    """
    schema, _, name = config.table.rpartition(".")
    if "." in schema or not name or (schema == "" and "." in config.table):
        raise ConfigError(f'table "{config.table}" of target "{config.name}" is not schema.table.')
    if schema and dialect.name == "sqlite":
        raise ConfigError(
            f'table "{config.table}" of target "{config.name}" names a schema, which SQLite has not.',
            hint=f'Write table = "{name}".',
        )
    return schema or None, name


def planned(config: SqlTarget, dialect: Dialect) -> sa.Table:
    """The table as rosterhook makes it; nothing that Okta holds is too long for it."""
    schema, name = split_name(config, dialect)
    table = sa.Table(name, sa.MetaData(), schema=schema, mysql_charset="utf8mb4")
    for column, path in config.columns.items():
        table.append_column(sa.Column(column, planned_type(path), primary_key=path == "id"))
    if config.version_column:
        table.append_column(version_column(config.version_column))
    return table


def planned_type(path: str) -> TypeEngine[str]:
    """The type of a column that rosterhook makes for an attribute."""
    if path == "id":
        return _KEY
    return sa.String(32) if path == "status" else _LONG_TEXT


def version_column(name: str) -> sa.Column[int]:
    """The column that keeps an older write from winning."""
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def has_schema(connection: sa.Connection, schema: str | None) -> bool:
    """Tell whether a schema exists; None is the connection's own."""
    return schema is None or schema in sa.inspect(connection).get_schema_names()


def find(connection: sa.Connection, schema: str | None, name: str) -> Found | None:
    """Describe a table; None when it is absent."""
    inspector = sa.inspect(connection)
    if connection.dialect.name == "sqlite":
        # SQLite finds "Users" as "users" too, but describes it by its own spelling alone.
        name = next((table for table in inspector.get_table_names() if table.lower() == name.lower()), name)
    if not inspector.has_table(name, schema=schema):
        return None
    columns = {column["name"]: column for column in inspector.get_columns(name, schema=schema)}
    primary = tuple(inspector.get_pk_constraint(name, schema=schema)["constrained_columns"])
    # SQLite hides the indexes behind UNIQUE in a CREATE TABLE unless it is asked for them.
    options = {"include_auto_indexes": True} if connection.dialect.name == "sqlite" else {}
    uniques = {
        str(index["name"]): tuple(str(column) for column in index["column_names"])
        for index in inspector.get_indexes(name, schema=schema, **options)
        if index["unique"] and _is_whole(index)
    }
    return Found(columns, primary, uniques)


def _is_whole(index: Any) -> bool:
    """A partial index, or one of expressions, allows the same value twice."""
    options = index.get("dialect_options", {})
    partial = any(name.endswith("_where") and value is not None for name, value in options.items())
    return not partial and None not in index["column_names"]


def layout(config: SqlTarget, found: Found, dialect: Dialect) -> Layout:
    """The found table as statements use it. It has every mapped column; to be written, it was checked too."""
    schema, name = split_name(config, dialect)
    version = config.version_column if config.version_column in found.columns else None
    place = found.place(config.key_column)
    shown = (*(c for c in found.primary if c not in config.columns and c != version), *config.columns)
    table = sa.Table(name, sa.MetaData(), schema=schema)
    for column in (*shown, *([version] if version else [])):
        table.append_column(sa.Column(column, _statement_type(found.columns[column]["type"], dialect)))
    return Layout(
        table=table,
        key=table.c[config.key_column],
        version=table.c[version] if version else None,
        place=table.c[place],
        unique_key=found.is_unique(config.key_column),
        shown=shown,
        fields=tuple(fields(config, found, dialect)),
        uniques={k: v for k, v in found.uniques.items() if v != (config.key_column,)},
    )


def fields(config: SqlTarget, found: Found, dialect: Dialect) -> list[Field]:
    """Every mapped column that the table has and rosterhook can write."""
    return [
        field
        for column, path in config.columns.items()
        if column in found.columns and (field := _field(column, path, found, dialect)) is not None
    ]


def _field(column: str, path: str, found: Found, dialect: Dialect) -> Field | None:
    about = found.columns[column]
    try:
        convert = converter(about["type"], dialect)
    except Unsupported:
        return None
    name = type_name(about["type"], dialect)
    return Field(column, path, reader(path), name, bool(about["nullable"]), convert, alike_for(about["type"], dialect))


def type_name(kind: TypeEngine[Any], dialect: Dialect) -> str:
    """A type as the database writes it."""
    if isinstance(kind, sa.types.NullType):
        return "of no type" if dialect.name == "sqlite" else "of a type of its own"
    return re.sub(r" (COLLATE|CHARACTER SET) .*", "", str(kind.compile(dialect=dialect)))


def _statement_type(kind: TypeEngine[Any], dialect: Dialect) -> TypeEngine[Any]:
    if dialect.name == "sqlite":
        # Written by other programs, a column of SQLite holds anything: it is read as it is.
        return sa.types.NullType()
    if isinstance(kind, sa.JSON):
        # Without this, a user who lacks the attribute gets JSON's null instead of SQL's.
        return type(kind)(none_as_null=True)
    return kind
