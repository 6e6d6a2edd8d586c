"""Where the truth about users comes from: Okta's API, or, without a login, the events themselves."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import apsw
import structlog

from rosterhook import directory
from rosterhook.errors import (
    OktaError,
    OktaForbidden,
    OktaNotFound,
    OktaRateLimited,
    OktaUnauthorized,
    OktaUnavailable,
)
from rosterhook.model import ORG, Attributes
from rosterhook.okta import events as okta_events
from rosterhook.okta.budget import Budget
from rosterhook.store.database import Database
from rosterhook.store.queries import rows

#: So few are read by id: a fresh answer each, and not many calls.
FEW = 10
#: Users of one read, and ids in one search: one page of Okta's answer, in an address of 7,200 characters.
MANY = 200
SECOND_MS = 1000

#: Where searches that are not full find so many users in a second, the next waits for more of them: for a second at
#: most. Of a backlog each search is full, and its last one is not kept waiting.
BUSY, GATHER_SECONDS = 100, 1.0

#: Why somebody may be gone without an event that tells of it.
ACCEPTED, STRANGER = 1, 2

log = structlog.get_logger("rosterhook.sources")


@dataclass(frozen=True, slots=True)
class Subject:
    """A user who must be read.

    Attributes:
        generation: tells at the end whether another event came during the read.
        waiting_ms: `published` of the first event that still waits.
        fresh_ms: `published` of the last event that changed the user's record; a reading must show it.
        crowded: two such events were so close that `lastUpdated`, which has whole seconds, cannot tell them apart.
        accepted: ACCEPTED when a person has said that Okta is to be believed when it does not find the user; STRANGER
            when nobody but a target knew the user.
    """

    id: str
    generation: int
    attempts: int
    waiting_ms: int | None
    fresh_ms: int | None
    crowded: bool
    accepted: int = 0


@dataclass(frozen=True, slots=True)
class Found:
    """Okta has the user. `fresh`: read by id, and not from an index that lags."""

    user: Attributes
    fresh: bool


@dataclass(frozen=True, slots=True)
class Gone:
    """Okta itself says that the user does not exist (any more)."""


Reading = Found | Gone | OktaError


class UserSource(Protocol):
    """Where the truth about users comes from."""

    def free(self, due: int) -> int:
        """How many of so many due users to read now; 0 to wait a little for more of them."""

    def is_scarce(self) -> bool:
        """Tell whether reads should be saved."""

    async def read(self, subjects: Sequence[Subject], held: Mapping[str, directory.Held]) -> list[Reading]:
        """One reading for each subject, in the same order. A fault of one is its reading, not an exception."""


class Users(Protocol):
    """The part of the Okta client that reads users."""

    async def user(self, user_id: str) -> dict[str, Any]:
        """Read one user by id, as it is now."""

    async def users(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Read many users with one search, as Okta's index has them."""


