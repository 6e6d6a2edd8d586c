"""The directory: one canonical copy of every user, which never goes back to an older state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal

import apsw
import msgspec

from rosterhook.model import DELETED, ORG, Attributes, iso, level_of
from rosterhook.okta.events import parse_stamp
from rosterhook.store.queries import rows, rows_many, run, run_many, value

#: What is not kept of a user: it changes without any event, is a secret of Okta's, or only tells where to ask.
DROPPED = frozenset({"_links", "_embedded", "credentials", "lastLogin", "transitioningToStatus"})


@dataclass(frozen=True, slots=True)
class Held:
    """What the directory holds of a user."""

    version: int
    digest: str
    user: Attributes
    last_updated_ms: int
    deleted_ms: int | None


class Verdict(Enum):
    """What became of a reading. DOUBTFUL: only a read by id can tell."""

    CHANGED = "changed"
    SAME = "same"
    STALE = "stale"
    DOUBTFUL = "doubtful"


@dataclass(slots=True)
class Listed:
    """A user as a list had them.

    Attributes:
        version: of the directory's copy that is this very state; None without one.
        held: the version of the copy that is there; 0 without one.
    """

    user: Attributes
    digest: str
    updated_ms: int
    verdict: Verdict
    version: int | None = None
    held: int = 0

    @property
    def id(self) -> str:
        """Okta's id."""
        return str(self.user["id"])


def canonical(user: Attributes) -> dict[str, Any]:
    """A user as it is kept and compared: without what is dropped, and without nulls in the profile.

    Okta may send a profile attribute as null or leave it out ("Properties with null values may be omitted"):
    both are the same user.
    """
    kept = {key: item for key, item in user.items() if key not in DROPPED}
    profile = kept.get("profile")
    if isinstance(profile, dict):
        kept["profile"] = {key: item for key, item in profile.items() if item is not None}
    return kept


def digest(user: Attributes) -> str:
    """A fingerprint of a canonical user's content."""
    return hashlib.sha256(_packed(user, "sorted")).hexdigest()


def last_updated_ms(user: Attributes) -> int:
    """When Okta changed the user last; whole seconds, as Okta keeps it. 0 when it does not say."""
    return parse_stamp(user.get("lastUpdated")) or 0


def find(db: apsw.Connection, user_id: str) -> Held | None:
    """What is held of a user, tombstones too."""
    found = rows(db, "find_user", {"org": ORG, "id": user_id})
    if not found:
        return None
    version, held_digest, body, updated_ms, deleted_ms = found[0]
    return Held(version, held_digest, unpacked(body), updated_ms, deleted_ms)


def shown(row: tuple[Any, ...]) -> dict[str, Any]:
    """A row of `list_users` as the API and the command line show it: the user, and what rosterhook knows of it."""
    _, version, _, body, changed_ms, deleted_ms = row
    return {
        **unpacked(body),
        "rosterhook": {"version": version, "changed": iso(changed_ms), "deleted": iso(deleted_ms)},
    }


def record(
    db: apsw.Connection, user: Attributes, *, fresh: bool, targets: Sequence[str], waiting_ms: int | None, now: int
) -> Verdict:
    """Take a reading of a user, and have every target hold it.

    Args:
        user: canonical; its `id` is the key.
        fresh: read by id, so it is what Okta holds. Only that may bring a tombstone back to life.
        waiting_ms: when the event that led here was published.
    """
    held = find(db, str(user["id"]))
    updated_ms = last_updated_ms(user)
    if held and (updated_ms < held.last_updated_ms or (held.deleted_ms is not None and not fresh)):
        return Verdict.STALE
    content = digest(user)
    if held and held.deleted_ms is None and held.digest == content:
        return Verdict.SAME
    version = held.version + 1 if held else 1
    _save(db, [_row(user, version, content, updated_ms, None, now)], targets, waiting_ms)
    return Verdict.CHANGED


def judge_listed(db: apsw.Connection, users: Iterable[Attributes]) -> list[Listed]:
    """Hold users from a list, which may be seconds old, against the directory. Nothing is written.

    A user is doubtful whose tombstone is there, or another state with the same stamp, which has whole seconds.
    """
    listed = {user["id"]: Listed(user, digest(user), last_updated_ms(user), Verdict.CHANGED) for user in users}
    asked = [{"org": ORG, "id": user_id} for user_id in listed]
    for user_id, version, held_digest, held_ms, deleted_ms in rows_many(db, "find_digests", asked):
        found = listed[user_id]
        found.held = version
        if deleted_ms is not None:
            found.verdict = Verdict.DOUBTFUL
        elif held_digest == found.digest:
            found.verdict, found.version = Verdict.SAME, version
        elif found.updated_ms <= held_ms:
            found.verdict = Verdict.STALE if found.updated_ms < held_ms else Verdict.DOUBTFUL
    return list(listed.values())


