"""The tutorial's table: made as the Express app made it, or adopted with its doubles."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sql_helpers import config, opened, rows, run

from rosterhook.errors import ConfigError, TargetError
from rosterhook.model import Change, Delivered
from rosterhook.targets.registry import build_target
from rosterhook.targets.tutorial import Double, TutorialTable
from rosterhook.testing import change_of, deletion_of, user_of

#: What the tutorial's app.js runs.
EXPRESS = "CREATE TABLE Users (id INTEGER PRIMARY KEY AUTOINCREMENT, firstName, lastName, email, mobilePhone, oktaId)"
INSERT = "INSERT INTO Users (firstName, lastName, email, mobilePhone, oktaId) VALUES (?, ?, ?, ?, ?)"
TEST_USER = ("Test", "User", "testuser@example.com", "1234567890", "1234")
KEYS = ["id", "firstName", "lastName", "email", "mobilePhone", "oktaId"]


@pytest.fixture
def express_url(tmp_path: Path) -> str:
    """The address of a database that the tutorial's app has written, with user u1 three times."""
    file = tmp_path / "users.sqlite"
    connection = sqlite3.connect(file)
    connection.execute(EXPRESS)
    doubles = [("Ada", "Old", "ada@example.com", None, okta_id) for okta_id in ("u1", "u2", "u1", "u1", None, None)]
    connection.executemany(INSERT, [TEST_USER, *doubles])
    connection.commit()
    connection.close()
    return f"sqlite:///{file}"


async def test_an_absent_table_is_made_as_in_the_tutorial(sqlite_url: str) -> None:
    """A new table is the tutorial's, with columns of text and a unique oktaId."""
    async with opened(sqlite_url, preset="tutorial") as target:
        will = "will create table Users (id, firstName, lastName, email, mobilePhone, oktaId)"
        assert (await target.check()).facts == [will]
        assert await target.deliver([change_of("u1", mobilePhone="+1")]) == [Delivered()]
        assert await rows(target) == [
            dict(zip(KEYS, [1, "Ada", "Lovelace", "u1@example.com", "+1", "u1"], strict=True))
        ]
        assert list((await rows(target))[0]) == KEYS
    (made,) = (await run(sqlite_url, "SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'Users'"))[0]
    text = ", ".join(f'"{name}" TEXT' for name in KEYS[1:])
    assert " ".join(made.split()).replace("( ", "(").replace(" )", ")") == (
        f'CREATE TABLE "Users" (id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, {text})'.replace('"email"', "email")
    )
    assert await run(sqlite_url, "SELECT count(*) FROM pragma_index_list('Users') WHERE \"unique\" = 1") == [(1,)]


async def test_an_app_s_table_is_adopted(express_url: str) -> None:
    """In a table of the Express app a known user is updated in all rows, a new one added, the others left."""
    async with opened(express_url, preset="tutorial") as target:
        before = await rows(target)
        changes = [change_of("u1", firstName="Grace"), change_of("u3")]
        assert await target.deliver(changes) == [Delivered()] * 2
        assert await target.deliver(changes) == [Delivered()] * 2
        after = await rows(target)
    assert [row["firstName"] for row in after if row["oktaId"] == "u1"] == ["Grace"] * 3
    assert [row for row in after if row["oktaId"] not in ("u1", "u3")] == [
        row for row in before if row["oktaId"] != "u1"
    ]
    assert after[0] == dict(zip(KEYS, (1, *TEST_USER), strict=True))
    assert [row["oktaId"] for row in after].count("u3") == 1


async def test_a_deletion_removes_all_rows_of_a_user(express_url: str) -> None:
    """Who is deactivated or gone is in no row any more; who is suspended stays as is."""
    async with opened(express_url, preset="tutorial") as target:
        off = Change("u2", 2, user_of("u2", status="SUSPENDED", firstName="Off"))
        assert await target.deliver([deletion_of("u1", 2), off]) == [Delivered()] * 2
        assert [(row["oktaId"], row["firstName"]) for row in await rows(target)] == [
            ("1234", "Test"),
            ("u2", "Ada"),
            (None, "Ada"),
            (None, "Ada"),
        ]


async def test_doubles_are_listed_and_merged(express_url: str) -> None:
    """The check lists the doubles and the cure; the merge keeps each user's first row and makes oktaId unique."""
    async with opened(express_url, preset="tutorial") as target:
        assert isinstance(target, TutorialTable)
        report = await target.check()
        assert report.problems == []
        assert report.facts == [
            "table Users has every column",
            'oktaId u1 is in 3 rows (id 2, 4, 5): run "rosterhook check --merge-doubles" to keep the first of each',
        ]
        assert await target.doubles() == [Double("u1", (2, 4, 5))]
        assert await target.merge_doubles() == 2
        assert await target.merge_doubles() == 0
        assert await target.doubles() == []
        assert [row["id"] for row in await rows(target)] == [1, 2, 3, 6, 7]
        await target.deliver([change_of("u1", firstName="Grace")])
        assert (await rows(target))[1]["firstName"] == "Grace"
    with (
        closing(sqlite3.connect(express_url.removeprefix("sqlite:///"))) as other,
        pytest.raises(sqlite3.IntegrityError),
    ):
        other.execute(INSERT, ("x", "x", "x", "x", "u1"))


async def test_a_merge_that_fails_removes_nothing(express_url: str) -> None:
    """The merge is one transaction: when the index cannot be made, every row is still there."""
    await run(express_url, "CREATE TABLE Users_oktaId_unique (x)")
    async with opened(express_url, preset="tutorial") as target:
        assert isinstance(target, TutorialTable)
        with pytest.raises(TargetError, match="already"):
            await target.merge_doubles()
        assert len(await rows(target)) == 7


async def test_no_table_has_no_doubles(sqlite_url: str) -> None:
    """Where nothing is, there is nothing to merge, and nothing is made."""
    async with opened(sqlite_url, preset="tutorial") as target:
        assert isinstance(target, TutorialTable)
        assert await target.doubles() == []
        assert await target.merge_doubles() == 0


def test_the_preset_is_for_sqlite() -> None:
    """On another database the preset is an error of the configuration, with what to write instead."""
    with pytest.raises(ConfigError, match='Leave the preset out, and set table = "Users"'):
        build_target(config("postgresql://h/d", preset="tutorial"))
