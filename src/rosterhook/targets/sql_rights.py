"""Whether the database's user may make a table, and the GRANT that is missing. Leaves nothing behind."""

from __future__ import annotations

import secrets
import tempfile
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from rosterhook.errors import TargetError
from rosterhook.targets.sql_engine import Database, execute, in_sync
from rosterhook.targets.sql_errors import MYSQL, Kind

ON_ROWS = "SELECT, INSERT, UPDATE, DELETE"
#: Privileges are looked at before the table is: without one, another error than "no such table" comes.
_OF_MYSQL = (
    "CREATE TABLE {table} LIKE {absent}",
    "INSERT INTO {table} SELECT * FROM {table} WHERE FALSE",
    "UPDATE {table} SET {key} = {key} WHERE FALSE",
    "DELETE FROM {table} WHERE FALSE",
)


async def problems_of_making(database: Database, table: sa.Table, key: str) -> list[str]:
    """What hinders making an absent table; empty when nothing does.

    Args:
        table: as it would be made; its schema exists.
        key: name of the column with Okta's id.

    Raises:
        TargetError: the database cannot be reached.
    """
    if not database.exists():
        return _problems_of_file(database.file) if database.file is not None else []
    try:
        if database.dialect.name == "mysql":
            return await _problems_in_mysql(database, table, key)
        if database.dialect.name == "postgresql" and (problem := await _problem_of_schema(database, table.schema)):
            return [problem]
        return await _problems_of_rehearsal(database, table)
    except TargetError as error:
        return [str(error)]


async def grant(database: Database, table: sa.Table, rights: str = ON_ROWS) -> str:
    """The statement that gives the connected user rights on a table.

    Raises:
        TargetError: the database cannot be reached.
    """
    async with database.reading() as connection:
        return await _grant(connection, table, rights)


async def _grant(connection: AsyncConnection, table: sa.Table, rights: str) -> str:
    name = connection.dialect.identifier_preparer.format_table(table)
    user = str((await execute(connection, sa.text("SELECT CURRENT_USER"))).scalar_one())
    if connection.dialect.name == "mysql":
        who, _, host = user.rpartition("@")
        return f"GRANT {rights} ON {name} TO '{who}'@'{host}';"
    return f"GRANT {rights} ON {name} TO {connection.dialect.identifier_preparer.quote(user)};"


def _problems_of_file(file: Path) -> list[str]:
    """A first write makes the folder too: what counts is the nearest one that is there."""
    folder = file.absolute().parent
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        # In most file systems such a file never gets a name.
        with tempfile.TemporaryFile(dir=there):
            return []
    except OSError as error:
        return [f"{file} cannot be made: {there}: {error.strerror}. Name another file in url, or mend the folder."]


async def _problem_of_schema(database: Database, schema: str | None) -> str:
    query = sa.text(
        "SELECT s, current_user, has_schema_privilege(s, 'CREATE') FROM (SELECT coalesce(:schema, current_schema()) s)"
        " AS one WHERE s IS NOT NULL"
    ).bindparams(sa.bindparam("schema", schema, type_=sa.Text()))
    quote = database.dialect.identifier_preparer.quote
    async with database.reading() as connection:
        found = (await execute(connection, query)).one_or_none()
    if found is None:
        return "there is no schema to make the table in: name one, as schema.table, or run CREATE SCHEMA public;"
    name, user, may = (str(found[0]), str(found[1]), bool(found[2]))
    if may:
        return ""
    return (
        f"user {user} may not make tables in schema {name}: run GRANT CREATE ON SCHEMA {quote(name)} TO {quote(user)};"
    )


async def _problems_of_rehearsal(database: Database, table: sa.Table) -> list[str]:
    """SQLite and PostgreSQL undo a CREATE TABLE with its transaction."""
    async with database.altering() as connection:
        await in_sync(connection, lambda c: table.metadata.create_all(c, checkfirst=False))
        await connection.rollback()
    return []


async def _problems_in_mysql(database: Database, table: sa.Table, key: str) -> list[str]:
    """MySQL cannot undo a CREATE TABLE: each right is asked for by a statement that cannot succeed."""
    preparer = database.dialect.identifier_preparer
    absent = sa.Table(f"rosterhook_{secrets.token_hex(16)}", sa.MetaData(), schema=table.schema)
    names = {"table": preparer.format_table(table), "key": preparer.quote(key), "absent": preparer.format_table(absent)}
    async with database.altering() as connection:
        refused = [verb for verb in _OF_MYSQL if await _is_refused(connection, verb.format(**names))]
        if not refused:
            return []
        cure = await _grant(connection, table, f"CREATE, {ON_ROWS}")
    verbs = ", ".join(verb.partition(" ")[0] for verb in refused)
    return [f"the database user may not {verbs} table {names['table']}: run {cure}"]


async def _is_refused(connection: AsyncConnection, statement: str) -> bool:
    try:
        await execute(connection, sa.text(statement))
    except DBAPIError as error:
        number = error.orig.args[0] if error.orig is not None and error.orig.args else None
        kind = MYSQL.get(number) if isinstance(number, int) else None
        if kind is Kind.TABLE:
            return False
        if kind is Kind.FORBIDDEN:
            return True
        raise
    return False