def save_listed(db: apsw.Connection, listed: Sequence[Listed], *, mark: int, targets: Sequence[str], now: int) -> None:
    """Keep those that are CHANGED, and have every target hold them; their version is set. Mark all as listed.

    Args:
        mark: of the sweep; see `Sweep`.
    """
    saves, marks = [], []
    for found in listed:
        if found.verdict is Verdict.CHANGED:
            found.version = version = found.held + 1
            row = _row(found.user, version, found.digest, found.updated_ms, None, now)
            saves.append(row | {"mark": mark, "listed_digest": found.digest, "listed_version": version})
        else:
            marks.append({"org": ORG, "id": found.id, "mark": mark, "digest": found.digest, "version": found.version})
    _save(db, saves, targets, None)
    run_many(db, "mark_listed", marks)


def record_gone(
    db: apsw.Connection, user_id: str, *, targets: Sequence[str], waiting_ms: int | None, now: int
) -> Verdict:
    """Okta itself said that a user is gone: leave a tombstone, which outlives the rows in the targets."""
    held = find(db, user_id)
    if held and held.deleted_ms is not None:
        return Verdict.SAME
    user = {**(held.user if held else {"id": user_id, "profile": {}}), "status": DELETED}
    version, updated_ms = (held.version + 1, held.last_updated_ms) if held else (1, 0)
    _save(db, [_row(user, version, digest(user), updated_ms, now, now)], targets, waiting_ms)
    return Verdict.CHANGED


def _row(
    user: Attributes, version: int, content: str, updated_ms: int, deleted_ms: int | None, now: int
) -> dict[str, Any]:
    """What `save_user` takes."""
    return {
        "org": ORG,
        "id": user["id"],
        "version": version,
        "digest": content,
        "status": str(user.get("status") or ""),
        "body": _packed(user).decode(),
        "last_updated_ms": updated_ms,
        "now": now,
        "deleted_ms": deleted_ms,
        "mark": 0,
        "listed_digest": None,
        "listed_version": None,
    }


def _save(
    db: apsw.Connection, saves: Sequence[Mapping[str, Any]], targets: Sequence[str], waiting_ms: int | None
) -> None:
    run_many(db, "save_user", saves)
    links = [
        {
            "org": ORG,
            "target": target,
            "user_id": row["id"],
            "version": row["version"],
            "level": level_of(row["status"], deleted=row["deleted_ms"] is not None),
            "now": row["now"],
            "waiting_ms": waiting_ms,
        }
        for row in saves
        for target in targets
    ]
    run_many(db, "want_link", links)


def unpacked(body: str) -> dict[str, Any]:
    """A user from the `body` of a row."""
    try:
        user: dict[str, Any] = msgspec.json.decode(body)
    except msgspec.DecodeError:
        user = json.loads(body)  # see _packed
    return user


def _packed(user: Attributes, order: Literal["sorted"] | None = None) -> bytes:
    try:
        return msgspec.json.encode(user, order=order)
    except UnicodeEncodeError:
        # Half of a surrogate pair: JSON can say it, and UTF-8 cannot.
        return json.dumps(user, sort_keys=order is not None).encode()


def replay_links(
    db: apsw.Connection,
    *,
    user: str | None = None,
    target: str | None = None,
    parked: bool = False,
    reason: str | None = None,
    since_ms: int | None = None,
    now: int,
) -> int:
    """Have targets hold users anew, as they are here; return how many.

    Args:
        reason: only those whose error has this text in it; a pattern of LIKE, escaped by a backslash.
        since_ms: only those that failed first at or after it.
    """
    wanted = {"target": target, "user_id": user, "parked": int(parked), "reason": reason, "since": since_ms}
    return run(db, "replay_links", {"org": ORG, **wanted, "now": now})


def want_everybody(db: apsw.Connection, target: str, fingerprint: str, now: int) -> None:
    """Have a target hold every user: those it lacks, and all of them anew when its configuration has changed.

    Args:
        fingerprint: of the part of the configuration that decides what is written.
    """
    note = f"target:{target}"
    known = value(db, "read_note", {"org": ORG, "name": note})
    if known is not None and known != fingerprint:
        replay_links(db, target=target, now=now)
    run(db, "want_all_links", {"org": ORG, "target": target, "now": now})
    run(db, "leave_note", {"org": ORG, "name": note, "value": fingerprint, "now": now})
