"""The org's groups and who is in them. Every change makes its event."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Protocol

from rosterhook.simulator import errors
from rosterhook.simulator.events import Target, new_id, target
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.table import Table

Group = dict[str, Any]

LONGEST_NAME, LONGEST_DESCRIPTION = 255, 1024
#: How often an event of a membership names the group first: both orders are recorded, the user first more often.
GROUP_FIRST = 0.3


class Tell(Protocol):
    """Who hears of a change (`Org.tell_of`)."""

    def __call__(self, event_type: str, targets: list[Target], uri: str, *, job: bool = False) -> None: ...


class Groups:
    """Groups by id, and memberships.

    A membership lives as long as its user: who is deactivated stays a member (support.okta.com, "Deactivated Users not
    Removed From Okta Groups Automatically"), who is deleted for good is none any more. Everyone is in Everyone, which
    Okta keeps by itself.

    Attributes:
        table: the groups themselves, for lists.
        everyone: the id of the built-in group.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float], now: Callable[[], str], tell: Tell) -> None:
        self._rng = Random(f"{settings.seed}/groups")  # noqa: S311
        self._now = now
        self._tell = tell
        self._members: dict[str, dict[str, None]] = {}
        self._groups_of: dict[str, set[str]] = {}
        self._ids_by_name: dict[str, str] = {}
        self.table = Table(settings.index_lag_seconds, clock)
        profile = {"name": "Everyone", "description": "All users in your organization"}
        self.everyone: str = self._add(profile, "BUILT_IN")["id"]

    def __iter__(self) -> Iterator[Group]:
        return iter(self.table)

    def get(self, group_id: str) -> Group:
        """The group as it is now. Raises E0000007."""
        group = self.table.get(group_id)
        if group is None:
            raise errors.no_such_group(group_id)
        return group

    def create(self, profile: Any, *, announce: bool = True) -> Group:
        """A new OKTA_GROUP. Raises E0000001 for a profile that Okta refuses, or a name that is taken."""
        wanted = _checked(profile)
        self._claim_name(wanted["name"], None)
        group = self._add(wanted, "OKTA_GROUP", at_once=not announce)
        if announce:
            self._tell("group.lifecycle.create", [group_target(group)], "/api/v1/groups")
        return group

    def replace(self, group_id: str, profile: Any) -> Group:
        """The whole profile; without a difference nothing happens. Raises E0000001, E0000007, E0000060."""
        group, wanted = self._changeable(group_id), _checked(profile)
        if wanted == group["profile"]:
            return group
        self._claim_name(wanted["name"], group)
        del self._ids_by_name[group["profile"]["name"]]
        self._ids_by_name[wanted["name"]] = group_id
        group = {**group, "profile": wanted, "lastUpdated": self._now()}
        self.table.put(group)
        self._tell("group.profile.update", [group_target(group)], f"/api/v1/groups/{group_id}")
        return group

    def delete(self, group_id: str) -> None:
        """The group and its memberships end; only the group's end is told. Raises E0000007, E0000060."""
        group = self._changeable(group_id)
        for user_id in self._members.pop(group_id):
            self._groups_of[user_id].discard(group_id)
        del self._ids_by_name[group["profile"]["name"]]
        self.table.remove(group_id)
        self._tell("group.lifecycle.delete", [group_target(group)], f"/api/v1/groups/{group_id}")

    def add(self, group_id: str, user: Target, *, job: bool = False) -> None:
        """Make a user a member; a member stays one, and nothing happens. Raises E0000007, E0000060.

        Args:
            user: as events name them.
            job: a group rule did it, not a person.
        """
        group, members = self._changeable(group_id), self._members[group_id]
        if user["id"] in members:
            return
        members[user["id"]] = None
        self._groups_of.setdefault(user["id"], set()).add(group_id)
        self._membership_changed("add", group, user, job=job)

    def remove(self, group_id: str, user: Target, *, job: bool = False) -> None:
        """End a membership; without one nothing happens. Arguments and errors as of `add`."""
        group, members = self._changeable(group_id), self._members[group_id]
        if user["id"] not in members:
            return
        del members[user["id"]]
        self._groups_of[user["id"]].discard(group_id)
        self._membership_changed("remove", group, user, job=job)

    def members(self, group_id: str) -> frozenset[str] | None:
        """The ids of a group's members; None says: everybody. Raises E0000007."""
        self.get(group_id)
        return None if group_id == self.everyone else frozenset(self._members[group_id])

    def of(self, user_id: str) -> frozenset[str]:
        """The ids of a user's groups, Everyone among them."""
        return frozenset({self.everyone, *self._groups_of.get(user_id, ())})

    def user_came(self) -> None:
        """Everyone has one more member."""
        self._touch_everyone()

    def user_left(self, user_id: str) -> None:
        """A user was deleted for good; no event tells of the memberships that ends."""
        for group_id in self._groups_of.pop(user_id, ()):
            del self._members[group_id][user_id]
            self.table.put({**self.get(group_id), "lastMembershipUpdated": self._now()})
        self._touch_everyone()

    def dump(self) -> dict[str, Any]:
        """Everything, as JSON can hold it."""
        members = {group_id: list(members) for group_id, members in self._members.items()}
        return {"groups": self.table.dump(), "members": members, "everyone": self.everyone}

    def load(self, state: dict[str, Any]) -> None:
        """Take over what `dump` gave, in place of what is there."""
        self.table.load(state["groups"])
        self.everyone = state["everyone"]
        self._ids_by_name = {group["profile"]["name"]: group["id"] for group in self.table}
        self._members = {group_id: dict.fromkeys(members) for group_id, members in state["members"].items()}
        self._groups_of = {}
        for group_id, members in self._members.items():
            for user_id in members:
                self._groups_of.setdefault(user_id, set()).add(group_id)

    def _add(self, profile: dict[str, Any], kind: str, *, at_once: bool = True) -> Group:
        now = self._now()
        group: Group = {
            "id": new_id(self._rng, "00g"),
            "created": now,
            "lastUpdated": now,
            "lastMembershipUpdated": now,
            "objectClass": ["okta:user_group"],
            "type": kind,
            "profile": profile,
        }
        self._members[group["id"]] = {}
        self._ids_by_name[profile["name"]] = group["id"]
        self.table.put(group, at_once=at_once)
        return group

    def _membership_changed(self, what: str, group: Group, user: Target, *, job: bool) -> None:
        self.table.put({**group, "lastMembershipUpdated": self._now()})
        targets = [user, group_target(group)]
        if self._rng.random() < GROUP_FIRST:
            targets.reverse()
        uri = f"/api/v1/groups/{group['id']}/users/{user['id']}"
        self._tell(f"group.user_membership.{what}", targets, uri, job=job)

    def _touch_everyone(self) -> None:
        group, now = self.get(self.everyone), self._now()
        if group["lastMembershipUpdated"] != now:
            self.table.put({**group, "lastMembershipUpdated": now})

    def _changeable(self, group_id: str) -> Group:
        group = self.get(group_id)
        if group["type"] != "OKTA_GROUP":
            raise errors.unsupported()
        return group

    def _claim_name(self, name: str, owner: Group | None) -> None:
        taken_by = self._ids_by_name.get(name)
        if taken_by is not None and (owner is None or owner["id"] != taken_by):
            raise errors.taken("name")


def group_target(group: Group) -> Target:
    """The group as events name it: real ones have "unknown" for the other id."""
    return target("UserGroup", group["id"], "unknown", group["profile"]["name"])


def _checked(profile: Any) -> dict[str, Any]:
    if not isinstance(profile, dict):
        raise errors.invalid("profile", "profile: The field cannot be left blank")
    name, description = profile.get("name"), profile.get("description")
    if not isinstance(name, str) or not name.strip():
        raise errors.invalid("name", "name: The field cannot be left blank")
    if len(name) > LONGEST_NAME:
        raise errors.invalid("name", "name: The field is too long")
    if description is not None and (not isinstance(description, str) or len(description) > LONGEST_DESCRIPTION):
        raise errors.invalid("description", "description: The field is too long")
    # In the recorded order: the name first, and a description even when there is none.
    return {"name": name, "description": description, **profile}
