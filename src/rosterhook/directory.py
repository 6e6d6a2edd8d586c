"""The directory: one canonical copy of every user, which never goes back to an older state."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import apsw

from rosterhook.model import DELETED, ORG, Attributes, iso, level_of
from rosterhook.okta.events import parse_stamp
from rosterhook.store.queries import rows, run, run_many, value

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
    """What became of a reading."""

    CHANGED = "changed"
    SAME = "same"
    STALE = "stale"
    DOUBTFUL = "doubtful"


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
    return hashlib.sha256(json.dumps(user, sort_keys=True).encode()).hexdigest()


def last_updated_ms(user: Attributes) -> int:
    """When Okta changed the user last; whole seconds, as Okta keeps it. 0 when it does not say."""
    return parse_stamp(user.get("lastUpdated")) or 0


def find(db: apsw.Connection, user_id: str) -> Held | None:
    """What is held of a user, tombstones too."""
    found = rows(db, "find_user", {"org": ORG, "id": user_id})
    if not found:
        return None
    version, held_digest, body, updated_ms, deleted_ms = found[0]
    return Held(version, held_digest, json.loads(body), updated_ms, deleted_ms)


def shown(row: tuple[Any, ...]) -> dict[str, Any]:
    """A row of `list_users` as the API and the command line show it: the user, and what rosterhook knows of it."""
    _, version, _, body, changed_ms, deleted_ms = row
    return {
        **json.loads(body),
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
    if held and held.deleted_ms is None and held.digest == digest(user):
        return Verdict.SAME
    _save(db, user, updated_ms, None, targets, waiting_ms, now)
    return Verdict.CHANGED


def record_listed(
    db: apsw.Connection, user: Attributes, *, targets: Sequence[str], now: int
) -> tuple[Verdict, int | None]:
    """Take a user from a list, which may be seconds old.

    Returns:
        The verdict: DOUBTFUL when only a read by id can tell, because there is a tombstone, or another state with the
        same stamp, which has whole seconds. And the version of the copy that is this very state; None without one.
    """
    found = rows(db, "find_digest", {"org": ORG, "id": user["id"]})
    updated_ms = last_updated_ms(user)
    if found:
        version, held_digest, held_ms, deleted_ms = found[0]
        if deleted_ms is not None:
            return Verdict.DOUBTFUL, None
        if held_digest == digest(user):
            return Verdict.SAME, version
        if updated_ms <= held_ms:
            return (Verdict.STALE if updated_ms < held_ms else Verdict.DOUBTFUL), None
    return Verdict.CHANGED, _save(db, user, updated_ms, None, targets, None, now)


def record_gone(
    db: apsw.Connection, user_id: str, *, targets: Sequence[str], waiting_ms: int | None, now: int
) -> Verdict:
    """Okta itself said that a user is gone: leave a tombstone, which outlives the rows in the targets."""
    held = find(db, user_id)
    if held and held.deleted_ms is not None:
        return Verdict.SAME
    user = {**(held.user if held else {"id": user_id, "profile": {}}), "status": DELETED}
    _save(db, user, held.last_updated_ms if held else 0, now, targets, waiting_ms, now)
    return Verdict.CHANGED


def _save(
    db: apsw.Connection,
    user: Attributes,
    updated_ms: int,
    deleted_ms: int | None,
    targets: Sequence[str],
    waiting_ms: int | None,
    now: int,
) -> int:
    version = value(
        db,
        "save_user",
        {
            "org": ORG,
            "id": user["id"],
            "digest": digest(user),
            "status": str(user.get("status") or ""),
            "body": json.dumps(user),
            "last_updated_ms": updated_ms,
            "now": now,
            "deleted_ms": deleted_ms,
        },
    )
    level = level_of(user.get("status"), deleted=deleted_ms is not None)
    link = {
        "org": ORG, "user_id": user["id"], "version": version, "level": level, "now": now, "waiting_ms": waiting_ms
    }  # fmt: skip
    run_many(db, "want_link", [{**link, "target": target} for target in targets])
    return int(version)


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
