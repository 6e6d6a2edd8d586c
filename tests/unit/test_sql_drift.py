"""Drift in real databases: what a column rounds, pads and cuts is none; what somebody has edited is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from sql_helpers import opened, run

from rosterhook.model import Change, Delivered, Drift
from rosterhook.targets.sql import SqlTable
from rosterhook.testing import change_of

KEEP = {"deactivated": "keep", "suspended": "keep", "deleted": "keep"}


@dataclass(frozen=True)
class Kind:
    """A type of column.

    Attributes:
        types: as each product names it, where it has another name for it.
        values: what a user of Okta may have there.
        edit: SQL of another value.
    """

    name: str
    values: list[Any]
    edit: str = "'edited'"
    sqlite: str = ""
    postgresql: str = ""
    mysql: str = ""

    def on(self, url: str) -> str:
        """The type on the product of this address; "-" where it has none."""
        product = url.partition(":")[0]
        return getattr(self, product) or self.name


MOMENTS = [
    "2026-01-02T03:04:05.000Z", "2026-01-02T03:04:05.678Z", "2026-01-02T05:04:05.999+02:00", "1999-12-31T23:59:59.500Z",
    "2026-01-02", "2026-01-02T03:04:05.123456789Z",
]  # fmt: skip
NUMBERS = [0, 1, -1, 1.5, "2.50", 99_999_999.99, 0.1, 1.004, 1.006, -2.34]
#: Just in the middle between two that the column can hold.
HALVES = [0.125, 0.135, 1.005, -0.125, 2.675, "0.005", "0.015", 1234567.125]
FLOATS = [0, 1, 0.1, -2.5, 1e20, 1e-7, "3.14"]
#: More digits than a column of four bytes keeps, or than MariaDB shows of them.
LONG_FLOATS = [1 / 3, 16_777_217, 123456.789, 1000.005, 0.30000000000000004]
OBJECTS = [{"b": 1, "a": [1, 2.5, None, "é"]}, [], [1, "2", True], {"ä": {"deep": [{}]}}, {"n": 10**18}, True]

KINDS = [
    Kind("CHAR(40)", ["ab", "", "  lead", "trail  ", "Zoë", "x" * 40]),
    Kind("VARCHAR(40)", ["ab", "", "  lead", "trail  ", "Zoë", "it's", 5, True]),
    Kind("TEXT", ["ab", "x" * 5000, {"a": 1}, "trail  "]),
    Kind("DATETIME", MOMENTS, "'2026-03-02 03:04:05'", postgresql="TIMESTAMP(0)"),
    Kind("TIMESTAMP", MOMENTS, "'2026-03-02 03:04:05'"),
    Kind("TIMESTAMP(3)", MOMENTS, "'2026-03-02 03:04:05'", sqlite="TIMESTAMP", postgresql="TIMESTAMPTZ(0)"),
    Kind("DATE", ["2026-01-02", "2026-01-02T23:59:59.999Z", "2026-01-02T23:30:00-05:00"], "'2020-01-01'"),
    Kind("NUMERIC(10,2)", NUMBERS, "77.77"),
    Kind("NUMERIC(12,2)", HALVES, "77.77"),
    Kind("DECIMAL(5,0)", [0, 7, 1.4, -3.6, "4.4"], "77"),
    Kind("FLOAT", FLOATS, "77.5"),
    Kind("REAL", FLOATS, "77.5"),
    Kind("FLOAT", LONG_FLOATS, "77.5"),
    Kind("REAL", LONG_FLOATS, "77.5"),
    Kind("DOUBLE PRECISION", [*FLOATS, *LONG_FLOATS], "77.5"),
    Kind("BOOLEAN", [True, False], "CASE WHEN held THEN FALSE ELSE TRUE END"),
    Kind("JSON", OBJECTS, "'[77]'"),
    Kind("JSON", [5, 1.5, -7], "'[77]'"),
    Kind("JSONB", OBJECTS, "'[77]'", sqlite="JSON", mysql="LONGTEXT"),
    Kind("INTEGER", [0, -7, "42", 3.0], "77"),
    Kind("BIGINT", [2**53 + 1, -(2**63), 2**63 - 1], "77"),
    Kind("UUID", ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"], f"'{UUID(int=1)}'", "TEXT", mysql="TEXT"),
]  # fmt: skip


async def drifts(target: SqlTable, changes: list[Change]) -> list[Drift | None]:
    """How the rows that the target shows differ from these changes."""
    rows = {target.key_of(row): row async for row in target.snapshot()}
    return await target.drift([(change, rows.get(change.user_id)) for change in changes])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: f"{kind.name} {kind.values[0]}")
async def test_only_what_was_edited_has_drifted(any_url: str, kind: Kind) -> None:
    """Right after a delivery nothing differs, whatever the column makes of a value; after an edit by hand each does."""
    await run(
        any_url, f"CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, held {kind.on(any_url)}, rosterhook_version BIGINT)"
    )
    changes = [change_of(f"u{number:02}", value=value) for number, value in enumerate([*kind.values, None])]
    async with opened(any_url, columns={"id": "id", "held": "profile.value"}, **KEEP) as target:
        assert await target.deliver(changes) == [Delivered()] * len(changes)
        differing = [
            (kind.name, change.user["profile"], drift.fields)  # type: ignore[index]
            for change, drift in zip(changes, await drifts(target, changes), strict=True)
            if drift is not None
        ]
        assert differing == []
        await run(any_url, f"UPDATE users SET held = {kind.edit} WHERE held IS NOT NULL")
        for drift in (await drifts(target, changes))[:-1]:
            assert drift is not None
            assert (drift.kind, list(drift.fields)) == ("changed", ["held"])
        await run(any_url, "UPDATE users SET held = NULL")
        found = await drifts(target, changes)
        assert [drift and drift.kind for drift in found] == ["changed"] * len(kind.values) + [None]


@pytest.mark.parametrize(
    ("kind", "values", "edits"),
    [
        ("FLOAT", [1000.5, 0.125], "held * 1.001"),
        ("NUMERIC(10,2)", [1000.5, 0.12], "held + 0.01"),
        ("TIMESTAMP", ["2026-01-02T03:04:05.000Z"], "'2026-01-02 03:04:07'"),
        ("VARCHAR(9)", ["a"], "'A'"),
        ("VARCHAR(9)", ["a"], "'a '"),
        ("CHAR(9)", ["a"], "' a'"),
    ],
)
async def test_a_small_edit_is_found_too(any_url: str, kind: str, values: list[Any], edits: str) -> None:
    """The tolerance is that of the column, and no more: a cent, a thousandth, two seconds, a letter's case, a blank."""
    await run(any_url, f"CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, held {kind}, rosterhook_version BIGINT)")
    changes = [change_of(f"u{number}", value=value) for number, value in enumerate(values)]
    async with opened(any_url, columns={"id": "id", "held": "profile.value"}, **KEEP) as target:
        await target.deliver(changes)
        await run(any_url, f"UPDATE users SET held = {edits}")
        assert [drift and drift.kind for drift in await drifts(target, changes)] == ["changed"] * len(changes)