class OktaSource:
    """Reads users from Okta's API: a few by id, many by search, and by id again whoever the search left in doubt."""

    def __init__(self, client: Users, budget: Budget, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._budget = budget
        self._clock = clock
        self._searched: deque[tuple[float, int]] = deque()

    def free(self, due: int) -> int:
        """Whom the free calls would reach: a search is one call for many, and for a full page at best."""
        if FEW < due < MANY and self._is_gathering():
            return 0
        return max(1, self._budget.free("users") * MANY, min(FEW, self._budget.free("user")))

    def is_scarce(self) -> bool:
        """By the limit for reads by id, which those need who change again and again."""
        return self._budget.is_scarce("user")

    def _is_gathering(self) -> bool:
        """Tell whether users become due so fast that a search in a moment will be worth more."""
        if not self._searched or self._clock() - self._searched[-1][0] >= GATHER_SECONDS:
            return False
        return sum(users for _, users in self._searched) >= BUSY

    def _note_search(self, users: int) -> None:
        now = self._clock()
        while self._searched and now - self._searched[0][0] >= GATHER_SECONDS:
            self._searched.popleft()
        self._searched.append((now, users))

    async def read(self, subjects: Sequence[Subject], held: Mapping[str, directory.Held]) -> list[Reading]:
        # No row of a search would be trusted for the crowded: asking for theirs is a waste.
        searchable = [subject.id for subject in subjects if not subject.crowded]
        searched: Mapping[str, Attributes | OktaError] = {}
        if len(searchable) > FEW:
            if len(searchable) < MANY:
                self._note_search(len(searchable))
            searched = await self._search(searchable)
        return list(await asyncio.gather(*(self._one(s, searched.get(s.id), held.get(s.id)) for s in subjects)))

    async def _one(self, subject: Subject, row: Attributes | OktaError | None, held: directory.Held | None) -> Reading:
        if isinstance(row, OktaError):
            return row
        if row is not None:
            user = directory.canonical(row)
            if shows(subject, user, held):
                return Found(user, fresh=False)
        try:
            return Found(directory.canonical(await self._client.user(subject.id)), fresh=True)
        except OktaError as error:
            return Gone() if isinstance(error, OktaNotFound) else error

    async def _search(self, ids: Sequence[str]) -> Mapping[str, Attributes | OktaError]:
        """What Okta's index has of them. A fault that may lie in one of them is left to the reads by id."""
        try:
            return await self._client.users(ids)
        except OktaError as error:
            if _says_nothing_about_users(error):
                return dict.fromkeys(ids, error)
            log.warning("search.failed", users=len(ids), error=error.message, hint="Each is read by id instead.")
            return {}


def _says_nothing_about_users(error: OktaError) -> bool:
    """Down, or refusing whatever is asked: then reading by id would fail too. An answer that cannot be read is not
    of this kind: one odd user would keep all others of the page waiting.
    """
    if isinstance(error, OktaUnavailable):
        return not 200 <= error.status < 300
    return isinstance(error, OktaRateLimited | OktaUnauthorized | OktaForbidden)


def shows(subject: Subject, user: Attributes, held: directory.Held | None) -> bool:
    """Tell whether a row of a search is surely not older than the subject's last event.

    Okta's search "may not reflect the latest information", and `lastUpdated` has whole seconds. So a row is
    trusted when its stamp has reached the second of the event, no second event shares that second, and it is
    newer than what is held: a row that shows nothing new, though something happened, is a row of before.
    """
    updated_ms = directory.last_updated_ms(user)
    if held is not None and held.deleted_ms is not None:
        return False
    if subject.fresh_ms is None:
        # A membership changed: the user's own record did not, so any row as new as the held one will do.
        return held is None or updated_ms > held.last_updated_ms or directory.digest(user) == held.digest
    if subject.crowded or updated_ms < subject.fresh_ms // SECOND_MS * SECOND_MS:
        return False
    return held is None or updated_ms > held.last_updated_ms


class EventSource:
    """Builds users from the events that name them, as the tutorial did: login, display name, and the status as far
    as events tell it. For an org whose API may not be read.
    """

    def __init__(self, state: Database) -> None:
        self._state = state

    def free(self, due: int) -> int:
        """No limit but memory: all of it is in the own store."""
        return min(due, MANY)

    def is_scarce(self) -> bool:
        """Nothing is spent."""
        return False

    async def read(self, subjects: Sequence[Subject], held: Mapping[str, directory.Held]) -> list[Reading]:
        stories = await self._state.read(lambda db: [_story(db, subject.id) for subject in subjects])
        return [
            _told(subject.id, story, held.get(subject.id)) for subject, story in zip(subjects, stories, strict=True)
        ]


def _story(db: apsw.Connection, user_id: str) -> list[bytes]:
    return [body for (body,) in rows(db, "events_of_user", {"org": ORG, "id": user_id})]


def _told(user_id: str, story: Sequence[bytes], held: directory.Held | None) -> Reading:
    """The user after all events in the order in which they happened, however late one came.

    What Okta itself told before, when there was a login, is newer than any event before its `lastUpdated`.
    """
    if not story and held is None:
        return OktaError("No event names this user, and there is no login to Okta to ask with.", hint="Check the id.")
    if held and held.deleted_ms is not None:
        return Gone()  # nobody is there to ask whether that has changed
    known = held.last_updated_ms if held else 0
    events = [event for event in map(okta_events.parse, story) if not known or (event.published_ms or 0) > known]
    user: dict[str, Any] = {"id": user_id, "profile": {}, **(held.user if held else {})}
    for event in events:
        if event.type in okta_events.DELETES:
            return Gone()
        user["status"] = okta_events.STATUS_AFTER.get(event.type, user.get("status"))
        for named in event.users:
            if named.id == user_id:
                user["profile"] = _renamed(user["profile"], okta_events.profile_of(named))
    return Found(directory.canonical(user), fresh=True)


def _renamed(profile: Mapping[str, Any], told: Mapping[str, str]) -> dict[str, Any]:
    """The profile with what an event tells; an e-mail that is not the login is left alone."""
    own_email = "email" in profile and profile["email"] != profile.get("login")
    return {**profile, **{key: text for key, text in told.items() if not (key == "email" and own_email)}}
