"""`forget`: one person's data is gone from every file, and nobody else's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import apsw
import pytest

from rosterhook import directory
from rosterhook.errors import RosterhookError
from rosterhook.forget import Person, find_person, forget, scrub
from rosterhook.intake import Intake
from rosterhook.model import Delivery
from rosterhook.stores import Stores, opened_stores

LOGIN = "Zoë.Ann@example.com"
USER = {
    "id": "00u1",
    "status": "ACTIVE",
    "lastUpdated": "2026-01-01T00:00:00.000Z",
    "profile": {"login": LOGIN, "email": "zoe@private.example", "firstName": "Zoë", "mobilePhone": "555-1"},
}
OTHER = {**USER, "id": "00u2", "profile": {"login": "bob@example.com", "firstName": "Bob"}}
PEOPLE = {"00u1": (LOGIN.upper(), "Zoë Example"), "00u2": ("bob@example.com", "Bob"), "00uAdmin": ("root@x", "Root")}
#: Whatever of it is found in a file afterwards was not erased.
TRACES = (b"zo\xc3\xab.ann@", b"zo\\u00eb.ann@", b"zoe@private", b"555-1", b"zo\xc3\xab example", b"203.0.113.7")


def event(uuid: str, *targets: str, actor: str = "00uAdmin") -> dict[str, Any]:
    people = {
        "00u1": (LOGIN.upper(), "Zoë Example"),
        "00u2": ("bob@example.com", "Bob"),
        "00uAdmin": ("root@x", "Root"),
    }

    def named(user_id: str) -> dict[str, Any]:
        login, name = people[user_id]
        return {"id": user_id, "type": "User", "alternateId": login, "displayName": name}

    return {
        "uuid": uuid,
        "eventType": "user.account.update_profile",
        "published": "2026-01-01T00:00:00.000Z",
        "actor": named(actor),
        "client": {"ipAddress": "203.0.113.7"} if actor == "00u1" else {"ipAddress": "198.51.100.1"},
        "displayMessage": f"changed {LOGIN}" if "00u1" in targets else "changed",
        "target": [named(user_id) for user_id in targets],
    }


def body_of(*events: dict[str, Any], ascii_only: bool = False) -> bytes:
    return json.dumps({"data": {"events": events}}, ensure_ascii=ascii_only).encode()


async def fill(stores: Stores) -> None:
    """Two people in every table; the first of them is gone."""
    bodies = (
        body_of(event("e1", "00u1"), event("e2", "00u2"), event("e3", "00u2", actor="00u1")),
        body_of(event("e4", "00u1", "00u2"), ascii_only=True),
        f"no json, but {LOGIN} is in it".encode(),
        b"no json, and nobody in it",
    )
    for body in bodies:
        await stores.inbox.append(Delivery(1, {}, body))
    while await Intake(stores.inbox, stores.state, clock=lambda: 5).step():
        pass
    for user in (USER, OTHER):
        await stores.state.write(
            lambda db, user=user: (
                directory.record(db, user, fresh=True, targets=["app"], waiting_ms=None, now=1) and None
            )
        )


def list_them(db: apsw.Connection, mark: int) -> None:
    """The list of a full read has both."""
    listed = directory.judge_listed(db, [USER, OTHER])
    directory.save_listed(db, listed, mark=mark, targets=["app"], now=1)


async def delete(stores: Stores) -> None:
    await stores.state.write(lambda db: directory.record_gone(db, "00u1", targets=["app"], waiting_ms=None, now=2))


def traces(folder: Path) -> list[tuple[str, bytes]]:
    """What is still on the disk, in any file of the own store."""
    files = [path for path in folder.iterdir() if path.name.startswith(("inbox.db", "state.db"))]
    return [(path.name, trace) for path in files for trace in TRACES if trace in path.read_bytes().lower()]


async def test_nothing_of_the_person_is_left_on_the_disk(tmp_path: Path) -> None:
    """Directory, events, quarantine, raw deliveries and SQLite's own log hold nothing more of the person."""
    async with opened_stores(tmp_path) as stores:
        await fill(stores)
        await delete(stores)
        assert traces(tmp_path)
        person = await find_person(stores.state, LOGIN.lower())
        done = await forget(stores, person, dry_run=False)
        assert (done.users, done.events, done.deliveries, done.quarantined) == (1, 3, 3, 1)
        assert traces(tmp_path) == []


