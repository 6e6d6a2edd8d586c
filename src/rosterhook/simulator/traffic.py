"""Random changes to the org, as admins, users and jobs make them all day."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from rosterhook.simulator.events import new_id, target
from rosterhook.simulator.groups import Group
from rosterhook.simulator.lifecycle import STEPS
from rosterhook.simulator.org import Org, user_target
from rosterhook.simulator.people import random_changes, random_profile

User = dict[str, Any]

#: How often each change happens, against the others.
MIX: dict[str, float] = {
    "create": 8,
    "update": 45,
    "suspend": 6,
    "unsuspend": 6,
    "activate": 5,
    "deactivate": 4,
    "delete": 5,
    "lock": 4,
    "unlock": 4,
    "set_password": 5,
    "reset_password": 2,
    "reactivate": 1,
    "group_add": 5,
    "group_remove": 2,
    "application_add": 3,
}
#: Changes that only happen when a mix names them: of an import the hooks hear nothing.
ON_REQUEST = frozenset({"import"})
GROUP_NAMES = ("R&D, Süd", "Sales", "Ops / Night")
#: How often a change hits the same user as the one before, at once: then both share a `lastUpdated`.
AGAIN = 0.15
_TRIES = 20
_CHANGES_BEFORE_OTHERS_RUN = 10


@dataclass(frozen=True, slots=True)
class Job:
    """What was asked for. No changes means: until told to stop; an empty mix means MIX."""

    changes: int
    seed: int
    per_second: float | None
    mix: dict[str, float]


class Changer:
    """Makes one random change after another; nothing but the seed and the org decides which."""

    def __init__(self, org: Org, rng: Random, mix: dict[str, float], numbers: Callable[[], int]) -> None:
        self._org = org
        self._rng = rng
        self._names, self._weights = list(mix), list(mix.values())
        self._number = numbers
        self._last = ""

    def change(self, *, again: bool = False) -> None:
        """One change to somebody whose status allows it; where nobody's does, somebody new."""
        name = self._rng.choices(self._names, self._weights)[0]
        user = self._somebody(name, again=again)
        if name == "create" or user is None:
            self._last = self.create()["id"]
            return
        self._last = user["id"]
        self._apply(name, user)

    def create(self, *, announce: bool = True) -> User:
        """A new random user: most are ACTIVE, some PROVISIONED or STAGED."""
        rng, number = self._rng, self._number()
        activate, password = rng.random() < 0.9, rng.random() < 0.8
        return self._org.create(random_profile(rng, number), activate=activate, password=password, announce=announce)

    def _somebody(self, name: str, *, again: bool) -> User | None:
        last = self._org.find(self._last) if again else None
        if last is not None and _fits(name, last):
            return last
        for _ in range(_TRIES):
            user = self._org.table.any(self._rng)
            if user is None or _fits(name, user):
                return user
        return None

    def _apply(self, name: str, user: User) -> None:
        if name in STEPS:
            self._org.step(user["id"], name)
        elif name in {"update", "import"}:
            changes = random_changes(self._rng, self._number())
            self._org.update(user["id"], changes, imported=name == "import")
        elif name == "delete":
            self._org.delete(user["id"])
        elif name == "application_add":
            self._assign_to_application(user)
        else:
            self._change_group(name.removeprefix("group_"), user)

    def _change_group(self, what: str, user: User) -> None:
        """Add or remove; nothing for who is in every group already, or in none."""
        groups, job = self._org.groups, self._rng.random() < 0.5
        mine = groups.of(user["id"])
        possible = [each["id"] for each in self._possible_groups() if (each["id"] in mine) == (what == "remove")]
        if possible:
            act = groups.remove if what == "remove" else groups.add
            act(self._rng.choice(possible), user_target(user), job=job)

    def _possible_groups(self) -> list[Group]:
        """Groups whose members may change. An org without any gets some, as if they had always been there."""
        possible = [group for group in self._org.groups if group["type"] == "OKTA_GROUP"]
        return possible or [self._org.groups.create({"name": name}, announce=False) for name in GROUP_NAMES]

    def _assign_to_application(self, user: User) -> None:
        application = target("AppInstance", new_id(self._rng, "0oa"), "Example CRM", "Example CRM")
        # The AppUser is not the user: another id, and the name the user has in that application.
        account = target("AppUser", new_id(self._rng, "0ua"), "unknown", user["profile"]["lastName"])
        targets = [account, application, user_target(user)]
        self._org.tell_of("application.user_membership.add", targets, f"/api/v1/apps/{application['id']}/users")


class Traffic:
    """The background job, and how far it is."""

    def __init__(self, org: Org, numbers: Callable[[], int]) -> None:
        self._org = org
        self._numbers = numbers
        self._task: asyncio.Task[None] | None = None
        self.job: Job | None = None
        self.done = 0

    @property
    def running(self) -> bool:
        """Whether changes are still to come."""
        return self._task is not None and not self._task.done()

    @property
    def error(self) -> str | None:
        """Why the job ended before its time, if it did."""
        if self._task is None or not self._task.done() or self._task.cancelled():
            return None
        error = self._task.exception()
        return None if error is None else repr(error)

    def start(self, job: Job) -> None:
        """Begin. Raises ValueError for what makes no sense, or while another job runs."""
        _check(job)
        if self.running:
            raise ValueError("traffic is running already: DELETE /_sim/traffic stops it")
        self.job, self.done = job, 0
        self._task = asyncio.create_task(self._run(job))

    async def stop(self) -> None:
        """End now; what was changed stays changed."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self, job: Job) -> None:
        rng = Random(job.seed)  # noqa: S311
        changer = Changer(self._org, rng, job.mix or MIX, self._numbers)
        loop = asyncio.get_running_loop()
        start = loop.time()
        while not job.changes or self.done < job.changes:
            again = rng.random() < AGAIN
            if job.per_second and not again:
                await asyncio.sleep(max(0.0, start + self.done / job.per_second - loop.time()))
            elif self.done % _CHANGES_BEFORE_OTHERS_RUN == 0:
                await asyncio.sleep(0)
            changer.change(again=again)
            self.done += 1


def _fits(name: str, user: User) -> bool:
    if name in STEPS:
        return user["status"] in STEPS[name].allowed
    # Who is deactivated has no applications or groups to change, and a profile that cannot be edited.
    return name == "delete" or user["status"] != "DEPROVISIONED"


def _check(job: Job) -> None:
    possible = {*MIX, *STEPS, *ON_REQUEST}
    if unknown := sorted(set(job.mix) - possible):
        raise ValueError(f"no such change: {', '.join(unknown)}; there are {', '.join(sorted(possible))}")
    if any(weight < 0 for weight in job.mix.values()) or (job.mix and not sum(job.mix.values())):
        raise ValueError("weights in mix are 0 or more, and not all 0")
    if job.changes < 0 or (job.per_second is not None and job.per_second <= 0):
        raise ValueError("changes and per_second are positive; 0 changes with per_second goes on until stopped")
    if not job.changes and job.per_second is None:
        raise ValueError("endless traffic needs per_second")
