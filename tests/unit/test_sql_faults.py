"""A target that cannot be written at all: one error with its cure, never a secret and never a user's data."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import string
from pathlib import Path

import pytest
from pymysql.err import IntegrityError, OperationalError
from sql_helpers import config, opened, rows, run

from rosterhook.errors import ConfigError, TargetError
from rosterhook.model import Delivered, Park
from rosterhook.targets import sql_engine
from rosterhook.targets.registry import build_target
from rosterhook.targets.sql_errors import RowFault, explain
from rosterhook.testing import change_of


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("not an address hunter2", "no address of a database"),
        ("postgresql://u:hunter2@host:port/d", "no address of a database"),
        ("oracle://u:hunter2@host/d", 'starts with "oracle://"'),
        ("mysql://u:hunter2@host", "names no database"),
    ],
)
def test_a_bad_address_is_an_error_without_its_password(url: str, says: str) -> None:
    """An address that cannot work is refused at the start, and its password is not repeated."""
    with pytest.raises(ConfigError) as refused:
        build_target(config(url))
    assert says in str(refused.value)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("url", "driver"),
    [
        ("sqlite:///x.db", "aiosqlite"),
        ("postgres://h/d", "asyncpg"),
        ("postgresql+psycopg2://h/d?sslmode=require", "asyncpg"),
        ("mysql://h/d", "aiomysql"),
        ("mariadb://h/d?ssl=true", "aiomysql"),
    ],
)
def test_the_driver_is_picked(url: str, driver: str) -> None:
    """Whatever driver an address names, the asynchronous one is taken."""
    assert sql_engine.Database(url, "app").dialect.driver == driver


@pytest.mark.parametrize("product", ["postgresql", "mysql"])
async def test_nobody_answers(product: str) -> None:
    """A database that is down is one error that names the place, not the password."""
    async with opened(f"{product}://u:hunter2@127.0.0.1:1/d") as target:
        for call in (target.check(), target.deliver([change_of("u1")]), rows(target)):
            with pytest.raises(TargetError, match=r"127\.0\.0\.1:1/d\): the database cannot be reached") as failed:
                await call
            assert "Check that it runs" in failed.value.hint
            assert "hunter2" not in f"{failed.value!r} {failed.value} {failed.value.__cause__}"
        assert "hunter2" not in repr(target)


async def test_the_login_is_refused(postgres_url: str, mariadb_url: str) -> None:
    """A wrong password is told as such, without the password."""
    for url in (postgres_url, mariadb_url):
        wrong = url.replace("pg-and-maria-secret", "hunter2")
        async with opened(wrong) as target:
            with pytest.raises(TargetError, match="refuses the login") as failed:
                await target.check()
            assert failed.value.hint == "Check user and password in url."
            assert "hunter2" not in str(failed.value)


async def test_a_read_only_file(sqlite_url: str, tmp_path: Path) -> None:
    """A file of SQLite that may only be read can be shown, and check and deliver say what is wrong."""
    async with opened(sqlite_url) as target:
        await target.deliver([change_of("u1")])
    async with opened(f"sqlite:///file:{tmp_path}/new/users.db?mode=ro&uri=true") as target:
        with pytest.raises(TargetError, match="the database is read-only"):
            await target.deliver([change_of("u2")])
        assert "the database is read-only" in (await target.check()).problems[0]
        assert [row["id"] for row in await rows(target)] == ["u1"]


async def test_a_read_only_server(postgres_url: str, mariadb_url: str) -> None:
    """A server in read-only mode is an error for the whole call, and a problem of the check."""
    async with opened(postgres_url) as target:
        await target.deliver([change_of("u1")])
    await run(postgres_url, f"ALTER DATABASE {postgres_url.rpartition('/')[2]} SET default_transaction_read_only = on")
    await run(mariadb_url, "CREATE USER 'plain'@'%' IDENTIFIED BY 'x'", "GRANT SELECT ON *.* TO 'plain'@'%'")
    async with opened(mariadb_url) as target:
        await target.deliver([change_of("u1")])
    plain = f"mysql://plain:x@{mariadb_url.rpartition('@')[2]}"
    for url, says in ((postgres_url, "the database is read-only"), (plain, "may not write the table")):
        async with opened(url) as target:
            with pytest.raises(TargetError, match=says):
                await target.deliver([change_of("u2")])
            assert says in (await target.check()).problems[0]
            assert [row["id"] for row in await rows(target)] == ["u1"]
    await run(mariadb_url, "DROP USER 'plain'@'%'")


async def test_a_locked_file(sqlite_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While another program holds the write lock, the call fails as a whole and can be repeated."""
    monkeypatch.setattr(sql_engine, "SQLITE_BUSY_SECONDS", 0)
    async with opened(sqlite_url) as target:
        await target.deliver([change_of("u1")])
        other = sqlite3.connect(tmp_path / "new" / "users.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(TargetError, match="locked"):
            await target.deliver([change_of("u2")])
        other.close()
        assert await target.deliver([change_of("u2")]) == [Delivered()]


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    """A file of another kind is told as such."""
    (tmp_path / "x.db").write_text("not a database " * 100)
    async with opened(f"sqlite:///{tmp_path / 'x.db'}") as target:
        with pytest.raises(TargetError, match="the file is no database"):
            await target.check()


async def test_an_app_s_own_database_keeps_its_mode(sqlite_url: str, tmp_path: Path) -> None:
    """Writing to a file of SQLite changes neither its journal nor its foreign keys."""
    async with opened(sqlite_url) as target:
        await target.deliver([change_of("u1")])
    connection = sqlite3.connect(tmp_path / "new" / "users.db")
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()


async def test_a_table_that_vanished_is_made_again(any_url: str) -> None:
    """When the table is dropped under a running target, one call fails and the next one makes it."""
    async with opened(any_url) as target:
        await target.deliver([change_of("u1")])
        await run(any_url, "DROP TABLE users")
        with pytest.raises(TargetError, match="not what it was"):
            await target.deliver([change_of("u1")])
        assert await target.deliver([change_of("u1")]) == [Delivered()]


async def test_the_target_heals_after_a_lost_connection(postgres_url: str, mariadb_url: str) -> None:
    """Connections that the server ended are replaced without an error."""
    kill = {
        postgres_url: [
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND datname = current_database()"
        ],
        mariadb_url: [],
    }
    for url, statements in kill.items():
        async with opened(url) as target:
            await target.deliver([change_of("u1")])
            if not statements:
                ids = await run(
                    url, "SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()"
                )
                statements = [f"KILL {number}" for (number,) in ids]
            await run(url, *statements)
            assert await target.deliver([change_of("u2")]) == [Delivered()]


async def test_a_statement_that_takes_too_long(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A statement that waits for a lock of somebody else ends in an error, and nothing is written."""
    async with opened(postgres_url) as target:
        await target.deliver([change_of("u1", firstName="before")])
        other = sql_engine.Database(postgres_url, "other")
        async with other.writing() as connection:
            await sql_engine.execute(connection, sql_engine.sa.text("LOCK TABLE users"))
            monkeypatch.setattr(sql_engine, "STATEMENT_SECONDS", 0.2)
            with pytest.raises(TargetError, match="did not answer in time"):
                await target.deliver([change_of("u1", 2, firstName="after")])
        await other.aclose()
        assert (await rows(target))[0]["first_name"] == "before"


async def test_no_error_holds_a_user_s_data(any_url: str) -> None:
    """Neither a reason to park nor an error repeats a value of a user."""
    secret = "Xyzzy-0815"
    await run(
        any_url,
        "CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, email VARCHAR(100) UNIQUE CHECK (email <> 'Xyzzy-0815'),"
        " first_name VARCHAR(5), last_name INTEGER, rosterhook_version BIGINT)",
    )
    columns = {"id": "id", "email": "profile.email", "first_name": "profile.firstName", "last_name": "profile.lastName"}
    keep = {"deactivated": "keep", "suspended": "keep", "deleted": "keep"}
    async with opened(any_url, columns=columns, **keep) as target:
        short = {"firstName": "A", "lastName": 1}
        outcomes = await target.deliver(
            [
                change_of("u1", email=secret, **short),
                change_of("u2", **short | {"firstName": secret}),
                change_of("u3", **short | {"lastName": secret}),
                change_of("u4", email="same", **short),
            ]
        )
        outcomes += await target.deliver([change_of("u5", email="same", **short)])
        await run(any_url, "ALTER TABLE users RENAME TO others")
        with pytest.raises(TargetError) as failed:
            await target.deliver([change_of("u6", email=secret, **short)])
    assert [isinstance(outcome, Delivered) for outcome in outcomes] == [False, False, False, True, False]
    assert secret not in f"{outcomes} {failed.value!r} {failed.value}"
    assert "same" not in str(outcomes)


async def test_closing_while_nothing_runs_leaves_no_task(any_url: str) -> None:
    """After closing, no task of the target is left in the loop."""
    before = asyncio.all_tasks()
    async with opened(any_url) as target:
        await target.deliver([change_of("u1")])
    assert asyncio.all_tasks() == before


async def test_a_trigger_that_fails_over_one_row_parks_that_row(sqlite_url: str, postgres_url: str) -> None:
    """What an app's own trigger raises, in whatever code, is the fault of that row and of no other."""
    await run(
        postgres_url,
        "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT)",
        "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RAISE 'no %', new.email USING ERRCODE = 'U0001'; END $$",
        "CREATE TRIGGER no BEFORE INSERT ON users FOR EACH ROW WHEN (new.email = 'bad') EXECUTE FUNCTION no()",
    )
    await run(
        sqlite_url,
        "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT)",
        "CREATE TRIGGER no BEFORE INSERT ON users WHEN new.email = 'bad' BEGIN SELECT json(new.email); END",
    )
    columns = {"id": "id", "email": "profile.email"}
    keep = {"deactivated": "keep", "suspended": "keep", "deleted": "keep", "version_column": ""}
    for url in (sqlite_url, postgres_url):
        async with opened(url, columns=columns, **keep) as target:
            bad, good = await target.deliver([change_of("u1", email="bad"), change_of("u2")])
        assert bad == Park("the database refuses the row by a rule of its own")
        assert good == Delivered()


async def test_a_value_too_long_for_an_index_parks_its_user(postgres_url: str) -> None:
    """PostgreSQL's limit of an index is the fault of one long value, not of the whole target."""
    await run(postgres_url, "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT UNIQUE)")
    columns = {"id": "id", "email": "profile.email"}
    keep = {"deactivated": "keep", "suspended": "keep", "deleted": "keep", "version_column": ""}
    # Random, because what can be compressed would fit.
    long = "".join(random.Random(1).choices(string.ascii_letters, k=20_000))
    async with opened(postgres_url, columns=columns, **keep) as target:
        outcomes = await target.deliver([change_of("u1", email=long), change_of("u2")])
    assert [type(outcome) for outcome in outcomes] == [Park, Delivered]


def test_a_missing_certificate_is_an_error_of_the_configuration() -> None:
    """A file of authorities that is not there is told at the start."""
    with pytest.raises(ConfigError, match="Cannot read ssl_ca=/nowhere: No such file"):
        build_target(config("mysql://h/d?ssl_ca=/nowhere"))


async def test_a_setting_that_the_driver_refuses(postgres_url: str) -> None:
    """An option of the address that means nothing is told, as a fault of the connection."""
    async with opened(f"{postgres_url}?sslmode=perhaps") as target:
        with pytest.raises(TargetError, match="cannot be reached"):
            await target.check()


@pytest.mark.parametrize("number", [1064, 1205, 9999])
def test_a_message_that_quotes_the_statement_is_not_repeated(number: int) -> None:
    """MySQL's errors may quote the statement, values and all: of an unknown one only the number is told."""
    error = explain(OperationalError(number, "You have an error near 'Xyzzy-0815'"), "Target")
    assert isinstance(error, TargetError)
    assert f"(error {number})" in str(error)
    assert "Xyzzy" not in str(error)


def test_a_name_is_never_taken_out_of_a_value() -> None:
    """A user's value that looks like a part of the database's message is not taken for a column."""
    error = explain(IntegrityError(1062, "Duplicate entry 'for column `x`' for key 'users.email'"), "Target")
    assert isinstance(error, RowFault)
    assert error.subject == "users.email"
