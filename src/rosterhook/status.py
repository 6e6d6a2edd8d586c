"""How things stand: one reading of both stores, for the command line, the API and the metrics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import apsw

from rosterhook import holds, sweeps
from rosterhook.access import why_lost
from rosterhook.inbox import last_seq
from rosterhook.intake import handed_over
from rosterhook.model import DELETED, ORG
from rosterhook.notes import REFUSED, read_note
from rosterhook.store.database import Database
from rosterhook.store.queries import rows, value

#: The worker leaves a note every two seconds; after so many without one it is not running.
WORKER_SILENT_SECONDS = 15

Status = dict[str, Any]

#: What is known of the hook while no worker has judged it.
_UNHEARD = {"silent": False, "missed": 0, "missed_since": None, "events_of_day": 0, "warning": ""}


async def read_status(inbox: Database, state: Database, targets: Sequence[str], now: int) -> Status:
    """What `rosterhook status --json` prints.

    Returns:
        deliveries {received, waiting, quarantined}, events {stored, duplicates}, subjects {due, parked,
        oldest_due_seconds}, users {active, total, deleted}, targets [{name, in_sync, pending, parked, held, error}]
        (users by how the target holds them), okta {mode, budget, error, read_seconds_ago, access} (access: why Okta
        seems to hide users), log {followed, error, polled_seconds_ago}, lag_seconds {p50, p99} (event published ->
        written, of the last 1,000 deliveries; null before the first), worker {running}, hook {refused,
        refused_seconds_ago, silent, missed, missed_since, events_of_day, warning} (calls of Okta with a wrong secret
        since the web process began; what the log told and no delivery brought), sweeps {current, last} (as
        `Sweep.as_json`, or null).
    """
    offset = await state.read(handed_over)
    received, waiting = await inbox.read(
        lambda db: (last_seq(db), value(db, "count_deliveries_after", {"after": offset}))
    )
    status = await state.read(lambda db: _status(db, targets, now))
    status["deliveries"] |= {"received": received, "waiting": waiting}
    return status


def _status(db: apsw.Connection, targets: Sequence[str], now: int) -> Status:
    counters = dict(rows(db, "read_counters", {"org": ORG}))
    worker, seen_ms = read_note(db, "worker")
    errors = worker.get("targets", {})
    return {
        "deliveries": {"quarantined": value(db, "count_quarantine", {"org": ORG})},
        "events": {"stored": counters.get("events_stored", 0), "duplicates": counters.get("events_duplicate", 0)},
        "subjects": _subjects(db, now),
        "users": _users(db),
        "targets": [_target(db, name, errors.get(name, "")) for name in targets],
        "okta": {**_okta(worker.get("okta", {}), now), "access": why_lost(db)},
        "log": _log(worker.get("log", {}), now),
        "sweeps": _sweeps(db),
        "lag_seconds": lag_seconds([lag for (lag,) in rows(db, "recent_lags")]),
        "worker": {"running": _runs(seen_ms, now)},
        "hook": {**_hook(read_note(db, REFUSED)[0], now), **(worker.get("hook") or _UNHEARD)},
    }


def read_health(db: apsw.Connection, now: int) -> dict[str, Any]:
    """What `/readyz` tells strangers: no name, no number of users, and nothing that takes long to find out."""
    worker, seen_ms = read_note(db, "worker")
    oldest_ms = value(db, "next_due_subject")
    return {
        "worker": "running" if _runs(seen_ms, now) else "not running",
        "okta": _reachable(worker.get("okta", {})),
        "access": why_lost(db) and "lost: Okta hides users it used to show; nobody is deleted. See the status",
        "log": _followed(worker.get("log", {})),
        "hook": "silent: see the status" if worker.get("hook", {}).get("silent") else "heard, or nothing to hear",
        "removals": "held: a person must approve or reject them" if holds.is_any(db) else "none held",
        "oldest_due_seconds": _age(oldest_ms, now),
    }


def _followed(noted: dict[str, Any]) -> str:
    if not noted.get("followed"):
        return "not followed"
    return "not readable: see the status" if noted.get("error") else "followed"


def _reachable(okta: dict[str, Any]) -> str:
    if okta.get("error"):
        return "not reachable: see the status"
    if okta.get("mode") == "events":
        return "not asked: there is no token"
    return "reachable" if okta.get("read_ms") is not None else "not read yet"


def _runs(seen_ms: int | None, now: int) -> bool:
    return seen_ms is not None and now - seen_ms < WORKER_SILENT_SECONDS * 1000


def _age(at_ms: int | None, now: int) -> float:
    return max(0.0, (now - at_ms) / 1000) if at_ms is not None else 0.0


def lag_seconds(lags_ms: Sequence[int]) -> dict[str, float | None]:
    """Median and 99th percentile (nearest rank) in seconds.

    >>> lag_seconds([100, 200, 300])
    {'p50': 0.2, 'p99': 0.3}
    >>> lag_seconds([])
    {'p50': None, 'p99': None}
    """
    ordered = sorted(lags_ms)
    if not ordered:
        return {"p50": None, "p99": None}

    def rank(percent: int) -> float:
        return ordered[-(-len(ordered) * percent // 100) - 1] / 1000

    return {"p50": rank(50), "p99": rank(99)}


def _subjects(db: apsw.Connection, now: int) -> dict[str, Any]:
    states = dict(rows(db, "count_subjects", {"org": ORG}))
    oldest_ms = value(db, "next_due_subject")
    return {
        "due": states.get("due", 0) + states.get("claimed", 0),
        "parked": states.get("parked", 0),
        "oldest_due_seconds": _age(oldest_ms, now),
    }


def _users(db: apsw.Connection) -> dict[str, int]:
    statuses = dict(rows(db, "count_users", {"org": ORG}))
    deleted = statuses.pop(DELETED, 0)
    return {"active": statuses.get("ACTIVE", 0), "total": sum(statuses.values()), "deleted": deleted}


def _target(db: apsw.Connection, name: str, error: str) -> dict[str, Any]:
    states = dict(rows(db, "count_links", {"org": ORG, "target": name}))
    return {
        "name": name,
        "in_sync": states.get("ok", 0),
        "pending": states.get("pending", 0),
        "parked": states.get("parked", 0),
        "held": states.get("held", 0),
        "error": error,
    }


def _hook(refused: dict[str, Any], now: int) -> dict[str, Any]:
    count = refused.get("count", 0)
    return {"refused": count, "refused_seconds_ago": _age(refused["last_ms"], now) if count else None}


def _log(noted: dict[str, Any], now: int) -> dict[str, Any]:
    return {
        "followed": noted.get("followed", False),
        "error": noted.get("error", ""),
        "polled_seconds_ago": None if noted.get("polled_ms") is None else _age(noted["polled_ms"], now),
    }


def _sweeps(db: apsw.Connection) -> dict[str, Any]:
    waiting, over = sweeps.open_sweeps(db), sweeps.last_over(db)
    return {"current": waiting[0].as_json() if waiting else None, "last": over.as_json() if over else None}


def _okta(noted: dict[str, Any], now: int) -> dict[str, Any]:
    read_ms = noted.get("read_ms")
    return {
        "mode": noted.get("mode", "unknown"),
        "budget": noted.get("budget", {}),
        "error": noted.get("error", ""),
        "read_seconds_ago": (now - read_ms) / 1000 if read_ms is not None else None,
    }
