"""What the worker does before its first step, and now and then: what no event tells."""

from __future__ import annotations

import asyncio
import hashlib
import json
from pathlib import Path
from typing import Any

import apsw
import structlog

from rosterhook import directory, sweeps
from rosterhook.config import Config, SqlTarget
from rosterhook.dispatcher import next_epoch
from rosterhook.errors import StoreError, TargetError
from rosterhook.holds import Limit, limit_of, release_absent
from rosterhook.hook_secrets import read_record
from rosterhook.model import ORG
from rosterhook.notes import BORN, leave_note, read_note
from rosterhook.observe import without_password
from rosterhook.store.database import Database
from rosterhook.store.queries import run, value
from rosterhook.stores import org_of, refuse_other_org
from rosterhook.targets import Target

#: No wait that this service itself orders is longer. Who would wait longer at a start waits because of a clock that was
#: set back meanwhile.
LONGEST_WAIT_MS = 90 * 1000
#: A target that is down must not hold up the start.
LOOK_SECONDS = 5.0

_NOT_WHAT_IS_WRITTEN = {"name", "url", "url_file", "drift", "hold_users", "hold_percent", "hold_minutes"}

log = structlog.get_logger("rosterhook.upkeep")


def prepare(db: apsw.Connection, config: Config, now: int) -> int:
    """Before the first step: the right org, everybody wanted by every target, and the epoch of this worker."""
    _same_org(db, config.okta.org_url, now)
    for target in config.targets:
        directory.want_everybody(db, target.name, fingerprint(target), now)
    release_absent(db, [target.name for target in config.targets])
    wake(db, now, later_ms=LONGEST_WAIT_MS)
    if not read_note(db, BORN)[0]:
        leave_note(db, BORN, {"at_ms": now}, now)
    if config.okta.login and config.reconcile.first_load and sweeps.newest(db) is None:
        sweeps.order(db, "backfill", "first start", now)
    return next_epoch(db, now)


def wake(db: apsw.Connection, now: int, *, later_ms: int) -> None:
    """Give everybody their next chance now who would wait for more than `later_ms`: the clock was set back."""
    for name in ("wake_subjects", "wake_links"):
        run(db, name, {"now": now, "later": now + later_ms})


def prune(db: apsw.Connection, before: int, days: float) -> bool:
    """Forget a little of what is old; tell whether there may be more."""
    if forgotten := run(db, "prune_quarantine", {"before": before}):
        log.warning("quarantine.pruned", deliveries=forgotten, older_than_days=days)
    run(db, "prune_hours", {"before": before})
    run(db, "prune_sweeps", {"before": before})
    return run(db, "prune_events", {"before": before}) > 0 or forgotten > 0


async def look_at_first(state: Database, target: Target, now: int) -> None:
    """Remember of a new target whether it holds rows already: to write into those may remove somebody."""
    note = f"rows:{target.name}"
    if await state.read(lambda db: _is_known(db, target.name)):
        return
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            had_rows = await anext(target.snapshot(), None) is not None
    except (TargetError, TimeoutError) as error:
        log.warning("target.not_looked_at", target=target.name, error=str(error), hint="It counts as one with rows.")
        had_rows = True
    await state.write(lambda db: leave_note(db, note, {"had_rows": had_rows}, now))


def limit_for(db: apsw.Connection, target: SqlTarget) -> Limit:
    """How much may be removed from a target without approval."""
    had_rows = bool(read_note(db, f"rows:{target.name}")[0].get("had_rows"))
    policies = (target.suspended, target.deactivated, target.deleted)
    return limit_of(target.hold_users, target.hold_percent, target.hold_minutes, policies, had_rows=had_rows)


def our_hooks(data_dir: Path) -> frozenset[str]:
    """Okta's ids of the hooks that call us; none when they are not known."""
    try:
        return read_record(data_dir).hook_ids()
    except StoreError as error:
        log.warning("hook.record_unreadable", error=error.message, hint=error.hint)
        return frozenset()


def _is_known(db: apsw.Connection, target: str) -> bool:
    return read_note(db, f"rows:{target}")[1] is not None or value(db, "any_link", {"org": ORG, "target": target}) == 1


def _same_org(db: apsw.Connection, org_url: str | None, now: int) -> None:
    refuse_other_org(db, org_url)
    if org_url is not None and org_of(db) is None:
        run(db, "leave_note", {"org": ORG, "name": "org_url", "value": org_url, "now": now})


def fingerprint(target: SqlTarget) -> str:
    """Of all in a target's configuration that decides what is written where; not of its password."""
    settings: dict[str, Any] = target.model_dump(mode="json", exclude=_NOT_WHAT_IS_WRITTEN)
    settings["url"] = without_password(target.url.get_secret_value())
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()
