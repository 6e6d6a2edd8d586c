"""The simulated world: the org and all that surrounds it, wired once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx2

from rosterhook.simulator.auth.access import Access
from rosterhook.simulator.errors import OktaError, Unproven
from rosterhook.simulator.events import KINDS, Event
from rosterhook.simulator.faults import Faults
from rosterhook.simulator.hooks import Hooks
from rosterhook.simulator.hooks.shortcut import Shortcut
from rosterhook.simulator.limits import RateLimits
from rosterhook.simulator.log import EventLog
from rosterhook.simulator.org import Org
from rosterhook.simulator.people import Numbers
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.tls import Authority
from rosterhook.simulator.traffic import MIX, Changer, Traffic
from rosterhook.simulator.views import listed

#: How long, and how often, a hook from the settings is asked to prove itself: its owner may start later than the org.
VERIFY_FOR_SECONDS, VERIFY_EVERY_SECONDS = 60.0, 0.2

log = logging.getLogger(__name__)

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
        url: where it is served, for links; empty when it isn't, or on all addresses of the machine.
        address: where it listens, as this machine can call it; empty as long as it doesn't.
        authority, ca_file: who signed its certificate, and the file that says so; None without TLS.
        save: has all that is so now on disk; None without a state file.
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
        self.address = ""
        self.authority: Authority | None = None
        self.ca_file: Path | None = None
        self.save: Callable[[], Awaitable[None]] | None = None
        self.rng = Random(f"{settings.seed}/api")  # noqa: S311
        self.faults = Faults(Random(f"{settings.seed}/faults"))  # noqa: S311
        # All that is in the org goes by its clock, which a fault can put wrong.
        self.clock = clock = self.faults.skewed(clock)
        self.access = Access(settings, clock)
        self.faults.on_revoke = self.access.access_tokens.revoke_all
        self.org = Org(settings, clock)
        self.limits = RateLimits(settings, clock)
        self.hooks = Hooks(settings, self.faults, clock, self.org.tell_of, hook_transport)
        self.shortcut = Shortcut(settings, self.hooks)
        self.log = EventLog(settings, self.faults, clock)
        self.org.on_event = self._on_event
        self.calls_by_bucket: Counter[str] = Counter()
        self.calls_by_status: Counter[str] = Counter()
        self.numbers = Numbers()
        self.traffic = Traffic(self.org, self.numbers)
        people = Random(f"{settings.seed}/people")  # noqa: S311
        self._newcomers = Changer(self.org, people, MIX, self.numbers)
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
        begin = asyncio.create_task(self._begin())
        try:
            yield
        finally:
            await self.traffic.stop()
            begin.cancel()
            await asyncio.gather(begin, return_exceptions=True)
            await self.hooks.aclose()

    def truth(self, base_url: str) -> dict[str, Any]:
        """Everything that is so, right now."""
        return {
            "users": [listed(user, base_url) for user in self.org],
            "groups": [{**group, "members": self._member_ids(group["id"])} for group in self.org.groups],
            "deleted": list(self.org.deleted),
            "counts": self.org.counts(),
        }

    def _member_ids(self, group_id: str) -> list[str]:
        members = self.org.groups.members(group_id)
        return [user["id"] for user in self.org if members is None or user["id"] in members]

    def _on_event(self, event: Event) -> None:
        # Hooks first: they stamp which of them is to get it, and the log keeps that (okta-facts 1.15).
        if KINDS[event["eventType"]].eligible:
            self.hooks.take(event)
        self.log.append(event)

    async def _begin(self) -> None:
        if self.settings.hook_url is not None:
            await self._verify_patiently(self.settings.hook_url)
        if self.settings.announce:
            self._populate(announce=True)
            self._announcing = False

    async def _verify_patiently(self, url: str) -> None:
        hook = self.shortcut.put(url)
        end = asyncio.get_running_loop().time() + VERIFY_FOR_SECONDS
        why = ""
        while asyncio.get_running_loop().time() < end:
            try:
                await self.hooks.verify(hook.id, quiet=True)
                return
            except OktaError as error:
                if hook.id not in {each.id for each in self.hooks}:
                    return
                why = error.why if isinstance(error, Unproven) else "; ".join(error.causes)
                await asyncio.sleep(VERIFY_EVERY_SECONDS)
        log.warning("the hook at %s did not verify: %s", _without_secrets(url), why)

    def _populate(self, *, announce: bool) -> None:
        if self.settings.test_user:
            self.org.create(TEST_USER, password=True, user_id="1234", announce=announce)
        self.create_users(self.settings.users, announce=announce)


def _without_secrets(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))