async def test_the_tombstone_and_everybody_else_stay(tmp_path: Path) -> None:
    """The id stays as a tombstone, which no late list can lift; other people, named beside too, are untouched."""
    async with opened_stores(tmp_path) as stores:
        await fill(stores)
        await stores.state.write(lambda db: list_them(db, 1))
        await delete(stores)
        before = await stores.state.read(lambda db: directory.find(db, "00u2"))
        await forget(stores, await find_person(stores.state, "00u1"), dry_run=False)
        await stores.state.write(lambda db: list_them(db, 2))
        held = await stores.state.read(lambda db: directory.find(db, "00u1"))
        assert held and held.deleted_ms is not None
        assert held.user == {"id": "00u1", "status": "DELETED", "profile": {}}
        assert await stores.state.read(lambda db: directory.find(db, "00u2")) == before
        listed_as = await stores.state.read(lambda db: dict(db.execute('SELECT id, listed_digest FROM "user"')))
        assert listed_as == {"00u1": None, "00u2": directory.digest(OTHER)}
        [listed] = await stores.state.read(lambda db: directory.judge_listed(db, [USER]))
        assert (listed.verdict, listed.version) == (directory.Verdict.DOUBTFUL, None)
        bodies = await stores.state.read(lambda db: dict(db.execute("SELECT uuid, body FROM event").fetchall()))
        assert [target["id"] for target in json.loads(bodies["e4"])["target"]] == ["00u1", "00u2"]
        assert json.loads(bodies["e4"])["target"][1]["alternateId"] == "bob@example.com"
        assert json.loads(bodies["e2"]) == event("e2", "00u2")


async def test_an_event_that_comes_again_is_still_known(tmp_path: Path) -> None:
    """A late double of a scrubbed event is a double: it brings nothing back."""
    async with opened_stores(tmp_path) as stores:
        await fill(stores)
        await delete(stores)
        await forget(stores, await find_person(stores.state, LOGIN), dry_run=False)
        count = await stores.state.read(lambda db: db.execute("SELECT count(*) FROM event").get)
        await stores.inbox.append(Delivery(9, {}, body_of(event("e1", "00u1"))))
        while await Intake(stores.inbox, stores.state, clock=lambda: 9).step():
            pass
        assert await stores.state.read(lambda db: db.execute("SELECT count(*) FROM event").get) == count


async def test_dry_run_only_counts(tmp_path: Path) -> None:
    """A dry run tells the same numbers and erases nothing."""
    async with opened_stores(tmp_path) as stores:
        await fill(stores)
        await delete(stores)
        person = await find_person(stores.state, LOGIN)
        told = await forget(stores, person, dry_run=True)
        assert traces(tmp_path)
        assert await forget(stores, person, dry_run=False) == told


async def test_who_is_still_in_okta_is_refused(tmp_path: Path) -> None:
    """Of somebody in Okta the next reading would store everything again: the error says what to do first."""
    async with opened_stores(tmp_path) as stores:
        await fill(stores)
        with pytest.raises(RosterhookError, match="00u1 is ACTIVE in Okta") as refused:
            await find_person(stores.state, LOGIN)
        assert "Delete the user in Okta first" in refused.value.hint


@pytest.mark.parametrize("name", ["nobody@example.com", "", "00u3"])
async def test_forget_of_nobody_changes_nothing(tmp_path: Path, name: str) -> None:
    """A login or id that is not stored is an error that says so."""
    async with opened_stores(tmp_path) as stores:
        await fill(stores)
        with pytest.raises(RosterhookError, match="Nobody with this login"):
            await find_person(stores.state, name)


def test_a_body_that_only_looks_alike_stays() -> None:
    """A longer login that has the person's within, as another key, is not taken for the person where it is an id."""
    person = Person(frozenset({"00u1"}), frozenset({"ann@example.com"}))
    assert scrub(b'{"id": "00u12", "n": "bob"}', person) is None
    assert scrub(b'{"id": "00u1"}', person) is None
    assert scrub(b'{"id":"00u1","displayName":"Ann"}', person) == b'{"id":"00u1"}'