@pytest.mark.parametrize("key", ["CHAR(40)", "VARCHAR(64)", "TEXT"])
async def test_a_row_is_found_by_a_key_of_any_type(any_url: str, key: str) -> None:
    """A key that the column pads is still Okta's id: its row is compared, and is no stranger's."""
    if any_url.startswith("mysql") and key == "TEXT":
        key = "VARCHAR(190)"  # MySQL has no key of such length
    await run(any_url, f"CREATE TABLE users (id {key} PRIMARY KEY, email TEXT, rosterhook_version BIGINT)")
    user_id = "00u" + "Ab" * 8 + "c"
    async with opened(any_url, columns={"id": "id", "email": "profile.email"}, **KEEP) as target:
        await target.deliver([change_of(user_id), change_of("u1")])
        assert {target.key_of(row) async for row in target.snapshot()} == {user_id, "u1"}
        assert await drifts(target, [change_of(user_id)]) == [None]


async def test_a_table_that_is_gone_is_compared_as_gone(any_url: str) -> None:
    """Nothing is remembered of a table from an earlier comparison: without it, everybody is missing."""
    async with opened(any_url, columns={"id": "id", "email": "profile.email"}, **KEEP) as target:
        await target.deliver([change_of("u1")])
        assert await drifts(target, [change_of("u1")]) == [None]
        await run(any_url, "DROP TABLE users")
        assert await drifts(target, [change_of("u1")]) == [Drift("missing", {})]


