"""Sweeps: full reads of Okta, as rows: ordered by anybody, worked off by the worker, watched from anywhere."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import apsw
import structlog

from rosterhook.model import ORG, Drift, iso
from rosterhook.store.queries import rows, run, run_many, value

#: "backfill" reads everybody and fills the targets; "reconcile" compares the targets too, and ends with a proof;
#: "changes" reads only who was changed lately.
Kind = Literal["backfill", "reconcile", "changes"]
#: In this order. A sweep that is "done" or "failed" is over.
PHASES = ("asked", "reading", "confirming", "filling", "comparing", "repairing", "done", "failed")
#: Of each kind and target so many differences are kept one by one; all are counted.
MOST_FINDINGS = 1000
#: The place in `finding` of what Okta's own list says.
OKTA = ""
#: The place in `seen` of whom Okta is asked for by id.
ASKED_FOR = "?"

log = structlog.get_logger("rosterhook.sweeps")


@dataclass(frozen=True, slots=True)
class Sweep:
    """One full read, and how far it is.

    Attributes:
        reason: who or what ordered it, in words.
        options: `target`: compare only this one; `accept_missing`: who is not found by id is gone, a person says so;
            `since`: read only who was changed after this stamp.
        place: of the next page of Okta's list.
        listed: users that Okta's list had so far.
        known: users whom the directory held at the start.
        error: what hinders it now, or why it failed.
        report: what was found; at the end with the proof.
        mark: of the users whom its list had.
    """

    id: int
    kind: Kind
    reason: str
    options: Mapping[str, Any]
    phase: str
    place: str | None
    listed: int
    calls: int
    known: int
    asked_ms: int
    started_ms: int | None
    phase_ms: int | None
    finished_ms: int | None
    error: str | None
    report: dict[str, Any]
    mark: int

    def as_json(self) -> dict[str, Any]:
        """As `status` and the commands show it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "reason": self.reason,
            "phase": self.phase,
            "listed": self.listed,
            "calls": self.calls,
            "asked": iso(self.asked_ms),
            "started": iso(self.started_ms),
            "finished": iso(self.finished_ms),
            "error": self.error or "",
            "report": self.report,
        }


_COLUMNS = tuple(each.name for each in fields(Sweep))


def order(db: apsw.Connection, kind: Kind, reason: str, now: int, **options: Any) -> int:
    """Ask for a sweep; return its number. One of the same kind that has not begun yet serves both.

    Args:
        options: see `Sweep`.
    """
    for sweep in open_sweeps(db):
        if sweep.phase == "asked" and (sweep.kind, dict(sweep.options)) == (kind, options):
            return sweep.id
    wanted = {"org": ORG, "kind": kind, "reason": reason, "options": json.dumps(options), "now": now}
    return int(value(db, "order_sweep", wanted))


def open_sweeps(db: apsw.Connection) -> list[Sweep]:
    """Every sweep that is not over, the oldest first. The first is the one that is worked on."""
    return [_sweep(row) for row in rows(db, "open_sweeps", {"org": ORG})]


def find(db: apsw.Connection, number: int) -> Sweep | None:
    """The sweep with this number."""
    found = rows(db, "find_sweep", {"org": ORG, "id": number})
    return _sweep(found[0]) if found else None


def newest(db: apsw.Connection, kind: Kind | None = None) -> Sweep | None:
    """The sweep that was ordered last, of this kind if one is named."""
    found = rows(db, "newest_sweeps", {"org": ORG, "kind": kind, "limit": 1})
    return _sweep(found[0]) if found else None


def last_over(db: apsw.Connection, kind: Kind | None = None) -> Sweep | None:
    """The sweep that ended last, done or failed."""
    found = rows(db, "last_over", {"org": ORG, "kind": kind})
    return _sweep(found[0]) if found else None


