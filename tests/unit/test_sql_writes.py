"""Writes that a database refuses in part: only the culprit is parked, nobody else's row is touched."""

from __future__ import annotations

import asyncio

import pytest
import sqlalchemy as sa
from sql_helpers import config, opened, rows, run
from sqlalchemy.dialects import mysql

from rosterhook.model import Change, Delivered, Park
from rosterhook.targets import sql_upsert
from rosterhook.targets.sql_table import Found, layout
from rosterhook.testing import change_of, deletion_of, user_of

COLUMNS = {"id": "id", "email": "profile.email", "age": "profile.age"}
KEEP = {"columns": COLUMNS, "deactivated": "keep", "suspended": "keep", "deleted": "delete"}
TABLE = (
    "CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, email VARCHAR(100) UNIQUE, age INT CHECK (age < 200),"
    " rosterhook_version BIGINT)"
)
#: The unique e-mail comes before the key: MySQL's upsert then finds the other user's row first.
EMAIL_FIRST = (
    "CREATE TABLE users (email VARCHAR(100) NOT NULL, id VARCHAR(64) NOT NULL, age INT, rosterhook_version BIGINT,"
    " UNIQUE (email), UNIQUE (id))"
)
TAKEN = Park('"email" is taken by another row of the table: free it there, or change the user')


@pytest.mark.parametrize("ddl", [TABLE, EMAIL_FIRST], ids=["key first", "email first"])
@pytest.mark.parametrize("version", ["rosterhook_version", ""], ids=["version", "no version"])
async def test_a_unique_value_of_another_row(any_url: str, ddl: str, version: str) -> None:
    """Who has another row's unique value is parked, new or not, and that other row stays as it is."""
    await run(any_url, ddl)
    async with opened(any_url, version_column=version, **KEEP) as target:
        before = [change_of("a", email="a@x"), change_of("b", email="b@x")]
        assert await target.deliver(before) == [Delivered()] * 2
        thieves = [change_of("b", 2, email="a@x", age=2), change_of("c", 2, email="a@x"), change_of("d", email="d@x")]
        assert await target.deliver(thieves) == [TAKEN, TAKEN, Delivered()]
        held = {row["id"]: (row["email"], row["age"]) for row in await rows(target)}
    assert held == {"a": ("a@x", None), "b": ("b@x", None), "d": ("d@x", None)}


async def test_a_value_that_is_freed_in_the_same_call(any_url: str) -> None:
    """A unique value may go from one user to the next in one call, by a change, by a chain, or by a deletion."""
    await run(any_url, TABLE)
    async with opened(any_url, **KEEP) as target:
        await target.deliver([change_of(name, email=f"{name}@x") for name in "abcz"])
        moved = [change_of("a", 2, email="b@x"), change_of("b", 2, email="c@x"), change_of("c", 2, email="new@x")]
        moved += [change_of("d", email="z@x"), deletion_of("z", 2)]
        assert await target.deliver(moved) == [Delivered()] * 5
        held = {row["id"]: row["email"] for row in await rows(target)}
    assert held == {"a": "b@x", "b": "c@x", "c": "new@x", "d": "z@x"}


async def test_two_users_who_swap_are_parked(any_url: str) -> None:
    """Two users who swap a unique value cannot be written one after the other: both wait, both rows stay."""
    await run(any_url, TABLE)
    async with opened(any_url, **KEEP) as target:
        await target.deliver([change_of("a", email="a@x"), change_of("b", email="b@x")])
        swap = [change_of("a", 2, email="b@x"), change_of("b", 2, email="a@x")]
        assert await target.deliver(swap) == [TAKEN, TAKEN]
        assert {row["id"]: row["email"] for row in await rows(target)} == {"a": "a@x", "b": "b@x"}


async def test_a_rule_of_the_table_parks_only_its_culprits(any_url: str) -> None:
    """Of a batch with rows that a CHECK refuses, all others are written; the reason holds no value."""
    await run(any_url, TABLE)
    changes = [change_of(f"u{n}", age=n) for n in range(190, 210)]
    async with opened(any_url, **KEEP) as target:
        outcomes = await target.deliver(changes)
        assert [isinstance(outcome, Park) for outcome in outcomes] == [n >= 200 for n in range(190, 210)]
        assert len(await rows(target)) == 10
    (why,) = {outcome.why for outcome in outcomes if isinstance(outcome, Park)}
    assert why.startswith("the database refuses the row by a rule of its own")
    assert "20" not in why


async def test_a_value_that_the_column_cannot_hold(any_url: str) -> None:
    """A value of the wrong kind parks its user before anything is written."""
    await run(any_url, TABLE)
    async with opened(any_url, **KEEP) as target:
        outcomes = await target.deliver([change_of("u1", age="old"), change_of("u2", age="41")])
        assert isinstance(outcomes[0], Park)
        assert outcomes[0].why.endswith("cannot hold profile.age: it is text")
        assert [(row["id"], row["age"]) for row in await rows(target)] == [("u2", 41)]


