"""A full read of Okta: every page of its list into the directory, and who is missing in it asked for by id."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import apsw
import structlog

from rosterhook import access, directory, sweeps
from rosterhook.arrivals import make_due
from rosterhook.directory import Listed, Verdict
from rosterhook.model import ORG, Attributes, Drift
from rosterhook.okta.pages import Page, User
from rosterhook.store.queries import run, run_many, value
from rosterhook.sweeps import ASKED_FOR, OKTA, Sweep

#: Users a page: the most that Okta gives.
PAGE = 200
#: Asked for by id, when so many are missing that access seems to be lost.
SAMPLE = 20
EVERYBODY = -1

log = structlog.get_logger("rosterhook.full_read")


class Lister(Protocol):
    """The part of the Okta client that lists users."""

    async def user_page(self, place: str) -> Page[User]:
        """Read one page."""


def keep_page(
    db: apsw.Connection, sweep: Sweep, page: Page[User], targets: Sequence[str], now: int, *, findings: bool
) -> int:
    """Keep the users of a page, and the place behind it, in one transaction; return how many were news.

    Args:
        findings: keep what differs from the directory, one by one.
    """
    named = [row for row in page.rows if isinstance(row.get("id"), str) and row["id"]]
    if len(named) < len(page.rows):
        log.warning("users.without_id", rows=len(page.rows) - len(named), hint="Okta listed them; they are left out.")
    users = {row["id"]: row for row in named}
    if len(users) < len(named):  # somebody moved while the page was made: the newer row counts
        users = {row["id"]: row for row in sorted(named, key=directory.last_updated_ms)}
    again = all(value(db, "is_listed", {"org": ORG, "id": user_id, "mark": sweep.mark}) for user_id in users)
    listed = directory.judge_listed(db, map(directory.canonical, users.values()))
    differing = _differing(db, listed) if findings else []
    directory.save_listed(db, listed, mark=sweep.mark, targets=targets, now=now)
    _ask_for_doubtful(db, listed, now)
    before = {verdict: int(sweep.report.get(verdict.value, 0)) for verdict in Verdict}
    found = Counter(each.verdict for each in listed)
    already = before[Verdict.CHANGED] + before[Verdict.DOUBTFUL]
    sweeps.keep_findings(db, sweep, OKTA, differing, already)
    report = {verdict.value: number + found[verdict] for verdict, number in before.items()}
    report["again"] = int(sweep.report.get("again", 0)) + 1 if again else 0
    sweeps.advance(db, sweep, page.next or "", len(users), report)
    return found[Verdict.CHANGED]


def judge(db: apsw.Connection, sweep: Sweep, now: int) -> None:
    """After the last page: ask for whom the list lacks, or see that it is we who may not look any more."""
    sweep = sweeps.reread(db, sweep)
    listed, missing = _count(db, "count_listed", mark=sweep.mark), _count(db, "count_missing", mark=sweep.mark)
    known = _count(db, "count_living")
    report = {"listed": listed, "missing": missing}
    if listed == 0 and known > 0:
        reason = f"Okta lists nobody, where {known:,} users are known"
        access.lose(db, reason, now)
        sweeps.end(db, sweep, now, error=f"{reason}: nobody is deleted. {access.ROLE}", **report)
        return
    run(db, "forgive_hidden", {"org": ORG, "mark": sweep.mark})
    sampled = access.is_wave(missing, known) and not sweep.options.get("accept_missing")
    if sampled:
        access.suspect(db, f"Okta's list lacks {missing:,} of {known:,} known users", now)
    else:
        access.regain(db, now)
    _ask(db, sweep, now, SAMPLE if sampled else EVERYBODY)
    sweeps.enter(db, sweep, "confirming", now, sampled=sampled, **report)


def confirmed(db: apsw.Connection, sweep: Sweep, now: int, *, give_up: bool) -> bool:
    """Tell whether all who were asked for are answered, and go on if they are.

    A sample of very many missing users that Okta does not find either is lost access: then nobody is deleted.

    Args:
        give_up: do not wait any longer for those whom Okta does not answer for.
    """
    unanswered = unconfirmed(db)
    if unanswered and not give_up:
        return False
    not_found = _count(db, "count_not_found")
    if not sweep.report.get("sampled"):
        run(db, "forget_cleared_doubts", {"org": ORG, "sweep": sweep.id, "mark": sweep.mark})
        sweeps.enter(db, sweep, "filling", now, not_found=not_found, unanswered=unanswered)
    elif not_found or unanswered:
        missing, known = _count(db, "count_missing", mark=sweep.mark), _count(db, "count_living")
        reason = f"Okta's list lacks {missing:,} of {known:,} known users"
        access.lose(db, reason, now)
        told = f"{reason}, and does not find {not_found + unanswered} of {SAMPLE} by id either: nobody is deleted."
        sweeps.end(db, sweep, now, error=f"{told} {access.ROLE} {access.ACCEPT}")
    else:
        # They exist, or an event has told of each deletion: the list was not whole. So the others are asked for too.
        access.regain(db, now)
        _ask(db, sweep, now, EVERYBODY)
        sweeps.enter(db, sweep, "confirming", now, sampled=False)
    return True


def ask_for_stranger(db: apsw.Connection, target: str, user_id: str, now: int) -> None:
    """Ask for somebody who is in a target, and of whom nothing else is known.

    If Okta does not know the id either, the target's row is removed as that of anybody who is gone, but not before a
    person has approved it: a role that never reached the user says the same.
    """
    run(db, "claim_stranger", {"org": ORG, "target": target, "user_id": user_id, "now": now})
    run(db, "see", _asked_for(user_id))
    make_due(db, user_id, now)
    run(db, "mark_stranger", {"org": ORG, "id": user_id})


def unconfirmed(db: apsw.Connection) -> int:
    """For how many of those who were asked for Okta has not answered yet."""
    return _count(db, "count_unconfirmed")


def difference(before: Attributes | None, after: Attributes) -> Drift:
    """What differs between two states of a user, field by field; profile attributes are fields of their own."""
    if before is None:
        return Drift("missing", {path: (None, item) for path, item in _flat(after).items()})
    old, new = _flat(before), _flat(after)
    paths = sorted(path for path in {*old, *new} if old.get(path) != new.get(path))
    return Drift("changed", {path: (old.get(path), new.get(path)) for path in paths})


def _flat(user: Attributes) -> dict[str, Any]:
    profile = user.get("profile")
    attributes: Mapping[str, Any] = profile if isinstance(profile, dict) else {}
    others = {key: item for key, item in user.items() if key != "profile"}
    return {**others, **{f"profile.{key}": item for key, item in attributes.items()}}


def _differing(db: apsw.Connection, listed: Sequence[Listed]) -> list[tuple[str, Drift]]:
    """What is not as the directory holds it. Who has a tombstone there is only in doubt."""
    found = []
    for each in listed:
        if each.verdict in (Verdict.CHANGED, Verdict.DOUBTFUL):
            held = _held(db, each.id)
            if held is not None or each.verdict is Verdict.CHANGED:
                found.append((each.id, difference(held, each.user)))
    return found


def _ask_for_doubtful(db: apsw.Connection, listed: Sequence[Listed], now: int) -> None:
    doubtful = [each.id for each in listed if each.verdict is Verdict.DOUBTFUL]
    for user_id in doubtful:
        make_due(db, user_id, now)
    run_many(db, "see", [_asked_for(user_id) for user_id in doubtful])


def _asked_for(user_id: str) -> dict[str, object]:
    return {"org": ORG, "target": ASKED_FOR, "id": user_id}


def _held(db: apsw.Connection, user_id: str) -> Attributes | None:
    held = directory.find(db, user_id)
    return None if held is None or held.deleted_ms is not None else held.user


def _ask(db: apsw.Connection, sweep: Sweep, now: int, limit: int) -> None:
    run(db, "note_missing", {"org": ORG, "mark": sweep.mark, "limit": limit})
    accepted = int(bool(sweep.options.get("accept_missing")))
    run(db, "ask_for_missing", {"org": ORG, "mark": sweep.mark, "now": now, "accepted": accepted})


def _count(db: apsw.Connection, name: str, **values: object) -> int:
    return int(value(db, name, {"org": ORG, **values}))
