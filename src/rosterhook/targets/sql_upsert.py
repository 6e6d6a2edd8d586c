"""The statements that write rows. Each refuses by itself what is older than the row it would change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection

from rosterhook.targets.sql_engine import execute
from rosterhook.targets.sql_table import Layout


@dataclass(frozen=True, slots=True)
class Write:
    """One user's row to write.

    Attributes:
        action: `put` the whole row, `mark` an existing row with `values` alone, or `drop` it.
        values: column to value, without key and version.
    """

    action: Literal["put", "mark", "drop"]
    key: str
    order: int
    values: dict[str, object] = field(default_factory=dict)


async def write(connection: AsyncConnection, layout: Layout, writes: Sequence[Write]) -> list[str]:
    """Write the rows in the open transaction.

    Returns:
        The keys whose row was not written, because another row holds one of its unique values. (Only MySQL
        tells it in this way; the others raise.)

    Raises:
        RowFault: at least one row is refused, which one is unknown.
    """
    # Every program that locks rows in one order avoids deadlocks with itself.
    ordered = sorted(writes, key=lambda one: one.key)
    by_action = {action: [one for one in ordered if one.action == action] for action in ("drop", "mark", "put")}
    # Drops first: a value that one user frees may be what another one takes.
    if drops := by_action["drop"]:
        await execute(connection, _drop(connection, layout), [_bound(layout, one) for one in drops])
    if marks := by_action["mark"]:
        statement = _update(connection, layout, marks[0])
        await execute(connection, statement, [_bound(layout, one) for one in marks])
    return await _put(connection, layout, by_action["put"]) if by_action["put"] else []


async def _put(connection: AsyncConnection, layout: Layout, puts: list[Write]) -> list[str]:
    name = connection.dialect.name
    # Without a version, an upsert of MySQL cannot tell afterwards whether it wrote into the right row.
    blind = name == "mysql" and layout.version is None and bool(layout.uniques)
    if blind or not layout.unique_key:
        await _update_or_insert(connection, layout, puts)
        return []
    rows = [_row(layout, one) for one in puts]
    if name != "mysql":
        await execute(connection, _upsert(connection, layout, rows[0]), rows)
        return []
    await _mysql_upsert(connection, layout, rows)
    return await _not_written(connection, layout, puts)


def _row(layout: Layout, one: Write) -> dict[str, object]:
    version = {layout.version.name: one.order} if layout.version is not None else {}
    return {layout.key.name: one.key, **one.values, **version}


def _bound(layout: Layout, one: Write) -> dict[str, object]:
    """Parameters of _drop and _update, under names that no column has."""
    bound: dict[str, object] = {"at key": one.key}
    if layout.version is not None:
        bound["at order"] = one.order
    return bound | {f"to {column}": value for column, value in one.values.items()}


def _same_key(connection: AsyncConnection, layout: Layout, key: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
    if connection.dialect.name != "mysql":
        return layout.key == key
    # MySQL's usual collations find "00uA" for "00ua", which is another user. The first comparison is there
    # for the index.
    return sa.and_(layout.key == key, sa.cast(layout.key, sa.BINARY) == sa.cast(key, sa.BINARY))


def _held(layout: Layout) -> sa.ColumnElement[int]:
    """The version of the row as it is; a row that rosterhook did not write may have none."""
    return sa.func.coalesce(layout.version, sa.literal_column("0"))


def _at(connection: AsyncConnection, layout: Layout) -> list[sa.ColumnElement[bool]]:
    same = _same_key(connection, layout, sa.bindparam("at key", type_=layout.key.type))
    if layout.version is None:
        return [same]
    return [same, _held(layout) <= sa.bindparam("at order", type_=sa.BigInteger())]


def _drop(connection: AsyncConnection, layout: Layout) -> sa.Delete:
    return sa.delete(layout.table).where(*_at(connection, layout))


def _update(connection: AsyncConnection, layout: Layout, one: Write) -> sa.Update:
    columns = layout.table.c
    values: dict[str, Any] = {name: sa.bindparam(f"to {name}", type_=columns[name].type) for name in one.values}
    if layout.version is not None:
        values[layout.version.name] = sa.bindparam("at order", type_=sa.BigInteger())
    return sa.update(layout.table).where(*_at(connection, layout)).values(values)


def _upsert(connection: AsyncConnection, layout: Layout, row: dict[str, object]) -> sa.Insert:
    """One row's upsert for PostgreSQL and SQLite; run for many, it is one round trip."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(layout.table)
    changed: dict[str, Any] = {name: statement.excluded[name] for name in row if name != layout.key.name}
    newer = None
    if layout.version is not None:
        newer = statement.excluded[layout.version.name] >= _held(layout)
    changed = changed or {layout.key.name: layout.key}
    upsert: sa.Insert = statement.on_conflict_do_update(index_elements=[layout.key], set_=changed, where=newer)
    return upsert


