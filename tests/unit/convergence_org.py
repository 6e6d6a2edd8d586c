"""A tiny org that is the truth of the convergence tests: users with a history, a log with late rows, lists that lag."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

from rosterhook.errors import OktaError, OktaNotFound, OktaStalePlace
from rosterhook.model import iso
from rosterhook.okta.events import parse_stamp
from rosterhook.okta.pages import Page

User = dict[str, Any]

LOG_PAGE = 3
#: From which statuses a change is possible, where it leads, and the event that tells of it.
STEPS = {
    "suspend": ({"ACTIVE"}, "SUSPENDED", "user.lifecycle.suspend"),
    "unsuspend": ({"SUSPENDED"}, "ACTIVE", "user.lifecycle.unsuspend"),
    "deactivate": ({"STAGED", "ACTIVE", "SUSPENDED"}, "DEPROVISIONED", "user.lifecycle.deactivate"),
    "activate": ({"STAGED", "DEPROVISIONED"}, "ACTIVE", "user.lifecycle.activate"),
}
_AFTER = re.compile(r"after=(\d+)")


async def _open(_caller: str) -> None:
    return


class Org:
    """Users and what has happened to them, and the part of Okta's client that the flow uses.

    Every answer is made before its caller is let through: what waits there, waits with an answer that grows old.

    Args:
        now: the moment, in milliseconds since 1970; `lastUpdated` has its whole second.

    Attributes:
        history: every state of a user, the newest last; None where Okta does not know them.
        events: every event that was made, as JSON, for the hook to bring.
        log: when a row was stored, and the event.
        late: events that the log has not stored yet.
        told, untold: in which second a user was last changed with an event, and without one.
        lags: how many states, from the newest on, the "list" or the "index" has not seen yet, for each user in turn.
        staying: so many users, from the first on, are never lagged behind.
        hidden: users whom the list leaves out for now.
        unreached: users whom our role does not reach for now: Okta says that they do not exist.
        faults: what the next call ends with, by caller.
        gate: awaited with the caller's name by every call.
    """

    def __init__(self, now: Callable[[], int]) -> None:
        self._now = now
        self.history: dict[str, list[User | None]] = {}
        self.events: list[bytes] = []
        self.log: list[tuple[int, bytes]] = []
        self.late: list[bytes] = []
        self.told: dict[str, int] = {}
        self.untold: dict[str, int] = {}
        self.lags: dict[str, Sequence[int]] = {}
        self.staying = 0
        self.order: list[str] = []
        self.hidden: set[str] = set()
        self.unreached: set[str] = set()
        self.page = 2
        self.faults: dict[str, OktaError] = {}
        self.gate: Callable[[str], Awaitable[None]] = _open

    def truth(self) -> dict[str, User]:
        """Every user who exists."""
        return {user_id: states[-1] for user_id, states in self.history.items() if states[-1] is not None}

    def gone(self) -> set[str]:
        """Every user who has existed and does not any more."""
        return {user_id for user_id, states in self.history.items() if states[-1] is None}

    def in_doubt(self) -> set[str]:
        """Whom events alone cannot bring up to date: those with a change that none told, and none a second later."""
        return {user_id for user_id, second in self.untold.items() if second >= self.told.get(user_id, 0)}

    def create(self, *, active: bool, announced: bool = True, late: bool = False) -> str:
        """Somebody new; activated in the same breath, as Okta does it."""
        user_id = f"00u{len(self.history):017d}"
        login = f"{user_id}@example.com"
        profile = {"login": login, "email": login, "firstName": "Ada", "lastName": "Lovelace", "mobilePhone": None}
        stamp = self._stamp()
        user = {"id": user_id, "status": "STAGED", "created": stamp, "lastUpdated": stamp, "profile": profile}
        self.history[user_id] = [None]
        self.order.append(user_id)
        self._keep(user_id, user, "user.lifecycle.create" if announced else None, late=late)
        if active:
            self.change(user_id, "activate", announced=announced, late=late)
        return user_id

    def change(self, user_id: str, what: str, *, announced: bool = True, late: bool = False) -> None:
        """Change somebody; what their status does not allow becomes an update of the profile.

        Args:
            late: the log stores the event later.
        """
        user = self.history[user_id][-1]
        if user is None:
            return
        if what == "delete":
            self._delete(user_id, user, announced=announced, late=late)
        elif what == "membership":
            self._tell("group.user_membership.add", user_id, late=late)
        elif what in STEPS and user["status"] in STEPS[what][0]:
            _, status, event_type = STEPS[what]
            changed = {**user, "status": status, "lastUpdated": self._stamp()}
            self._keep(user_id, changed, event_type if announced else None, late=late)
        else:
            profile = {**user["profile"], "firstName": f"name {len(self.history[user_id])}"}
            told = "user.account.update_profile" if announced else None
            self._keep(user_id, {**user, "lastUpdated": self._stamp(), "profile": profile}, told, late=late)

    def tell_of_import(self, *, late: bool) -> None:
        """An event that names nobody: somebody was changed."""
        self._tell("system.import.complete", None, late=late)

    def catch_up(self) -> None:
        """The list and the index are up to date and whole."""
        self.lags.clear()
        self.hidden.clear()

    def store_late(self, place: int) -> None:
        """The log stores one of the events that are late."""
        if self.late:
            self.log.append((self._now(), self.late.pop(place % len(self.late))))

    async def user(self, user_id: str) -> User:
        """One user as it is now."""
        answer = self._shown(user_id, 0)
        await self._pass("resolver")
        if answer is None:
            raise OktaNotFound("Not found: Resource not found", status=404, code="E0000007")
        return {**answer, "_links": {"suspend": {"href": "there"}, "self": {"href": "here"}}}

    async def users(self, ids: Sequence[str]) -> dict[str, User]:
        """Many users, as the index has them."""
        found = {user_id: self._shown(user_id, self._lag("index", user_id)) for user_id in ids}
        await self._pass("resolver")
        return {user_id: user for user_id, user in found.items() if user is not None}

    async def user_page(self, place: str) -> Page[User]:
        """A page of the list, as a replica has it: people may move in it between two pages."""
        wanted = parse_qs(urlsplit(place).query)["filter"][0]
        since = parse_stamp(wanted.partition('lastUpdated gt "')[2].rstrip('"')) if "lastUpdated" in wanted else None
        rows = [self._shown(each, self._lag("list", each)) for each in self.order if each not in self.hidden]
        known = [row for row in rows if row and (since is None or (parse_stamp(row["lastUpdated"]) or 0) > since)]
        start = _place_in(place)
        end = start + self.page
        await self._pass("sweeper", place)
        return Page(known[start:end], _moved(place, end) if end < len(known) else None)

    async def log_page(self, place: str) -> Page[bytes]:
        """A page of the log, in the order in which it was stored; there is always a next one."""
        start = _place_in(place)
        if "after=" not in place:
            since = parse_stamp(parse_qs(urlsplit(place).query)["since"][0]) or 0
            start = next((n for n, (at, _) in enumerate(self.log) if at >= since), len(self.log))
        rows = [event for _, event in self.log[start : start + LOG_PAGE]]
        await self._pass("follower", place)
        return Page(rows, _moved(place, start + len(rows)))

    async def _pass(self, caller: str, place: str = "") -> None:
        fault = self.faults.pop(caller, None)
        await self.gate(caller)
        if fault is not None and ("after=" in place or not isinstance(fault, OktaStalePlace)):
            raise fault

    def _lag(self, what: str, user_id: str) -> int:
        turns, number = self.lags.get(what), int(user_id[3:]) if user_id in self.history else 0
        return 0 if not turns or number < self.staying else turns[number % len(turns)]

    def _shown(self, user_id: str, lag: int) -> User | None:
        states = [None] if user_id in self.unreached else self.history.get(user_id, [None])
        user = states[max(0, len(states) - 1 - lag)]
        return None if user is None else {**user, "lastLogin": iso(self._now()), "_links": {"self": {"href": "here"}}}

    def _delete(self, user_id: str, user: User, *, announced: bool, late: bool) -> None:
        """Okta deletes only who is deactivated. It tells of both, but perhaps longer ago than its log keeps."""
        if user["status"] != "DEPROVISIONED":
            self.change(user_id, "deactivate", announced=announced, late=late)
        self._keep(user_id, None, "user.lifecycle.delete.initiated" if announced else None, late=late)

    def _keep(self, user_id: str, user: User | None, told: str | None, *, late: bool) -> None:
        self.history[user_id].append(user)
        stamps = self.untold if told is None else self.told
        stamps[user_id] = self._now() // 1000
        if told is not None:
            self._tell(told, user_id, late=late)

    def _tell(self, event_type: str, user_id: str | None, *, late: bool) -> None:
        event = {
            "uuid": f"event-{len(self.events)}",
            "eventType": event_type,
            "published": iso(self._now()),
            "outcome": {"result": "SUCCESS"},
            "target": [{"id": user_id, "type": "User", "alternateId": f"{user_id}@example.com"}] if user_id else None,
        }
        told = json.dumps(event).encode()
        self.events.append(told)
        if late:
            self.late.append(told)
        else:
            self.log.append((self._now(), told))

    def _stamp(self) -> str:
        return iso(self._now() // 1000 * 1000) or ""


def _place_in(place: str) -> int:
    found = _AFTER.search(place)
    return int(found[1]) if found else 0


def _moved(place: str, after: int) -> str:
    return f"{place.partition('&after=')[0]}&after={after}"
