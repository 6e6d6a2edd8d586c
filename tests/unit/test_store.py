"""The own store: group commit, isolation of one work from another, migrations, named statements."""

from __future__ import annotations

import asyncio
import re
import threading
from pathlib import Path

import apsw
import pytest

from rosterhook.errors import StoreError
from rosterhook.store import queries
from rosterhook.store.database import Database
from rosterhook.store.migrate import migrate, migrations, schema_version

NOTE = "INSERT INTO note (org, name, value, at_ms) VALUES ('o', ?, '', 0)"


@pytest.fixture
async def database(tmp_path: Path):
    database = Database(tmp_path / "state.db", "state", busy_ms=100)
    yield database
    await database.close()


def user_row(user_id: str, *, digest: str, body: str = "{}") -> dict[str, object]:
    """What `save_user` takes."""
    stamps = {"last_updated_ms": 0, "now": 0, "deleted_ms": None}
    listed = {"mark": 0, "listed_digest": None, "listed_version": None}
    user = {"org": "o", "id": user_id, "version": 3, "digest": digest, "status": "ACTIVE", "body": body}
    return {**user, **stamps, **listed}


def notes(db: apsw.Connection) -> list[str]:
    return [name for (name,) in db.execute("SELECT name FROM note ORDER BY name")]


async def test_waiting_works_share_one_commit(database: Database) -> None:
    """Everything that waits while the writer is busy is committed at once."""
    commits: list[int] = []
    held, free = threading.Event(), threading.Event()

    def hold(db: apsw.Connection) -> None:
        db.set_commit_hook(lambda: commits.append(1) is not None)
        held.set()
        free.wait(5)

    first = asyncio.create_task(database.write(hold))
    await asyncio.to_thread(held.wait, 5)
    others = [asyncio.create_task(database.write(lambda db, n=n: db.execute(NOTE, (f"{n:03}",)))) for n in range(100)]
    await asyncio.sleep(0)
    free.set()
    await asyncio.gather(first, *others)
    assert len(await database.read(notes)) == 100
    assert len(commits) <= 2


async def test_failing_work_undoes_only_itself(database: Database) -> None:
    """A work that raises leaves nothing behind, and its neighbours in the same transaction are kept."""

    def broken(db: apsw.Connection) -> None:
        db.execute(NOTE, ("broken",))
        raise ValueError("no")

    results = await asyncio.gather(
        database.write(lambda db: db.execute(NOTE, ("a",)) and None),
        database.write(broken),
        database.write(lambda db: db.execute(NOTE, ("b",)) and None),
        return_exceptions=True,
    )
    assert isinstance(results[1], ValueError)
    assert await database.read(notes) == ["a", "b"]


async def test_locked_store_is_an_error_with_a_cure_and_heals(database: Database) -> None:
    """A store that another process has locked raises StoreError; when the lock goes, writing works again."""
    other = apsw.Connection(str(database.path))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="long write transaction"):
        await database.write(lambda db: db.execute(NOTE, ("a",)))
    other.execute("ROLLBACK")
    other.close()
    await database.write(lambda db: db.execute(NOTE, ("a",)) and None)
    assert await database.read(notes) == ["a"]


async def test_full_store_is_an_error_and_nothing_is_stored(database: Database) -> None:
    """A disk without room raises StoreError, and the store is as it was."""
    await database.write(lambda db: db.execute("PRAGMA max_page_count = 40") and None)
    big = "x" * 1_000_000
    with pytest.raises(StoreError, match="disk is full"):
        await database.write(lambda db: db.execute(NOTE.replace("''", "?"), ("a", big)))
    assert await database.read(notes) == []
    await database.write(lambda db: db.execute(NOTE, ("b",)) and None)
    assert await database.read(notes) == ["b"]


async def test_write_after_close_is_refused(tmp_path: Path) -> None:
    """A closed store takes nothing; closing twice is harmless."""
    database = Database(tmp_path / "state.db", "state")
    await database.close()
    await database.close()
    with pytest.raises(StoreError, match="closed"):
        await database.write(lambda db: None)


