"""The org: its users, and what may be done to them. Every change makes its event."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

from rosterhook.simulator import errors, lifecycle, profiles
from rosterhook.simulator.events import Event, EventFactory, Target, new_id, target
from rosterhook.simulator.index import SearchIndex
from rosterhook.simulator.lifecycle import STEPS
from rosterhook.simulator.query import Query
from rosterhook.simulator.settings import Settings

User = dict[str, Any]


class Org:
    """Users by id. A stored user is never changed in place: a change puts a new one there, and the index keeps the old.

    Attributes:
        on_event: who hears of each event.
        events: how many there were.
        deleted: the ids of users that are gone for good, in order.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rng = Random(f"{settings.seed}/org")  # noqa: S311
        self._factory = EventFactory(self._rng, clock)
        self._type_id = new_id(self._rng, "oty")
        self._users: dict[str, User] = {}
        self._ids_by_login: dict[str, str] = {}
        self._order: list[str] = []
        self._place: dict[str, int] = {}
        self._index = SearchIndex(settings.index_lag_seconds, clock)
        self.deleted: list[str] = []
        self.events = 0
        self.on_event: Callable[[Event], None] = lambda _event: None

    def __len__(self) -> int:
        return len(self._users)

    def __iter__(self) -> Iterator[User]:
        return iter(self._users.values())

    def get(self, key: str) -> User:
        """By id or login, as it is now. Raises E0000007."""
        user = self.find(key)
        if user is None:
            raise errors.no_such_user(key)
        return user

    def find(self, key: str) -> User | None:
        """By id or login, or None."""
        return self._users.get(key) or self._users.get(self._ids_by_login.get(key.casefold(), ""))

    def random_user(self, rng: Random) -> User | None:
        """Anybody, whatever the status; None only when the org is empty."""
        if not self._users:
            return None
        while True:
            user = self._users.get(rng.choice(self._order))
            if user is not None:
                return user
            if len(self._order) > 2 * len(self._users):
                return self._users[rng.choice(list(self._users))]

    def create(
        self, profile: Any, *, activate: bool = True, password: bool = False, user_id: str = "", announce: bool = True
    ) -> User:
        """A new user: STAGED, or ACTIVE when activated with a password, or PROVISIONED without one."""
        wanted = profiles.checked(profile)
        self._claim_login(wanted["login"], None)
        now = self._now()
        status = ("ACTIVE" if password else "PROVISIONED") if activate else "STAGED"
        user: User = {
            "id": user_id or new_id(self._rng, "00u"),
            "status": status,
            "created": now,
            "activated": now if activate else None,
            "statusChanged": now,
            "lastLogin": None,
            "lastUpdated": now,
            "passwordChanged": now if password else None,
            "type": {"id": self._type_id},
            "profile": wanted,
            "credentials": {**({"password": {}} if password else {}), "provider": {"type": "OKTA", "name": "OKTA"}},
        }
        self._place[user["id"]] = len(self._order)
        self._order.append(user["id"])
        self._keep(user, at_once=not announce)
        if announce:
            self._tell("user.lifecycle.create", user, "/api/v1/users")
            if activate:
                self._tell("user.lifecycle.activate", user, f"/api/v1/users/{user['id']}/lifecycle/activate")
        return user

    def update(self, key: str, changes: Any, *, replace: bool = False) -> User:
        """Change the profile, in part or whole; without a difference nothing happens."""
        user = self.get(key)
        if user["status"] == "DEPROVISIONED":
            raise errors.wrong_status()
        profile = profiles.checked(changes) if replace else profiles.merged(user["profile"], changes)
        changed = profiles.differences(user["profile"], profile)
        if not changed:
            return user
        self._claim_login(profile["login"], user)
        user = {**user, "profile": profile, "lastUpdated": self._now()}
        self._keep(user)
        self._tell("user.account.update_profile", user, f"/api/v1/users/{user['id']}", changed)
        return user

    def step(self, key: str, name: str) -> User:
        """A step of the life cycle, by its name in `lifecycle.STEPS`."""
        user = lifecycle.after(name, self.get(key), self._now())
        self._keep(user)
        event = STEPS[name].event
        if event is not None:
            self._tell(event, user, f"/api/v1/users/{user['id']}/lifecycle/{name}")
        return user

    def delete(self, key: str) -> None:
        """The first time deactivates; who is DEPROVISIONED already goes for good (okta-facts 5.7)."""
        user = self.get(key)
        if user["status"] != "DEPROVISIONED":
            self.step(user["id"], "deactivate")
            return
        del self._users[user["id"]]
        del self._ids_by_login[user["profile"]["login"].casefold()]
        self._index.put(user["id"], None)
        self.deleted.append(user["id"])
        self._tell("user.lifecycle.delete.initiated", user, f"/api/v1/users/{user['id']}")

    def tell_of(self, event_type: str, targets: list[Target], uri: str, *, job: bool = False) -> None:
        """An event that changes no user object, such as a membership."""
        self._emit(self._factory.make(event_type, targets, uri=uri, job=job))

    def page(self, query: Query, after: int, limit: int, *, indexed: bool) -> tuple[list[User], int | None]:
        """Users in order of creation behind place `after`, and the place of the last if there are more."""
        look_up = self._index.get if indexed else self._users.get
        found: list[User] = []
        for user_id in self._candidates(query, after):
            user = look_up(user_id)
            if user is None or not query.matches(user):
                continue
            if len(found) == limit:
                return found, self._place[found[-1]["id"]]
            found.append(user)
        return found, None

    def counts(self) -> dict[str, int]:
        """How many users have each status."""
        return dict(Counter(user["status"] for user in self))

    def _candidates(self, query: Query, after: int) -> Iterator[str]:
        if query.ids is None:
            return iter(self._order[after + 1 :])
        places = sorted(self._place[user_id] for user_id in query.ids if user_id in self._place)
        return (self._order[place] for place in places[bisect_right(places, after) :])

    def _keep(self, user: User, *, at_once: bool = False) -> None:
        before = self._users.get(user["id"])
        if before is not None:
            del self._ids_by_login[before["profile"]["login"].casefold()]
        self._users[user["id"]] = user
        self._ids_by_login[user["profile"]["login"].casefold()] = user["id"]
        self._index.put(user["id"], user, at_once=at_once)

    def _claim_login(self, login: str, owner: User | None) -> None:
        taken_by = self._ids_by_login.get(login.casefold())
        if taken_by is not None and (owner is None or owner["id"] != taken_by):
            raise errors.invalid("login", "login: An object with this field already exists in the current organization")

    def _tell(self, event_type: str, user: User, uri: str, changed: list[str] | None = None) -> None:
        self._emit(self._factory.make(event_type, [user_target(user)], uri=uri, changed=changed))

    def _emit(self, event: Event) -> None:
        self.events += 1
        self.on_event(event)

    def _now(self) -> str:
        # Whole seconds, as every recorded user has them: two changes in one second share a stamp (okta-facts 5.6).
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self._clock()))


def user_target(user: User) -> Target:
    """The user as events name them."""
    profile = user["profile"]
    return target("User", user["id"], profile["login"], f"{profile['firstName']} {profile['lastName']}")
