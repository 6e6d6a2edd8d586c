"""The org: its users, its groups, and what may be done to them. Every change makes its event."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from random import Random
from typing import Any

from rosterhook.simulator import errors, lifecycle, profiles
from rosterhook.simulator.events import KINDS, Event, EventFactory, Target, new_id, target
from rosterhook.simulator.groups import Groups
from rosterhook.simulator.lifecycle import STEPS, Start
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.table import Table

User = dict[str, Any]


class Org:
    """Users and groups. A stored user is never changed in place: a change puts a new one there.

    Attributes:
        table: the users, for lists.
        groups: groups and memberships.
        on_event: who hears of each event.
        events: how many there were of the types for event hooks.
        deleted: the ids of users that are gone for good, in order.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._rng = Random(f"{settings.seed}/org")  # noqa: S311
        self._factory = EventFactory(self._rng, clock)
        self._type_id = new_id(self._rng, "oty")
        self._ids_by_login: dict[str, str] = {}
        self.table = Table(settings.index_lag_seconds, clock)
        self.groups = Groups(settings, clock, self._now, self.tell_of)
        self.deleted: list[str] = []
        self.events = 0
        self.on_event: Callable[[Event], None] = lambda _event: None

    def __len__(self) -> int:
        return len(self.table)

    def __iter__(self) -> Iterator[User]:
        return iter(self.table)

    def get(self, key: str) -> User:
        """By id or login, as it is now. Raises E0000007."""
        user = self.find(key)
        if user is None:
            raise errors.no_such_user(key)
        return user

    def find(self, key: str) -> User | None:
        """By id or login, or None."""
        return self.table.get(key) or self.table.get(self._ids_by_login.get(key.casefold(), ""))

    def create(
        self,
        profile: Any,
        *,
        activate: bool = True,
        password: bool = False,
        expired: bool = False,
        question: str | None = None,
        user_id: str = "",
        announce: bool = True,
    ) -> User:
        """A new user: STAGED, or ACTIVE when activated with a password, or PROVISIONED without one.

        Args:
            expired: whether the password must be changed first.
            question: the recovery question.
            announce: whether events tell of it; without, `search` sees the user at once.
        """
        start, wanted = Start(activate, password, expired, question), profiles.checked(profile)
        self._claim_login(wanted["login"], None)
        user = lifecycle.new_user(user_id or new_id(self._rng, "00u"), self._type_id, wanted, start, self._now())
        self._keep(user, at_once=not announce)
        self.groups.user_came()
        if announce:
            self._tell("user.lifecycle.create", user, "/api/v1/users")
            if activate:
                self._tell("user.lifecycle.activate", user, f"/api/v1/users/{user['id']}/lifecycle/activate")
        return user

    def update(self, key: str, changes: Any, *, replace: bool = False, imported: bool = False) -> User:
        """Change the profile, in part or whole; without a difference nothing happens.

        Args:
            imported: a directory's import does it. Whether Okta then also tells of an updated profile is not
                documented (okta-facts 3); here it doesn't, so that only the System Log knows.
        """
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
        if imported:
            self.tell_of("system.import.user.update", [user_target(user)], "/api/v1/import", job=True)
        else:
            self._tell("user.account.update_profile", user, f"/api/v1/users/{user['id']}", changed)
        return user

    def step(self, key: str, name: str) -> User:
        """A step of the life cycle, by its name in `lifecycle.STEPS`."""
        user = lifecycle.after(name, self.get(key), self._now())
        self._keep(user)
        self._tell(STEPS[name].event, user, f"/api/v1/users/{user['id']}/lifecycle/{name}")
        return user

    def set_question(self, key: str, question: str) -> User:
        """Another recovery question. No event of ours tells of it: nothing that is synced changes."""
        user = self.get(key)
        provider = user["credentials"]["provider"]
        others = {name: value for name, value in user["credentials"].items() if name != "provider"}
        credentials = {**others, "recovery_question": {"question": question}, "provider": provider}
        user = {**user, "credentials": credentials, "lastUpdated": self._now()}
        self._keep(user)
        return user

    def delete(self, key: str) -> None:
        """The first time deactivates; who is DEPROVISIONED already goes for good (okta-facts 5.7)."""
        user = self.get(key)
        if user["status"] != "DEPROVISIONED":
            self.step(user["id"], "deactivate")
            return
        self.table.remove(user["id"])
        del self._ids_by_login[user["profile"]["login"].casefold()]
        self.groups.user_left(user["id"])
        self.deleted.append(user["id"])
        for event_type in ("user.lifecycle.delete.initiated", "user.lifecycle.delete.completed"):
            self._tell(event_type, user, f"/api/v1/users/{user['id']}")

    def tell_of(
        self,
        event_type: str,
        targets: list[Target],
        uri: str,
        *,
        job: bool = False,
        outcome: dict[str, Any] | None = None,
        debug_data: Mapping[str, str] | None = None,
    ) -> None:
        """An event of anything but a change to one user. Arguments as of `EventFactory.make`."""
        self._emit(self._factory.make(event_type, targets, uri=uri, job=job, outcome=outcome, debug_data=debug_data))

    def counts(self) -> dict[str, int]:
        """How many users have each status."""
        return dict(Counter(user["status"] for user in self))

    def dump(self) -> dict[str, Any]:
        """Everything, as JSON can hold it. Not the dice: another start needs others (see `state.py`)."""
        return {
            "users": self.table.dump(),
            "groups": self.groups.dump(),
            "deleted": list(self.deleted),
            "events": self.events,
            "type_id": self._type_id,
        }

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave, in place of what is there."""
        self.table.load(state["users"])
        self._ids_by_login = {user["profile"]["login"].casefold(): user["id"] for user in self.table}
        self.groups.load(state["groups"])
        self.deleted, self.events, self._type_id = list(state["deleted"]), state["events"], state["type_id"]

    def _keep(self, user: User, *, at_once: bool = False) -> None:
        before = self.table.get(user["id"])
        if before is not None:
            del self._ids_by_login[before["profile"]["login"].casefold()]
        self._ids_by_login[user["profile"]["login"].casefold()] = user["id"]
        self.table.put(user, at_once=at_once)

    def _claim_login(self, login: str, owner: User | None) -> None:
        taken_by = self._ids_by_login.get(login.casefold())
        if taken_by is not None and (owner is None or owner["id"] != taken_by):
            raise errors.taken("login")

    def _tell(self, event_type: str, user: User, uri: str, changed: list[str] | None = None) -> None:
        self._emit(self._factory.make(event_type, [user_target(user)], uri=uri, changed=changed))

    def _emit(self, event: Event) -> None:
        self.events += KINDS[event["eventType"]].eligible
        self.on_event(event)

    def _now(self) -> str:
        # Whole seconds, as every recorded user has them: two changes in one second share a stamp (okta-facts 5.6).
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self._clock()))


def user_target(user: User) -> Target:
    """The user as events name them."""
    profile = user["profile"]
    return target("User", user["id"], profile["login"], f"{profile['firstName']} {profile['lastName']}")
