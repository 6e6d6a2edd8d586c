"""What `check` says of a database whose user may not do what a target needs; it goes on writing nothing."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from sql_helpers import opened, run

from rosterhook.errors import TargetError
from rosterhook.model import Delivered
from rosterhook.testing import change_of


def as_user(url: str, user: str) -> str:
    """The address of the same database for another user."""
    scheme, _, place = url.partition("://")
    return f"{scheme}://{user}:x@{place.rpartition('@')[2]}"


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def problems(url: str, **settings: str) -> list[str]:
    async with opened(url, **settings) as target:
        return (await target.check()).problems


async def tables(url: str, schema: str) -> list[tuple[str, ...]]:
    return await run(url, f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'")


async def test_who_may_not_create_in_postgresql_reads_the_grant(postgres_url: str) -> None:
    """From PostgreSQL 15 on nobody may make a table in public: the cure is one statement, and it cures."""
    await run(postgres_url, "CREATE USER app PASSWORD 'x'", "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    url = as_user(postgres_url, "app")
    try:
        [problem] = await problems(url)
        assert problem == "user app may not make tables in schema public: run GRANT CREATE ON SCHEMA public TO app;"
        await run(postgres_url, problem.partition(": run ")[2])
        assert await problems(url) == []
        assert await tables(postgres_url, "public") == []
        async with opened(url) as target:
            assert await target.deliver([change_of("u1")]) == [Delivered()]
    finally:
        await run(postgres_url, "DROP OWNED BY app CASCADE", "DROP USER app")


async def test_a_read_only_server_makes_no_table(postgres_url: str) -> None:
    """Where the right is there, but the server takes no write, that is the problem."""
    await run(postgres_url, f"ALTER DATABASE {postgres_url.rpartition('/')[2]} SET default_transaction_read_only = on")
    [problem] = await problems(postgres_url)
    assert "the database is read-only" in problem


async def test_a_schema_is_asked_by_its_name(postgres_url: str) -> None:
    """A table with its schema needs the right in that schema, whose name is quoted where it must be."""
    await run(postgres_url, "CREATE USER \"App\" PASSWORD 'x'", 'CREATE SCHEMA "Own"')
    try:
        [problem] = await problems(as_user(postgres_url, "App"), table="Own.users")
        assert problem.endswith('run GRANT CREATE ON SCHEMA "Own" TO "App";')
    finally:
        await run(postgres_url, 'DROP USER "App"')


@pytest.mark.parametrize("lacks", ["INSERT", "UPDATE", "DELETE"])
async def test_a_right_on_a_found_table_is_asked_for(postgres_url: str, lacks: str) -> None:
    """Of a table that is there, each right is tried; the cure names table and user, and cures."""
    async with opened(postgres_url) as target:
        await target.deliver([change_of("u1")])
    rights = ", ".join({"SELECT", "INSERT", "UPDATE", "DELETE"} - {lacks})
    await run(postgres_url, "CREATE USER app PASSWORD 'x'", f"GRANT {rights} ON users TO app")
    try:
        [problem] = await problems(as_user(postgres_url, "app"))
        assert problem.endswith(": run GRANT SELECT, INSERT, UPDATE, DELETE ON users TO app;")
        await run(postgres_url, problem.partition(": run ")[2])
        assert await problems(as_user(postgres_url, "app")) == []
    finally:
        await run(postgres_url, "DROP OWNED BY app CASCADE", "DROP USER app")


async def test_a_column_that_may_not_be_written_is_found(postgres_url: str) -> None:
    """Rights on some columns alone are not enough: every mapped column is tried."""
    async with opened(postgres_url) as target:
        await target.deliver([change_of("u1")])
    await run(postgres_url, "CREATE USER app PASSWORD 'x'", "GRANT SELECT, INSERT, DELETE, UPDATE (id) ON users TO app")
    try:
        assert len(await problems(as_user(postgres_url, "app"))) == 1
    finally:
        await run(postgres_url, "DROP OWNED BY app CASCADE", "DROP USER app")


@pytest.mark.parametrize(
    ("rights", "lacking"),
    [
        ("SELECT, INSERT, UPDATE, DELETE", "CREATE"),
        ("CREATE, SELECT", "INSERT, UPDATE, DELETE"),
        ("CREATE, SELECT, INSERT, UPDATE", "DELETE"),
        ("CREATE, SELECT, INSERT, UPDATE, DELETE", ""),
    ],
)
async def test_who_may_not_create_in_mariadb_reads_the_grant(mariadb_url: str, rights: str, lacking: str) -> None:
    """Each right that is missing is named, the cure is one statement that cures, and no table is left behind."""
    name = mariadb_url.rpartition("/")[2]
    await run(mariadb_url, "CREATE USER app@'%' IDENTIFIED BY 'x'", f"GRANT {rights} ON {name}.* TO app@'%'")
    url = as_user(mariadb_url, "app")
    try:
        found = await problems(url)
        if lacking:
            cure = "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON users TO 'app'@'%';"
            assert found == [f"the database user may not {lacking} table users: run {cure}"]
            await run(mariadb_url, cure)
        assert await problems(url) == []
        assert await tables(mariadb_url, name) == []
        async with opened(url) as target:
            assert await target.deliver([change_of("u1")]) == [Delivered()]
    finally:
        await run(mariadb_url, "DROP USER app@'%'")


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no file, not even of root")
async def test_a_file_that_cannot_be_made_is_a_problem() -> None:
    """A folder that takes no file is named, whoever asks; what a write would meet is the same."""
    url = "sqlite:////proc/nobody/users.db"
    [problem] = await problems(url)
    assert problem.startswith("/proc/nobody/users.db cannot be made: /proc: ")
    async with opened(url) as target:
        with pytest.raises(TargetError):
            await target.deliver([change_of("u1")])


async def test_a_folder_that_is_absent_will_be_made(tmp_path: Path) -> None:
    """A first write makes the folder too, so that nothing is wrong; the check itself makes neither."""
    url = f"sqlite:///{tmp_path}/a/b/users.db"
    assert await problems(url) == []
    assert names(tmp_path) == []
    async with opened(url) as target:
        assert await target.deliver([change_of("u1")]) == [Delivered()]


async def test_a_file_without_the_table_is_tried(tmp_path: Path) -> None:
    """An app's file gets the table only where it can be written; a check leaves it byte for byte as it was."""
    file = tmp_path / "app.db"
    with sqlite3.connect(file) as db:
        db.execute("CREATE TABLE other (a)")
    db.close()
    before = file.read_bytes()
    assert await problems(f"sqlite:///{file}") == []
    assert (file.read_bytes(), names(tmp_path)) == (before, ["app.db"])
    [problem] = await problems(f"sqlite:///file:{file}?mode=ro&uri=true")
    assert "the database is read-only" in problem


async def test_a_database_that_is_absent_is_told_with_its_cure(postgres_url: str, mariadb_url: str) -> None:
    """No such database: the command that makes it."""
    for url, cure in ((postgres_url, "createdb nodb"), (mariadb_url, "CREATE DATABASE nodb;")):
        with pytest.raises(TargetError, match="there is no such database") as failed:
            await problems(f"{url.rpartition('/')[0]}/nodb")
        assert failed.value.hint == f"Create it: {cure}"
