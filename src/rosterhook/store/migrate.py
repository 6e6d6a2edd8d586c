"""Numbered migrations: each is one .sql file, applied once, recorded in the same transaction."""

from __future__ import annotations

from importlib import resources

import apsw

from rosterhook.errors import StoreError


def migrations(kind: str) -> list[tuple[int, str]]:
    """The migrations of the file `kind` ("inbox" or "state"): number and SQL, in order."""
    folder = resources.files("rosterhook.store") / "migrations" / kind
    files = sorted(entry.name for entry in folder.iterdir() if entry.name.endswith(".sql"))
    return [(int(name.split("_")[0]), (folder / name).read_text(encoding="utf-8")) for name in files]


def migrate(connection: apsw.Connection, kind: str) -> None:
    """Bring a database to the newest schema. Safe when several processes start at once.

    Raises:
        StoreError: a newer rosterhook has made the file.
    """
    known = migrations(kind)
    if schema_version(connection) == known[-1][0]:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY)")
        version = schema_version(connection)
        if version > known[-1][0]:
            raise StoreError(
                f"The {kind} store is of a newer rosterhook (schema {version}, known here: {known[-1][0]}).",
                hint="Install that version again, or give this one another data_dir.",
            )
        for number, sql in known:
            if number > version:
                connection.execute(sql)
                connection.execute("INSERT INTO migration (number) VALUES (?)", (number,))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def schema_version(connection: apsw.Connection) -> int:
    """The number of the last migration that was applied; 0 for an empty file."""
    found = connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'migration'").fetchone()
    if not found:
        return 0
    return int(connection.execute("SELECT coalesce(max(number), 0) FROM migration").get or 0)
