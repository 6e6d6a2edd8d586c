"""Doing again: what an operator orders by hand after mending a cause."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from rosterhook.arrivals import HOOK, make_due, record_event
from rosterhook.directory import record_gone, replay_links
from rosterhook.errors import RosterhookError
from rosterhook.model import ORG
from rosterhook.okta import events as okta_events
from rosterhook.store.queries import rows, run

EVERYTHING = 1_000_000_000
#: Okta's ids have letters and digits alone ("00u" and 17 more); other fakes of Okta are a little freer.
_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
#: What LIKE takes for more than itself.
_LIKE = re.compile(r"[\\%_]")


@dataclass
class Replayed:
    """What was ordered.

    Attributes:
        reads: users who will be read from Okta again.
        writes: users whom a target will be given again.
        deliveries: deliveries taken out of quarantine.
        still_quarantined: deliveries that still are no event hook.
    """

    reads: int = 0
    writes: int = 0
    deliveries: int = 0
    still_quarantined: int = 0

    def __add__(self, other: Replayed) -> Replayed:
        return Replayed(
            self.reads + other.reads,
            self.writes + other.writes,
            self.deliveries + other.deliveries,
            self.still_quarantined + other.still_quarantined,
        )


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done again.

    Attributes:
        users: Okta ids to read and write again.
        gone: these users are parked, and a person has found out that they are deleted. With `parked`: all who are
            parked because Okta knows them no more.
        target: only this one; None for all.
        parked: everything parked.
        reason: of what is parked, only that whose reason has this text in it.
        since_ms: of what is parked, only what failed first at or after it.
        quarantined: deliveries that were not understood.
        everybody: write every user again.
    """

    users: Sequence[str] = ()
    gone: bool = False
    target: str | None = None
    parked: bool = False
    reason: str | None = None
    since_ms: int | None = None
    quarantined: bool = False
    everybody: bool = False


def carry_out(db: apsw.Connection, order: Order, targets: Sequence[str], now: int) -> Replayed:
    """Do what was ordered.

    Args:
        targets: names of all targets.

    Raises:
        RosterhookError: what is named can be no user's id, or a user who shall be gone is not parked.
    """
    _refuse_what_is_no_id(order.users)
    if order.gone:
        hidden = [str(user) for (user,) in rows(db, "list_hidden", {"org": ORG})] if order.parked else []
        return accept_gone(db, [*order.users, *hidden], targets, now)
    done = replay_users(db, order.users, order.target, now)
    if order.parked:
        done += replay_parked(db, order.target, now, reason=order.reason, since_ms=order.since_ms)
    if order.quarantined:
        done += replay_quarantined(db, now)
    if order.everybody:
        done += Replayed(writes=replay_links(db, target=order.target, now=now))
    return done


def _refuse_what_is_no_id(users: Sequence[str]) -> None:
    wrong = next((user for user in users if not _ID.fullmatch(user)), None)
    if wrong is not None:
        raise RosterhookError(
            f"{wrong!r} is no Okta id. Nothing was changed.",
            hint="Ids look like 00u1abcd2EFGH3ijk4l5; `rosterhook users` and the user's page in the Admin Console"
            " have them.",
        )


def replay_users(db: apsw.Connection, users: Sequence[str], target: str | None, now: int) -> Replayed:
    """Read these users from Okta again and have the target, or all, hold them anew."""
    done = Replayed()
    for user in users:
        make_due(db, user, now)
        done.reads += 1
        done.writes += replay_links(db, user=user, target=target, now=now)
    return done


def replay_parked(
    db: apsw.Connection, target: str | None, now: int, *, reason: str | None = None, since_ms: int | None = None
) -> Replayed:
    """Give everything parked its next chance, or what failed for this reason, or since then."""
    reason = None if reason is None else _LIKE.sub(r"\\\g<0>", reason)
    wanted = {"org": ORG, "now": now, "reason": reason, "since": since_ms}
    reads = run(db, "unpark_subjects", wanted) if target is None else 0
    writes = replay_links(db, target=target, parked=True, reason=reason, since_ms=since_ms, now=now)
    return Replayed(reads=reads, writes=writes)


def accept_gone(db: apsw.Connection, users: Sequence[str], targets: Sequence[str], now: int) -> Replayed:
    """Believe that these parked users are deleted, as a person has found out.

    Only who is parked is taken: whoever can be read is there.

    Raises:
        RosterhookError: one of them is not parked.
    """
    for user in users:
        if not run(db, "forget_parked_subject", {"org": ORG, "id": user}):
            raise RosterhookError(
                f"{user} is not parked. Nothing was changed.",
                hint="Leave out --gone to have users read from Okta again.",
            )
        record_gone(db, user, targets=targets, waiting_ms=None, now=now)
    return Replayed(writes=len(users) * len(targets))


def replay_quarantined(db: apsw.Connection, now: int) -> Replayed:
    """Read the quarantined deliveries again: a newer release may understand them."""
    done = Replayed()
    held = rows(db, "list_quarantine", {"org": ORG, "after": 0, "limit": EVERYTHING})
    for number, _, received_ms, _, _, body in held:
        try:
            raw_events = okta_events.split(body)
        except okta_events.NotAHook:
            done.still_quarantined += 1
            continue
        for raw in raw_events:
            record_event(db, okta_events.parse(bytes(raw)), HOOK, received_ms, now)
        run(db, "forget_quarantined", {"org": ORG, "id": number})
        done.deliveries += 1
    return done
