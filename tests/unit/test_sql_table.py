"""The table: made when absent, checked when there, each problem with the statement that mends it."""

from __future__ import annotations

from pathlib import Path

import pytest
from sql_helpers import config, opened, rows, run

from rosterhook.errors import ConfigError, TargetError
from rosterhook.model import Delivered, Park
from rosterhook.targets.registry import build_target
from rosterhook.testing import change_of

TWO = {"id": "id", "email": "profile.email"}
KEEP = {"deactivated": "keep", "suspended": "keep", "deleted": "keep"}


async def test_a_check_writes_nothing(sqlite_url: str, tmp_path: Path) -> None:
    """A check of an absent table tells what will be made, and makes neither file nor folder."""
    async with opened(sqlite_url) as target:
        report = await target.check()
        assert await rows(target) == []
    columns = "id, status, login, email, first_name, last_name, mobile_phone, created, last_updated"
    assert report.facts == [f"will create table users ({columns}, rosterhook_version)"]
    assert report.problems == []
    assert not (tmp_path / "new").exists()


async def test_the_made_table_holds_anything(any_url: str) -> None:
    """Nothing is too long for a table that rosterhook made, ids that differ by case are two users, and it checks."""
    changes = [change_of("00uA", firstName="x" * 100_000), change_of("00ua", firstName="é" * 70_000)]
    async with opened(any_url) as target:
        assert await target.deliver(changes) == [Delivered(), Delivered()]
        assert {row["id"] for row in await rows(target)} == {"00uA", "00ua"}
        assert (await target.check()).facts == ["table users has every column"]


@pytest.mark.parametrize(
    ("ddl", "problems"),
    [
        (
            "CREATE TABLE users (id TEXT PRIMARY KEY, rosterhook_version BIGINT)",
            [
                'table users has no column "email" for profile.email: run ALTER TABLE users ADD COLUMN email TEXT;',
            ],
        ),
        (
            "CREATE TABLE users (id TEXT PRIMARY KEY, Email TEXT, rosterhook_version BIGINT)",
            ['table users has no column "email" for profile.email: it has "Email", so write it like that in columns'],
        ),
        (
            "CREATE TABLE users (id TEXT, email TEXT, rosterhook_version BIGINT)",
            [
                'column "id" has the key, but is neither primary key nor unique:'
                " run CREATE UNIQUE INDEX users_id_unique ON users (id);"
            ],
        ),
        (
            "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT)",
            [
                'table users has no column "rosterhook_version": run'
                " ALTER TABLE users ADD COLUMN rosterhook_version BIGINT NOT NULL DEFAULT 0;"
                ' or set version_column = "" to do without protection from older writes'
            ],
        ),
        (
            "CREATE TABLE users (id TEXT PRIMARY KEY, email BLOB, rosterhook_version TEXT, tenant TEXT NOT NULL)",
            [
                'column "email" (BLOB) cannot be written: map profile.email to a column of text',
                'column "rosterhook_version" holds no integers: name another version_column,'
                ' or set version_column = "" to do without protection from older writes',
                'column "tenant" is NOT NULL without a default, and nothing is mapped to it: add it to columns,'
                ' or make the table anew with a default for "tenant" (SQLite cannot add one later)',
            ],
        ),
    ],
)
async def test_a_problem_tells_its_cure(sqlite_url: str, ddl: str, problems: list[str]) -> None:
    """What hinders writing is found before the first row, and named with the very statement to run."""
    await run(sqlite_url, ddl)
    async with opened(sqlite_url, columns=TWO, **KEEP) as target:
        assert (await target.check()).problems == problems
        with pytest.raises(TargetError) as refused:
            await target.deliver([change_of("u1")])
        assert problems[0] in refused.value.message
        assert "rosterhook check" in refused.value.hint