async def _mysql_upsert(connection: AsyncConnection, layout: Layout, rows: list[dict[str, object]]) -> None:
    statement = mysql_upsert(layout, list(rows[0]))
    if driver_makes_batches(connection.dialect):
        await execute(connection, statement, rows)
    else:
        await execute(connection, statement.values(rows))


def driver_makes_batches(dialect: Dialect) -> bool:
    """The driver makes one statement of many rows itself, but not with the `AS new` of newer MySQLs."""
    return bool(getattr(dialect, "is_mariadb", False))


def mysql_upsert(layout: Layout, columns: list[str]) -> mysql.Insert:
    """ON DUPLICATE KEY UPDATE with what it lacks: a condition.

    MySQL also takes this way when a row of *another* user has one of the unique values. So every assignment
    asks for the same key too, and such a row stays as it is.
    """
    statement = mysql.insert(layout.table)
    new = statement.inserted
    fits = sa.cast(layout.key, sa.BINARY) == sa.cast(new[layout.key.name], sa.BINARY)
    if layout.version is not None:
        fits = sa.and_(fits, new[layout.version.name] >= _held(layout))
    version = layout.version.name if layout.version is not None else None
    names = [name for name in columns if name not in (layout.key.name, version)]
    if version is not None:
        # Last, because MySQL assigns from left to right and reads what it has just assigned: after the
        # version, a condition compares the new version with itself, and holds by the luck of ">=" alone.
        names.append(version)
    assignments = [(name, sa.func.if_(fits, new[name], layout.table.c[name])) for name in names]
    same = [(layout.key.name, layout.key)]
    return statement.on_duplicate_key_update(assignments or same)


async def _not_written(connection: AsyncConnection, layout: Layout, puts: list[Write]) -> list[str]:
    """The keys that have no row, or an older one, right after their upsert."""
    version: sa.ColumnElement[Any] = layout.version if layout.version is not None else sa.null()
    query = sa.select(layout.key, version).where(layout.key.in_([one.key for one in puts]))
    held = {row[0]: row[1] for row in await execute(connection, query)}
    return [
        one.key
        for one in puts
        if one.key not in held or (layout.version is not None and (held[one.key] or 0) < one.order)
    ]


async def _update_or_insert(connection: AsyncConnection, layout: Layout, puts: list[Write]) -> None:
    """Write without an upsert, where the key is in several rows or MySQL's upsert cannot be trusted."""
    bound = [_bound(layout, one) for one in puts]
    if puts[0].values:
        await execute(connection, _update(connection, layout, puts[0]), bound)
    await execute(connection, _insert_absent(connection, layout, puts[0]), bound)


def _insert_absent(connection: AsyncConnection, layout: Layout, one: Write) -> sa.Insert:
    columns = layout.table.c
    key = sa.bindparam("at key", type_=layout.key.type)
    values = [sa.bindparam(f"to {name}", type_=columns[name].type) for name in one.values]
    there = sa.exists().where(_same_key(connection, layout, key)).correlate(None)
    row = sa.select(key, *values).where(~there)
    return sa.insert(layout.table).from_select([layout.key.name, *one.values], row)


def rehearse(layout: Layout) -> list[sa.Executable]:
    """Statements that touch no row, and fail where one that does would: read-only, or no right to write a column."""
    never = sa.false()
    written = {layout.key.name, *(field.column for field in layout.fields)}
    written |= {layout.version.name} if layout.version is not None else set()
    columns = [layout.table.c[name] for name in sorted(written)]
    return [
        sa.insert(layout.table).from_select([column.name for column in columns], sa.select(*columns).where(never)),
        sa.update(layout.table).where(never).values({column.name: column for column in columns}),
        sa.delete(layout.table).where(never),
    ]
