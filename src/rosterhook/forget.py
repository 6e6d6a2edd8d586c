"""Erases what is stored of one person, raw deliveries too, and leaves the tombstone: Okta's id and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import apsw

from rosterhook import directory
from rosterhook.errors import RosterhookError, StoreError
from rosterhook.model import DELETED, ORG
from rosterhook.scrub import Person, scrub
from rosterhook.store.database import Database, store_errors
from rosterhook.store.queries import rows, run, run_many
from rosterhook.stores import Stores

#: Rows looked at in one transaction.
STEP = 500
#: Where bodies are: the statement that reads them, and the one that replaces one.
EVENTS = ("bodies_of_event", "rewrite_event")
QUARANTINE = ("bodies_of_quarantine", "rewrite_quarantine")
DELIVERIES = ("bodies_of_delivery", "rewrite_delivery")
#: What is taken in while it is erased is erased by the next round.
ROUNDS = 5
WIPE_SECONDS = 10


@dataclass
class Forgotten:
    """How much of a person is stored.

    Attributes:
        users: copies in the directory.
        events, deliveries, quarantined: rows that name the person.
    """

    users: int = 0
    events: int = 0
    deliveries: int = 0
    quarantined: int = 0


async def find_person(state: Database, name: str) -> Person:
    """Who has this login, or this id.

    Raises:
        RosterhookError: nobody, or somebody who is still in Okta as far as is known.
    """
    found = await state.read(lambda db: [user for user in _everybody(db) if _is(user, name)])
    if not found:
        raise RosterhookError(
            "Nobody with this login or id is stored. Nothing was changed.",
            hint="`rosterhook users --json` lists everybody. Who was forgotten before has no login any more.",
        )
    alive = [user for user in found if user["status"] != DELETED]
    if alive:
        raise RosterhookError(
            f"{alive[0]['id']} is {alive[0]['status']} in Okta: the next reading would store everything again."
            " Nothing was changed.",
            hint="Delete the user in Okta first (deactivate, then delete), and wait until it is known here.",
        )
    texts = {name.casefold()} | {text for user in found for text in _addresses(user.get("profile") or {})}
    ids = frozenset(str(user["id"]) for user in found)
    return Person(ids, frozenset(texts) - {each.casefold() for each in ids})


async def forget(stores: Stores, person: Person, *, dry_run: bool) -> Forgotten:
    """Erase a person; the copy in the directory last, so that whoever was interrupted finds the login again.

    Args:
        dry_run: only count.

    Raises:
        StoreError: it is erased, but SQLite's own log could not be emptied.
    """
    done = await _scrub_everything(stores, person, dry_run=dry_run)
    done.users = len(person.ids)
    if dry_run:
        return done
    # From now on what arrives of the person is stored without them.
    await stores.state.write(lambda db: _blank(db, person))
    for _ in range(ROUNDS):
        more = await _scrub_everything(stores, person, dry_run=False)
        if more == Forgotten():
            break
        done.events += more.events
        done.deliveries += more.deliveries
        done.quarantined += more.quarantined
    for database in (stores.state, stores.inbox.database):
        _wipe_log(database)
    return done


async def _scrub_everything(stores: Stores, person: Person, *, dry_run: bool) -> Forgotten:
    """Deliveries first: what is taken in meanwhile is then found among the events."""
    deliveries = await _scrub_all(stores.inbox.database, DELIVERIES, person, dry_run=dry_run)
    events = await _scrub_all(stores.state, EVENTS, person, dry_run=dry_run)
    quarantined = await _scrub_all(stores.state, QUARANTINE, person, dry_run=dry_run)
    return Forgotten(0, events, deliveries, quarantined)


async def _scrub_all(database: Database, where: tuple[str, str], person: Person, *, dry_run: bool) -> int:
    read, rewrite = where
    after, found = 0, 0
    while step := await _bodies(database, read, after):
        after = step[-1][0]
        hits = [{"key": key, "body": new} for key, body in step if (new := scrub(body, person)) is not None]
        found += len(hits)
        if hits and not dry_run:
            await database.write(lambda db, hits=hits: _rewrite(db, rewrite, hits))  # type: ignore[misc]
    return found


async def _bodies(database: Database, read: str, after: int) -> list[tuple[int, bytes]]:
    return await database.read(lambda db: rows(db, read, {"after": after, "limit": STEP}))


def _rewrite(db: apsw.Connection, name: str, hits: Sequence[Mapping[str, object]]) -> None:
    # What is overwritten is not to be found on the disk either.
    db.execute("PRAGMA secure_delete = ON")
    run_many(db, name, hits)


def _blank(db: apsw.Connection, person: Person) -> None:
    db.execute("PRAGMA secure_delete = ON")
    for user_id in person.ids:
        user = {"id": user_id, "status": DELETED, "profile": {}}
        blank = {"org": ORG, "id": user_id, "body": json.dumps(user), "digest": directory.digest(user)}
        run(db, "blank_user", blank)
        run(db, "forget_subject", {"org": ORG, "id": user_id})
        run(db, "forget_findings_of", {"user_id": user_id})


def _wipe_log(database: Database) -> None:
    """Empty the file in which SQLite keeps what it wrote last, old pages among it."""
    with store_errors(database.path), closing(apsw.Connection(str(database.path))) as db:
        db.set_busy_timeout(WIPE_SECONDS * 1000)
        busy, *_ = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() or (1,)
    if busy:
        raise StoreError(
            f"Everything is erased, but somebody reads {database.path}: its log still holds what was.",
            hint="Run the command once more with the person's Okta id, or restart the service.",
        )


def _everybody(db: apsw.Connection) -> Iterator[dict[str, Any]]:
    after = ""
    while page := rows(db, "list_users", {"org": ORG, "after": after, "limit": STEP}):
        after = page[-1][0]
        yield from (json.loads(body) for _, _, _, body, _, _ in page)


def _is(user: Mapping[str, Any], name: str) -> bool:
    login = (user.get("profile") or {}).get("login")
    return user["id"] == name or (isinstance(login, str) and login.casefold() == name.casefold())


def _addresses(profile: Mapping[str, Any]) -> Iterator[str]:
    """What identifies somebody wherever it stands: the login, and every e-mail address."""
    for key, item in profile.items():
        if isinstance(item, str) and item and (key == "login" or "@" in item):
            yield item.casefold()