async def test_a_row_without_a_key_is_nobodys(any_url: str) -> None:
    """A row of the app's own, whose key is NULL, has no id; the others are found beside it."""
    number = "INTEGER PRIMARY KEY" if any_url.startswith("sqlite") else "INTEGER"
    await run(
        any_url,
        f"CREATE TABLE users (n {number}, okta_id VARCHAR(64) UNIQUE, email TEXT, rosterhook_version BIGINT)",
        "INSERT INTO users (n, okta_id, email) VALUES (1, NULL, 'local')",
        *([] if any_url.startswith("sqlite") else ["ALTER TABLE users ADD PRIMARY KEY (n)"]),
        *(["ALTER TABLE users MODIFY n INTEGER AUTO_INCREMENT"] if any_url.startswith("mysql") else []),
        *(
            ["ALTER TABLE users ALTER n ADD GENERATED BY DEFAULT AS IDENTITY (START 2)"]
            * any_url.startswith("postgres")
        ),
    )
    async with opened(any_url, columns={"okta_id": "id", "email": "profile.email"}, **KEEP) as target:
        await target.deliver([change_of("u1")])
        rows = [row async for row in target.snapshot()]
        assert [target.key_of(row) for row in rows] == [None, "u1"]
        assert await target.drift([(change_of("u1"), rows[1])]) == [None]


async def test_every_mapped_column_is_compared_and_no_other(any_url: str) -> None:
    """Columns of the app's own, and the version, may be anything; of the mapped ones each that differs is told."""
    await run(
        any_url,
        "CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, email VARCHAR(99), name VARCHAR(99), note TEXT,"
        " rosterhook_version BIGINT)",
    )
    columns = {"id": "id", "email": "profile.email", "name": "profile.firstName"}
    async with opened(any_url, columns=columns, **KEEP) as target:
        await target.deliver([change_of("u1")])
        await run(any_url, "UPDATE users SET note = 'of the app', rosterhook_version = 77")
        assert await drifts(target, [change_of("u1")]) == [None]
        await run(any_url, "UPDATE users SET email = 'x', name = NULL")
        assert await drifts(target, [change_of("u1")]) == [
            Drift("changed", {"email": ("x", "u1@example.com"), "name": (None, "Ada")})
        ]


async def test_a_comparison_needs_no_right_to_write(postgres_url: str) -> None:
    """A table that may only be read is compared; a dry run asks for no more."""
    await run(
        postgres_url,
        "CREATE TABLE users (id VARCHAR(64) PRIMARY KEY, email TEXT, rosterhook_version BIGINT)",
        "INSERT INTO users VALUES ('u1', 'edited', 5)",
        "CREATE ROLE looker LOGIN PASSWORD 'looks'",
        "GRANT SELECT ON users TO looker",
    )
    url = "postgresql://looker:looks@" + postgres_url.rpartition("@")[2]
    try:
        async with opened(url, columns={"id": "id", "email": "profile.email"}, **KEEP) as target:
            assert await drifts(target, [change_of("u1")]) == [
                Drift("changed", {"email": ("edited", "u1@example.com")})
            ]
    finally:
        await run(postgres_url, "DROP OWNED BY looker", "DROP ROLE looker")