def enter(db: apsw.Connection, sweep: Sweep, phase: str, now: int, **report: Any) -> None:
    """Go on to the next phase, with what was found so far."""
    told = json.dumps({**sweep.report, **report})
    run(db, "enter_phase", {"id": sweep.id, "phase": phase, "now": now, "report": told})
    log.info("sweep.phase", sweep=sweep.id, kind=sweep.kind, phase=phase)


def begin(db: apsw.Connection, sweep: Sweep, place: str, now: int) -> None:
    """Start with the first page; also anew, when Okta does not know the place any more, which is counted."""
    known = int(value(db, "count_living", {"org": ORG}))
    run(db, "forget_seen", {"org": ORG, "target": ASKED_FOR})
    restarts = int(sweep.report.get("restarts", -1)) + 1
    # What was changed before a restart is not news a second time.
    told = json.dumps({"restarts": restarts, "changed": sweep.report.get("changed", 0)})
    run(db, "begin_sweep", {"id": sweep.id, "place": place, "known": known, "now": now, "report": told})
    if not restarts:
        run(db, "forget_findings", {"sweep": sweep.id, "target": None})
    log.info("sweep.begun", sweep=sweep.id, kind=sweep.kind, reason=sweep.reason, known=known, restarts=restarts)


def advance(db: apsw.Connection, sweep: Sweep, place: str, listed: int, report: Mapping[str, Any]) -> None:
    """A page is kept; `place` is behind it, and "" behind the last."""
    told = json.dumps({**sweep.report, **report})
    run(db, "page_read", {"id": sweep.id, "place": place, "listed": listed, "report": told})


def hinder(db: apsw.Connection, sweep: Sweep, error: str) -> None:
    """Tell what holds a sweep up."""
    run(db, "sweep_hindered", {"id": sweep.id, "error": error})


def reread(db: apsw.Connection, sweep: Sweep) -> Sweep:
    """The sweep as it is after what this transaction has written."""
    found = find(db, sweep.id)
    assert found is not None  # noqa: S101 - for the type checker: a sweep under way is not removed
    return found


def end(db: apsw.Connection, sweep: Sweep, now: int, *, error: str | None = None, **report: Any) -> None:
    """Be over: done, or failed with an error."""
    told = {
        "id": sweep.id, "phase": "failed" if error else "done", "now": now, "error": error,
        "report": json.dumps({**sweep.report, **report}),
    }  # fmt: skip
    run(db, "end_sweep", told)
    run(db, "forget_seen", {"org": ORG, "target": ASKED_FOR})
    if error:
        log.error("sweep.failed", sweep=sweep.id, kind=sweep.kind, error=error)
    else:
        log.info("sweep.done", sweep=sweep.id, kind=sweep.kind, listed=sweep.listed, calls=sweep.calls)


def keep_findings(db: apsw.Connection, sweep: Sweep, target: str, found: list[tuple[str, Drift]], already: int) -> None:
    """Keep differences one by one, up to MOST_FINDINGS.

    Args:
        found: users with what differs.
        already: how many of this target were found before these.
    """
    kept = found[: max(0, MOST_FINDINGS - already)]
    common = {"sweep": sweep.id, "target": target}
    rows_of = [{**common, "user_id": u, "kind": d.kind, "fields": json.dumps(dict(d.fields))} for u, d in kept]
    run_many(db, "add_finding", rows_of)


def forget_findings(db: apsw.Connection, sweep: Sweep, target: str) -> None:
    """Before a target is compared anew."""
    run(db, "forget_findings", {"sweep": sweep.id, "target": target})


def findings(db: apsw.Connection, number: int) -> list[dict[str, Any]]:
    """What a sweep found unequal, as the commands show it: target ("" for Okta), user, kind, fields."""
    return [
        {"target": target, "user": user_id, "kind": kind, "fields": json.loads(differing)}
        for target, user_id, kind, differing in rows(db, "list_findings", {"sweep": number})
    ]


def _sweep(row: Sequence[Any]) -> Sweep:
    told = dict(zip(_COLUMNS, row, strict=True))
    return Sweep(**{**told, "options": json.loads(told["options"]), "report": json.loads(told["report"] or "{}")})
