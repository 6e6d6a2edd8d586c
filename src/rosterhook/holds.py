"""Holds: a batch that would remove too many users from a target waits until a person approves exactly that batch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import apsw
import structlog

from rosterhook.errors import RosterhookError
from rosterhook.model import IN_SERVICE, ORG
from rosterhook.store.queries import rows, run, value

REJECTED = "a person has rejected this removal: the target keeps the user as they were"

log = structlog.get_logger("rosterhook.holds")


#: What a target shows of a user, from in service to no row at all. Only a step upwards removes anything.
SHOWN, SHOWN_DEACTIVATED, SHOWN_GONE, REMOVED = range(4)
#: A target of which nothing is known holds nobody, and so nobody can be removed from it.
NOTHING = 9


@dataclass(frozen=True, slots=True)
class Limit:
    """How many users may be removed from a target within a while without anybody's approval.

    A removal is a user whom the target shall show further out of service than it does; its policies say what it shall.

    Attributes:
        users, percent: only what is above both, so many users and so much of those in service there, is held.
        window_ms: how long a removal counts.
        effects: what the target shows of who is suspended, deactivated and gone.
        had_rows: the target held rows before rosterhook did: then a first delivery may remove somebody too.
    """

    users: int = 20
    percent: float = 5.0
    window_ms: int = 600_000
    effects: tuple[int, int, int] = (SHOWN, SHOWN_DEACTIVATED, SHOWN_GONE)
    had_rows: bool = False

    def shown(self, level: int) -> int:
        """What the target shows of a user who is so far out of service in Okta."""
        return SHOWN if level == IN_SERVICE else self.effects[level - 1]

    @property
    def before(self) -> int:
        """What a target shows to which nothing was delivered yet."""
        return SHOWN if self.had_rows else NOTHING


def limit_of(users: int, percent: float, minutes: float, policies: Sequence[str], *, had_rows: bool) -> Limit:
    """The limit of a configuration.

    Args:
        policies: for who is suspended, deactivated and gone: keep, mark or delete.
        had_rows: see `Limit`.
    """
    marks = (SHOWN, SHOWN_DEACTIVATED, SHOWN_GONE)
    shows = [{"keep": SHOWN, "mark": mark, "delete": REMOVED} for mark in marks]
    suspended, deactivated, gone = (shown[policy] for shown, policy in zip(shows, policies, strict=True))
    return Limit(users, percent, int(minutes * 60_000), (suspended, deactivated, gone), had_rows)


@dataclass(frozen=True, slots=True)
class Hold:
    """A batch that waits.

    Attributes:
        id: made of who is in it and of what shall happen to each: another batch has another id.
        since_ms: when the first of them joined.
        users: as they are now: id, status, login.
    """

    id: str
    target: str
    since_ms: int
    users: Sequence[dict[str, str]]


def is_over(db: apsw.Connection, target: str, limit: Limit, now: int) -> bool:
    """Tell whether what waits to be removed from a target is too much to happen by itself."""
    if limit.percent >= 100:
        return False
    waiting = int(value(db, "count_removals", _removals(target, limit)))
    if not waiting:
        return False
    since = now - limit.window_ms
    removed = int(value(db, "count_removed", {"org": ORG, "target": target, "since": since, "now": now}))
    held, first_ms = rows(db, "count_held", {"org": ORG, "target": target})[0]
    # What follows a hold at once belongs to it. Who leaves later is an ordinary leaver.
    batch = waiting + removed + (held if first_ms is not None and since <= first_ms <= now else 0)
    if batch <= limit.users:
        return False
    before = int(value(db, "count_in_service", {"org": ORG, "target": target})) + removed
    return batch > before * limit.percent / 100


def hold_back(db: apsw.Connection, target: str, limit: Limit, now: int) -> int:
    """Hold every removal that waits for a target and is not approved; return how many."""
    held = run(db, "hold_removals", {**_removals(target, limit), "now": now})
    log.error("removals.held", target=target, users=held, hint="Look: `rosterhook holds`. Then approve or reject.")
    return held


def release_absent(db: apsw.Connection, targets: Sequence[str]) -> None:
    """Let go what is held of targets that are configured no more."""
    for (target,) in rows(db, "held_targets", {"org": ORG}):
        if target not in targets:
            run(db, "release_held", {"org": ORG, "target": target})


def _removals(target: str, limit: Limit) -> dict[str, object]:
    suspended, deactivated, deleted = limit.effects
    effects = {"suspended": suspended, "deactivated": deactivated, "deleted": deleted}
    return {"org": ORG, "target": target, "before": limit.before, **effects}


def is_any(db: apsw.Connection) -> bool:
    """Tell whether anything is held."""
    return value(db, "any_held", {"org": ORG}) is not None


def list_holds(db: apsw.Connection) -> list[Hold]:
    """Every batch that waits: at most one for each target."""
    found = rows(db, "list_held", {"org": ORG})
    return [_hold(target, list(batch)) for target, batch in groupby(found, key=lambda row: str(row[0]))]


def approve(db: apsw.Connection, hold_id: str, now: int) -> Hold:
    """Let a batch happen.

    Raises:
        RosterhookError: no such batch waits; it may be another one now.
    """
    hold = _find(db, hold_id)
    run(db, "approve_held", {"org": ORG, "target": hold.target, "now": now})
    log.warning("removals.approved", hold=hold.id, target=hold.target, users=len(hold.users))
    return hold


def reject(db: apsw.Connection, hold_id: str, now: int) -> Hold:
    """Leave a batch undone: its users are parked, and stay in the target as they are until something changes.

    Raises:
        RosterhookError: no such batch waits; it may be another one now.
    """
    hold = _find(db, hold_id)
    run(db, "reject_held", {"org": ORG, "target": hold.target, "now": now, "error": REJECTED})
    log.warning("removals.rejected", hold=hold.id, target=hold.target, users=len(hold.users))
    return hold


def _find(db: apsw.Connection, hold_id: str) -> Hold:
    holds = list_holds(db)
    for hold in holds:
        if hold.id == hold_id.strip().lower():
            return hold
    there = ", ".join(f"{hold.id} ({hold.target}, {len(hold.users):,} users)" for hold in holds)
    raise RosterhookError(
        f"There is no hold {hold_id!r}. Nothing was changed.",
        hint=f"The batch may have changed since you looked. Held now: {there}. Look again: `rosterhook holds`."
        if holds
        else "Nothing is held now.",
    )


def _hold(target: str, batch: Sequence[tuple[Any, ...]]) -> Hold:
    since_ms = min(held_ms for _, _, _, held_ms, _ in batch)
    fingerprint = _fingerprint(target, ((user_id, wanted) for _, user_id, wanted, _, _ in batch))
    return Hold(fingerprint, target, since_ms, [_shown(user_id, json.loads(body)) for _, user_id, _, _, body in batch])


def _fingerprint(target: str, wanted: Iterable[tuple[str, int]]) -> str:
    told = json.dumps([target, *sorted(wanted)])
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def _shown(user_id: str, user: dict[str, Any]) -> dict[str, str]:
    profile = user.get("profile") or {}
    return {"id": user_id, "status": str(user.get("status") or ""), "login": str(profile.get("login") or "")}