async def test_the_cure_cures(any_url: str) -> None:
    """The statements in the problems, run as they are, make the table fit: at once, without a restart."""
    await run(any_url, "CREATE TABLE users (okta_id VARCHAR(64), note VARCHAR(9))")
    columns = {"okta_id": "id", "Select": "profile.email", "mixed Case": "status"}
    async with opened(any_url, columns=columns) as target:
        with pytest.raises(TargetError):
            await target.deliver([change_of("u1")])
        problems = (await target.check()).problems
        assert len(problems) == 4
        await run(any_url, *(problem.partition(" run ")[2].partition(";")[0] for problem in problems))
        assert (await target.check()).problems == []
        await target.deliver([change_of("u1")])
        assert await rows(target) == [{"okta_id": "u1", "Select": "u1@example.com", "mixed Case": "ACTIVE"}]


async def test_a_narrow_version_is_widened(postgres_url: str, mariadb_url: str) -> None:
    """A version column that would overflow is a problem, and its cure works."""
    for url, change in (
        (postgres_url, "ALTER COLUMN rosterhook_version TYPE BIGINT;"),
        (mariadb_url, "MODIFY rosterhook_version BIGINT NOT NULL DEFAULT 0;"),
    ):
        await run(url, "CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, email TEXT, rosterhook_version INT DEFAULT 0)")
        async with opened(url, columns=TWO, **KEEP) as target:
            (problem,) = (await target.check()).problems
            assert f"is too narrow for versions: run ALTER TABLE users {change}" in problem
            await run(url, problem.partition(" run ")[2].partition(";")[0])
            assert await target.deliver([change_of("u1", 2**62)]) == [Delivered()]


async def test_a_table_of_somebody_else_is_used(postgres_url: str) -> None:
    """In an app's own table the app's columns stay as they are, and are not shown; the table's key is."""
    await run(
        postgres_url,
        "CREATE TABLE users (n SERIAL PRIMARY KEY, okta_id TEXT UNIQUE, email TEXT, password_hash TEXT,"
        " tenant TEXT NOT NULL DEFAULT 't', rosterhook_version BIGINT)",
        "INSERT INTO users (okta_id, email, password_hash) VALUES (NULL, 'local', 'x'), ('u1', 'old', 'hash')",
    )
    async with opened(postgres_url, columns={"okta_id": "id", "email": "profile.email"}, **KEEP) as target:
        assert await target.deliver([change_of("u1"), change_of("u2")]) == [Delivered()] * 2
        assert [(row["okta_id"], row["email"]) for row in await rows(target)] == [
            (None, "local"),
            ("u1", "u1@example.com"),
            ("u2", "u2@example.com"),
        ]
        assert list((await rows(target))[0]) == ["n", "okta_id", "email"]
    assert await run(postgres_url, "SELECT password_hash, tenant FROM users WHERE okta_id = 'u1'") == [("hash", "t")]


async def test_a_partial_unique_index_is_not_enough(postgres_url: str) -> None:
    """A unique index over a part of the rows cannot keep users apart."""
    await run(
        postgres_url,
        "CREATE TABLE users (id TEXT, email TEXT)",
        "CREATE UNIQUE INDEX part ON users (id) WHERE email IS NULL",
    )
    async with opened(postgres_url, columns=TWO, version_column="", **KEEP) as target:
        assert "neither primary key nor unique" in (await target.check()).problems[0]


