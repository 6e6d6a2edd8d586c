"""The simulated world: the org and all that surrounds it, wired once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from random import Random
from typing import Any

import httpx2

from rosterhook.simulator.delivery import Deliverer
from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.events import new_id
from rosterhook.simulator.faults import Faults
from rosterhook.simulator.hook import hook_from_settings
from rosterhook.simulator.limits import RateLimits
from rosterhook.simulator.org import Org
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.traffic import MIX, Changer, Traffic

#: How long, and how often, a hook from the settings is asked to prove itself: its owner may start later than the org.
VERIFY_FOR_SECONDS, VERIFY_EVERY_SECONDS = 60.0, 0.2

#: The user of Okta's tutorial on event hooks.
TEST_USER = {
    "firstName": "Test",
    "lastName": "User",
    "email": "testuser@doesnotexit.com",
    "login": "testuser@doesnotexit.com",
    "mobilePhone": "111-222-3333",
}


class Simulator:
    """A whole simulated org.

    Attributes:
        url: where it is served; empty as long as it isn't.
        calls: API calls by bucket and by status.
        rng: the dice for what isn't part of the org, such as request ids.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        hook_transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.settings = settings
        self.url = ""
        self.clock = clock
        self.rng = Random(f"{settings.seed}/api")  # noqa: S311
        self.faults = Faults(Random(f"{settings.seed}/faults"))  # noqa: S311
        self.org = Org(settings, clock)
        self.limits = RateLimits(settings, clock)
        self.deliverer = Deliverer(settings, self.faults, clock, hook_transport)
        self.org.on_event = self.deliverer.take
        self.calls_by_bucket: Counter[str] = Counter()
        self.calls_by_status: Counter[str] = Counter()
        numbers = itertools.count(1)
        self.traffic = Traffic(self.org, lambda: next(numbers))
        people = Random(f"{settings.seed}/people")  # noqa: S311
        self._newcomers = Changer(self.org, people, MIX, lambda: next(numbers))
        self._announcing = False
        if not settings.announce:
            self._populate(announce=False)

    @property
    def busy(self) -> bool:
        """Whether changes are still to come."""
        return self.traffic.running or self._announcing

    def create_users(self, count: int, *, announce: bool = True) -> list[str]:
        """New random users; their ids."""
        return [self._newcomers.create(announce=announce)["id"] for _ in range(count)]

    @contextlib.asynccontextmanager
    async def alive(self) -> AsyncIterator[None]:
        """Deliveries and all that happens by itself, for as long as this is open."""
        self._announcing = self.settings.announce
        tasks = [asyncio.create_task(self.deliverer.run()), asyncio.create_task(self._begin())]
        try:
            yield
        finally:
            await self.traffic.stop()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def truth(self, base_url: str) -> dict[str, Any]:
        """Everything that is so, right now."""
        return {
            "users": [shown(user, base_url) for user in self.org],
            "deleted": list(self.org.deleted),
            "counts": self.org.counts(),
        }

    async def _begin(self) -> None:
        if self.settings.hook_url is not None:
            await self._verify_patiently(self.settings.hook_url)
        if self.settings.announce:
            self._populate(announce=True)
            self._announcing = False

    async def _verify_patiently(self, url: str) -> None:
        hook = hook_from_settings(self.settings, new_id(self.rng, "who"), url)
        end = asyncio.get_running_loop().time() + VERIFY_FOR_SECONDS
        while asyncio.get_running_loop().time() < end:
            try:
                await self.deliverer.set_hook(hook)
                return
            except OktaError:
                await asyncio.sleep(VERIFY_EVERY_SECONDS)

    def _populate(self, *, announce: bool) -> None:
        if self.settings.test_user:
            self.org.create(TEST_USER, password=True, user_id="1234", announce=announce)
        self.create_users(self.settings.users, announce=announce)


def shown(user: dict[str, Any], base_url: str) -> dict[str, Any]:
    """A user as answers have it: with the link to itself."""
    return {**user, "_links": {"self": {"href": f"{base_url}/api/v1/users/{user['id']}"}}}