@pytest.mark.parametrize("where", ["file", "folder"])
def test_unusable_data_dir_is_an_error_that_names_it(tmp_path: Path, where: str) -> None:
    """A data_dir that is a file, or a store that is no database, is named with a cure and no traceback of SQLite."""
    path = tmp_path / "data"
    if where == "file":
        path.write_text("x")
    else:
        path.mkdir()
        (path / "state.db").write_bytes(b"not a database at all" * 1000)
    with pytest.raises(StoreError, match=str(path)):
        Database(path / "state.db", "state")


def test_store_of_a_newer_release_is_refused(tmp_path: Path) -> None:
    """A store with a newer schema than this release knows is left alone."""
    connection = apsw.Connection(str(tmp_path / "state.db"))
    migrate(connection, "state")
    connection.execute("INSERT INTO migration VALUES (9999)")
    with pytest.raises(StoreError, match="newer rosterhook"):
        migrate(connection, "state")


def test_failed_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that fails is undone as a whole, with its record."""
    real = migrations("state")
    broken = [*real, (real[-1][0] + 1, "CREATE TABLE half (a); SELECT nonsense FROM nowhere;")]
    connection = apsw.Connection(str(tmp_path / "state.db"))
    monkeypatch.setattr("rosterhook.store.migrate.migrations", lambda kind: broken)
    with pytest.raises(apsw.SQLError):
        migrate(connection, "state")
    assert schema_version(connection) == 0
    assert connection.execute("SELECT count(*) FROM sqlite_schema").get == 0


def test_every_statement_is_used_and_compiles(tmp_path: Path) -> None:
    """sql/ holds no statement that nobody runs, none that SQLite cannot read, and each that is asked for."""
    source = Path(queries.__file__).parents[1]
    code = "".join(path.read_text() for path in source.rglob("*.py"))
    used = {name for name in queries.names() if f'"{name}"' in code}
    assert used == set(queries.names())
    for kind in ("inbox", "state"):
        connection = apsw.Connection(str(tmp_path / f"{kind}.db"))
        migrate(connection, kind)
    connection.execute("ATTACH ? AS inbox", (str(tmp_path / "inbox.db"),))
    for name in queries.names():
        sql = queries.query(name).replace("sqlite_sequence", "inbox.sqlite_sequence")
        values = dict.fromkeys(re.findall(r":(\w+)", sql)) if ":" in sql else [None] * sql.count("?")
        connection.execute(f"EXPLAIN {sql}", values).fetchall()


@pytest.mark.parametrize("count", [0, 1, 9, 10, 49, 50, 51, 123])
def test_many_rows_are_as_one_each(count: int) -> None:
    """However many rows there are, one of each is stored and found; one that comes twice counts as if it came later."""
    db = apsw.Connection(":memory:")
    migrate(db, "state")
    rows = [user_row(f"u{number}", digest=f"d{number}") for number in range(count)]
    queries.run_many(db, "save_user", [*rows, *({**row, "digest": "later"} for row in rows[:1])])
    found = dict(db.execute('SELECT id, digest FROM "user"').fetchall())
    assert found == {row["id"]: row["digest"] for row in rows} | {row["id"]: "later" for row in rows[:1]}
    asked = [{"org": "o", "id": f"u{number}"} for number in range(count + 5)]
    assert sorted(row[:2] for row in queries.rows_many(db, "find_digests", asked)) == sorted(
        (row["id"], 3) for row in rows
    )


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the open files of a process are asked of Linux")
@pytest.mark.parametrize("together", [1, 2])
async def test_nothing_is_written_beside_the_store(database: Database, together: int) -> None:
    """While very many users change at once, alone or beside another work, no page of theirs goes into another file."""

    def open_files() -> set[str]:
        return {str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()}

    def save(db: apsw.Connection, digest: str) -> set[str]:
        rows = [user_row(f"u{number}", digest=digest, body="x" * 1000) for number in range(1000)]
        queries.run_many(db, "save_user", rows)
        return open_files()

    before = open_files()
    await database.write(lambda db: save(db, "before"))
    during = await asyncio.gather(*(database.write(lambda db, n=n: save(db, f"{n}")) for n in range(together)))
    assert set().union(*during) - before == set()