@pytest.mark.filterwarnings("ignore:Did not recognize type")
async def test_types_of_postgresql(postgres_url: str) -> None:
    """ENUM, UUID, JSONB, citext-like and time columns take what fits; an unknown type is a problem."""
    await run(
        postgres_url,
        "CREATE TYPE size AS ENUM ('S', 'M')",
        "CREATE TABLE users (id TEXT PRIMARY KEY, size size, ref UUID, tags JSONB, at TIMESTAMPTZ, day DATE,"
        " pay NUMERIC(8, 2), code VARCHAR(3), ok BOOLEAN, place POINT)",
    )
    columns = {name: f"profile.{name}" for name in ("size", "ref", "tags", "day", "pay", "code", "ok")}
    columns |= {"id": "id", "at": "created"}
    good = {"size": "M", "ref": "00000000-0000-0000-0000-000000000001", "tags": ["a"], "day": "2026-01-02"}
    good |= {"pay": "1.50", "code": "abc", "ok": True}
    async with opened(postgres_url, columns=columns, version_column="", **KEEP) as target:
        outcomes = await target.deliver([change_of("u1", **good), change_of("u2", **good | {"size": "XL"})])
        assert outcomes == [
            Delivered(),
            Park('column "size" (size) cannot hold profile.size: it is none of the column\'s values'),
        ]
        (row,) = await rows(target)
        assert row == good | {"id": "u1", "at": "2026-01-02T03:04:05+00:00"}
        await target.deliver([change_of("u1", 2, tags=None)])
        assert await run(postgres_url, "SELECT tags IS NULL FROM users") == [(True,)]
    async with opened(postgres_url, columns=columns | {"place": "profile.x"}, version_column="", **KEEP) as target:
        (problem,) = (await target.check()).problems
        assert problem.startswith('column "place" (of a type of its own) cannot be written')


async def test_a_schema_is_a_part_of_the_name(postgres_url: str, mariadb_url: str) -> None:
    """`app.users` is the table of that schema; a schema that is absent is a problem with its cure."""
    async with opened(postgres_url, table="app.Users") as target:
        assert (await target.check()).problems == ["there is no schema app: run CREATE SCHEMA app;"]
        with pytest.raises(TargetError, match='schema "app" does not exist'):
            await target.deliver([change_of("u1")])
        await run(postgres_url, "CREATE SCHEMA app")
        await target.deliver([change_of("u1")])
    assert await run(postgres_url, 'SELECT id FROM app."Users"') == [("u1",)]
    database = mariadb_url.rpartition("/")[2]
    async with opened(mariadb_url, table=f"{database}.people") as target:
        await target.deliver([change_of("u1")])
        assert (await target.check()).problems == []
    assert await run(mariadb_url, "SELECT id FROM people") == [("u1",)]


def test_sqlite_has_no_schemas(sqlite_url: str) -> None:
    """A name with a schema is an error of the configuration on SQLite, and so is one with too many dots."""
    with pytest.raises(ConfigError, match='Write table = "users"'):
        build_target(config(sqlite_url, table="app.users"))
    with pytest.raises(ConfigError, match=r"is not schema\.table"):
        build_target(config(sqlite_url, table="a.b.c"))


async def test_what_another_program_wrote_is_shown_as_it_is(sqlite_url: str) -> None:
    """A column of SQLite may hold anything: text that is no time in a DATETIME is shown, not an error."""
    await run(
        sqlite_url,
        "CREATE TABLE users (id TEXT PRIMARY KEY, at DATETIME, day DATE, pay NUMERIC)",
        "INSERT INTO users VALUES ('u0', 'yesterday', '2026-1-2', 'much')",
    )
    columns = {"id": "id", "at": "created", "day": "created", "pay": "profile.pay"}
    async with opened(sqlite_url, columns=columns, version_column="", **KEEP) as target:
        await target.deliver([change_of("u1", pay=1.5)])
        assert [tuple(row.values()) for row in await rows(target)] == [
            ("u0", "yesterday", "2026-1-2", "much"),
            ("u1", "2026-01-02 03:04:05.000000", "2026-01-02", 1.5),
        ]


async def test_sqlite_finds_a_table_in_any_case(sqlite_url: str, tmp_path: Path) -> None:
    """SQLite knows no difference between Users and users: the table that is there is checked and written."""
    (tmp_path / "new").mkdir()
    await run(sqlite_url, "CREATE TABLE Users (id TEXT PRIMARY KEY, email TEXT)")
    async with opened(sqlite_url, columns=TWO, version_column="", **KEEP) as target:
        assert (await target.check()).problems == []
        assert await target.deliver([change_of("u1")]) == [Delivered()]
        assert [row["id"] for row in await rows(target)] == ["u1"]
