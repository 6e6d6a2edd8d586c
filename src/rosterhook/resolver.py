"""The resolver: reads every due user, once, and hands the truth to the directory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import apsw
import structlog

from rosterhook import access, directory
from rosterhook.errors import OktaError, OktaForbidden, OktaRateLimited, OktaUnauthorized, OktaUnavailable
from rosterhook.model import ORG, Clock, now_ms
from rosterhook.rests import Rests
from rosterhook.retry import backoff_ms
from rosterhook.sources import ACCEPTED, MANY, STRANGER, Found, Gone, Reading, Subject, UserSource
from rosterhook.store.database import Database
from rosterhook.store.queries import rows, run, value

#: A fault of one user alone is met this often before the user is parked.
TRIES = 5

#: Faults that say nothing about a user: the user waits, however long it takes.
TRANSIENT = (OktaUnavailable, OktaRateLimited, OktaUnauthorized, OktaForbidden)

#: Okta hides users from a token whose admin role does not reach them, with the very answer for deleted ones.
HIDDEN = OktaError(
    "Okta has no such user, but none of its events has told of a deletion.",
    hint="Check that the token's role still reaches all users. If the user is deleted indeed:"
    " `rosterhook replay --gone` with the user's id.",
    status=404,
    code="E0000007",
)

log = structlog.get_logger("rosterhook.resolver")


@dataclass
class Health:
    """How reading goes, for `status`.

    Attributes:
        error: what hinders it now, with its cure; "" when nothing does.
        read_ms: when a read last succeeded.
    """

    error: str = ""
    read_ms: int | None = None


class Resolver:
    """Claims due users, no more than may be read now, and finishes each: kept, gone, left to rest, postponed or
    parked.

    Args:
        targets: names of the targets that shall hold every user.
        on_change: called when the directory has changed.
    """

    def __init__(
        self,
        state: Database,
        source: UserSource,
        targets: Sequence[str],
        *,
        on_change: Callable[[], None] = lambda: None,
        clock: Clock = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.health = Health()
        self._rests = Rests()
        self._monotonic = monotonic
        self._state = state
        self._source = source
        self._targets = tuple(targets)
        self._on_change = on_change
        self._clock = clock
        # There may be claims that nobody works on: of a worker that died, or of a step that failed.
        self._unfinished = True

    async def step(self) -> bool:
        """Read the users who are due now.

        Raises:
            OktaError: nothing could be read at all; every user waits for another try.
        """
        claimed = await self._claim()
        subjects = [subject for subject in claimed if subject is not None]
        if not subjects:
            self._unfinished = False
            return bool(claimed)
        held = await self._state.read(lambda db: _held(db, subjects))
        readings = await self._source.read(subjects, held)
        await self._state.write(lambda db: self._finish(db, subjects, readings))
        self._unfinished = False
        self._on_change()
        self._judge(readings)
        return True

    async def _claim(self) -> list[Subject | None]:
        """Who is due, and to be read now; None for each who rests."""
        if self._unfinished:
            await self._state.write(lambda db: run(db, "release_claims"))
            self._unfinished = False
        # Looking costs nothing; an empty write would be a commit for nothing.
        due = int(await self._state.read(lambda db: value(db, "count_due", {"now": self._clock(), "limit": MANY})))
        limit = min(MANY, self._source.free(due)) if due else 0
        if not limit:
            return []
        self._unfinished = True
        scarce = self._source.is_scarce()
        return await self._state.write(lambda db: self._take(db, limit, scarce=scarce))

    def _take(self, db: apsw.Connection, limit: int, *, scarce: bool) -> list[Subject | None]:
        claimed = rows(db, "claim_subjects", {"now": self._clock(), "limit": limit})
        return [self._or_rest(db, Subject(*found), scarce=scarce) for found in claimed]

    def _or_rest(self, db: apsw.Connection, subject: Subject, *, scarce: bool) -> Subject | None:
        """The subject; or None, when calls are scarce and the user was read a moment ago."""
        now = self._monotonic()
        if scarce and (seconds := self._rests.left(subject.id, now)):
            run(db, "rest_subject", {"org": ORG, "id": subject.id, "due_ms": self._clock() + int(seconds * 1000) + 1})
            return None
        return subject

    def _finish(self, db: apsw.Connection, subjects: Sequence[Subject], readings: Sequence[Reading]) -> None:
        # While access is lost, no absence is believed that no event explains, and none is worth another call.
        lost = any(isinstance(reading, Gone) for reading in readings) and access.why_lost(db) != ""
        for subject, reading in zip(subjects, readings, strict=True):
            if isinstance(reading, Gone) and _is_doubted(db, subject, lost=lost):
                self._fail(db, subject, HIDDEN, at_once=lost)
            elif isinstance(reading, OktaError):
                self._fail(db, subject, reading)
            else:
                self._record(db, subject, reading)

    def _record(self, db: apsw.Connection, subject: Subject, reading: Found | Gone) -> None:
        now = self._clock()
        if isinstance(reading, Gone) and not subject.accepted and _is_nobody(db, subject):
            # A mistyped `replay`: a tombstone would stay for ever, and in every target.
            log.warning("user.unknown", user=subject.id, reason="neither Okta nor any event knows this id")
            verdict = directory.Verdict.SAME
        elif isinstance(reading, Gone):
            verdict = directory.record_gone(
                db, subject.id, targets=self._targets, waiting_ms=subject.waiting_ms, now=now
            )
        else:
            verdict = directory.record(
                db,
                reading.user,
                fresh=reading.fresh,
                targets=self._targets,
                waiting_ms=subject.waiting_ms,
                now=now,
            )
        self._rests.note(subject.id, self._monotonic())
        log.debug("user.read", user=subject.id, verdict=verdict.value)
        if not run(db, "finish_subject", {"org": ORG, "id": subject.id, "generation": subject.generation}):
            run(db, "continue_subject", {"org": ORG, "id": subject.id, "now": now})

    def _fail(self, db: apsw.Connection, subject: Subject, error: OktaError, *, at_once: bool = False) -> None:
        key = {"org": ORG, "id": subject.id, "error": str(error), "now": self._clock()}
        last = at_once or subject.attempts + 1 >= TRIES
        if isinstance(error, TRANSIENT) or not last:
            run(db, "postpone_subject", {**key, "due_ms": self._clock() + backoff_ms(subject.attempts + 1)})
        elif run(db, "park_subject", {**key, "generation": subject.generation, "hidden": int(error is HIDDEN)}):
            log.error("user.parked", user=subject.id, error=error.message, hint=error.hint)
        else:
            # An event came during this last try: it deserves a read of its own.
            run(db, "continue_subject", {"org": ORG, "id": subject.id, "now": self._clock()})

    def _judge(self, readings: Sequence[Reading]) -> None:
        """Keep how it went; when not one reading came through, raise, so that the loop itself waits."""
        errors = [reading for reading in readings if isinstance(reading, OktaError)]
        common = next((error for error in errors if isinstance(error, TRANSIENT)), None)
        self.health.error = str(common) if common else ""
        if len(errors) < len(readings):
            self.health.read_ms = self._clock()
        elif common:
            raise common


def _is_doubted(db: apsw.Connection, subject: Subject, *, lost: bool) -> bool:
    """Tell whether Okta is not believed that it does not know this user.

    Okta tells of each deletion (its documentation of the user life cycle), by the hook and in the log. A user who is
    merely deactivated is still found by id. So a 404 that no deletion explains is one of a role that does not reach the
    user.
    """
    if subject.accepted == STRANGER:
        return lost
    if subject.accepted == ACCEPTED or _is_nobody(db, subject):
        return False
    held = directory.find(db, subject.id)
    if held is not None and held.deleted_ms is not None:
        return False
    return value(db, "deletion_told", {"org": ORG, "id": subject.id}) is None


def _is_nobody(db: apsw.Connection, subject: Subject) -> bool:
    """Tell whether there is no sign that a user has ever been: only a person has named the id."""
    if subject.waiting_ms is not None or directory.find(db, subject.id) is not None:
        return False
    return value(db, "named_by_event", {"org": ORG, "id": subject.id}) is None


def _held(db: apsw.Connection, subjects: Sequence[Subject]) -> dict[str, directory.Held]:
    found = {subject.id: directory.find(db, subject.id) for subject in subjects}
    return {user_id: held for user_id, held in found.items() if held is not None}