async def test_a_row_that_others_refer_to_is_not_deleted(postgres_url: str, mariadb_url: str) -> None:
    """A foreign key that forbids a deletion parks that user, and the rest is deleted."""
    for url in (postgres_url, mariadb_url):
        await run(
            url,
            TABLE,
            "CREATE TABLE orders (user_id VARCHAR(64), CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users(id))",
        )
        async with opened(url, **KEEP) as target:
            await target.deliver([change_of("a"), change_of("b")])
            await run(url, "INSERT INTO orders VALUES ('a')")
            kept, gone = await target.deliver([deletion_of("a", 2), deletion_of("b", 2)])
            assert kept == Park("the database refuses the row by a rule of its own (fk_user)")
            assert gone == Delivered()
            assert [row["id"] for row in await rows(target)] == ["a"]


async def test_keys_that_differ_by_case_are_two_users(mariadb_url: str) -> None:
    """Under MySQL's usual collation a key of another case is another user: parked, never overwritten or deleted."""
    await run(mariadb_url, TABLE)
    async with opened(mariadb_url, **KEEP) as target:
        await target.deliver([change_of("00uA", email="1@x")])
        (outcome,) = await target.deliver([change_of("00ua", 5, email="2@x")])
        assert isinstance(outcome, Park)
        await target.deliver([deletion_of("00ua", 9)])
        assert [(row["id"], row["email"]) for row in await rows(target)] == [("00uA", "1@x")]


async def test_a_row_without_a_version_is_older_than_any(any_url: str) -> None:
    """A row whose version is NULL, as an adopted table may have them, is overwritten."""
    await run(any_url, TABLE, "INSERT INTO users (id, email) VALUES ('a', 'old@x'), ('b', 'gone@x')")
    async with opened(any_url, **KEEP) as target:
        assert await target.deliver([change_of("a", email="new@x"), deletion_of("b", 1)]) == [Delivered()] * 2
        assert [(row["id"], row["email"]) for row in await rows(target)] == [("a", "new@x")]


async def test_a_mark_touches_the_status_alone(any_url: str) -> None:
    """Of a user who is gone, only the status is written, whatever the change says of the profile."""
    async with opened(any_url) as target:
        await target.deliver([change_of("u1", firstName="Ada")])
        gone = Change("u1", 2, user_of("u1", status="DELETED", firstName=["\ud800"]), deleted=True)
        assert await target.deliver([gone]) == [Delivered()]
        (row,) = await rows(target)
        assert (row["status"], row["first_name"]) == ("DELETED", "Ada")
        await target.deliver([change_of("u1", 1)])
        assert (await rows(target))[0]["status"] == "DELETED"


async def test_overlapping_calls_of_two_processes(any_url: str) -> None:
    """Two targets on one table, as two processes have them, agree on the newest, and one makes the table."""
    async with opened(any_url) as one, opened(any_url) as two:
        calls = [
            target.deliver([change_of(f"u{n:03}", order, firstName=f"v{order}") for n in range(100)])
            for order, target in enumerate((one, two, one, two), start=1)
        ]
        for outcomes in await asyncio.gather(*calls):
            assert outcomes == [Delivered()] * 100
        assert {row["first_name"] for row in await rows(one)} == {"v4"}


async def test_a_snapshot_of_many_pages(any_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of more rows than a page is shown whole, each row once."""
    monkeypatch.setattr("rosterhook.targets.sql.PAGE", 7)
    async with opened(any_url) as target:
        await target.deliver([change_of(f"u{n:03}") for n in range(50)])
        assert [row["id"] for row in await rows(target)] == [f"u{n:03}" for n in range(50)]


async def test_the_upsert_of_one_statement_is_the_same(mariadb_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that SQLAlchemy puts into one statement, as for MySQL, end as those that MariaDB's driver does."""
    monkeypatch.setattr(sql_upsert, "driver_makes_batches", lambda _dialect: False)
    async with opened(mariadb_url) as target:
        await target.deliver([change_of(f"u{n}", 2) for n in range(1200)])
        await target.deliver([change_of(f"u{n}", 1, firstName="Old") for n in range(1200)])
        assert {row["first_name"] for row in await rows(target)} == {"Ada"}


def test_newer_mysql_gets_its_own_words() -> None:
    """MySQL 8 deprecates VALUES(): there the new row has an alias. The version comes last in both."""
    text, number = sa.VARCHAR(64), sa.BigInteger()
    about = {
        n: {"nullable": True, "type": t} for n, t in {"id": text, "email": text, "rosterhook_version": number}.items()
    }
    settings = KEEP | {"columns": {"id": "id", "email": "profile.email"}}
    dialect = mysql.dialect()
    dialect._requires_alias_for_on_duplicate_key = True  # what it learns from a server of 8.0.20 or later
    ready = layout(config("mysql://h/d", **settings), Found(about, ("id",), {}), dialect)
    sql = str(sql_upsert.mysql_upsert(ready, ["rosterhook_version", "id", "email"]).compile(dialect=dialect))
    assert "AS new ON DUPLICATE KEY UPDATE email = if(CAST(users.id AS BINARY) = CAST(new.id AS BINARY)" in sql
    assert sql.index("email = if") < sql.index("rosterhook_version = if")
