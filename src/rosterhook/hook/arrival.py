"""The proof that the hook works: a delivery of it that is in the inbox."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from rosterhook.errors import OktaError, OktaNotFound
from rosterhook.model import Delivery
from rosterhook.notes import REFUSED, read_note
from rosterhook.stores import Stores

POLL_SECONDS = 0.25
#: Okta gathers events for about ten seconds before it sends them.
AGAIN_SECONDS = 20.0
#: Deliveries of a read, and how far back the last arrival is looked for.
SOME = 200
LAST = 2000
#: What a touched attribute holds for a moment. Only an attribute without a value is touched, so that nothing is lost
#: when the command is killed meanwhile: the next touch finds this and takes it away.
MARK = "rosterhook canary"
TOUCHED = ("nickName", "honorificSuffix", "honorificPrefix", "middleName")


class _Envelope(msgspec.Struct):
    source: str = ""


class Arrivals:
    """Looks for deliveries of one hook in the stores of a service on this machine."""

    def __init__(self, stores: Stores) -> None:
        self._inbox = stores.inbox
        self._state = stores.state

    async def now(self) -> int:
        """Where the inbox ends."""
        return await self._inbox.received()

    async def last(self, hook_id: str) -> int | None:
        """When the last delivery of this hook came, in milliseconds since 1970; None when none of the last did."""
        after = max(0, await self._inbox.received() - LAST)
        found = None
        while some := await self._inbox.read(after, SOME):
            found = max((each.received_ms for each in some if is_of(each, hook_id)), default=found)
            after = some[-1].seq
        return found

    async def refused_since(self, at_ms: int) -> int:
        """How many calls of Okta were refused by the running web process, if the last one came after this time."""
        noted, _ = await self._state.read(lambda db: read_note(db, REFUSED))
        return int(noted["count"]) if noted and noted["last_ms"] > at_ms else 0

    async def wait(self, hook_id: str, after: int, seconds: float) -> bool:
        """Wait for a delivery of this hook behind place `after`; False when none came in time."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    while some := await self._inbox.read(after, SOME):
                        if any(is_of(each, hook_id) for each in some):
                            return True
                        after = some[-1].seq
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            return False


def is_of(delivery: Delivery, hook_id: str) -> bool:
    """Tell whether the delivery says that this hook sent it. (`source` ends with its id: Okta's guide.)"""
    try:
        source = msgspec.json.decode(delivery.body, type=_Envelope).source
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return source.rstrip("/").endswith(f"/eventHooks/{hook_id}")


class Users(Protocol):
    """The part of the Okta client that a touch needs."""

    async def find_user(self, login: str) -> dict[str, Any]:
        """One user by login."""

    async def update_profile(self, user_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change some attributes; None takes a value away."""


class Canary:
    """A user of whom an attribute without a value is set for a moment: each change makes an event.

    Args:
        login: of the user.
    """

    def __init__(self, users: Users, login: str) -> None:
        self._users = users
        self._login = login
        self._user_id = ""
        self._name = ""
        self._is_set = False

    async def choose(self) -> None:
        """Find the user and the attribute, before anything is changed.

        Raises:
            OktaError: the user is not there, or has no attribute free.
        """
        try:
            user = await self._users.find_user(self._login)
        except OktaNotFound as error:
            raise OktaError(
                "Okta has no user with the login of the canary, or this login may not see it.",
                hint="Name a user by their whole login.",
                status=error.status,
                request_id=error.request_id,
            ) from None
        profile = user.get("profile") or {}
        left = next((name for name in TOUCHED if profile.get(name) == MARK), None)
        free = next((name for name in TOUCHED if not profile.get(name)), None)
        name = left or free
        if name is None:
            raise OktaError(
                f"The canary has a value in each of {', '.join(TOUCHED)}, and none may be lost.",
                hint="Name a user whose nickName is empty.",
            )
        self._user_id, self._name, self._is_set = user["id"], name, left is not None

    async def toggle(self) -> None:
        """Set the attribute, or take its value away again: either makes an event.

        Raises:
            OktaError: the user may not be changed.
        """
        was_set = self._is_set
        # Before the answer: whatever becomes of it, Okta may have taken the value.
        self._is_set = True
        try:
            await self._users.update_profile(self._user_id, {self._name: None if was_set else MARK})
        except OktaError as error:
            if 400 <= error.status < 500:
                self._is_set = was_set  # Okta has refused, and so not taken it
            raise
        self._is_set = not was_set

    async def restore(self) -> str:
        """Take the value away, if it is there; says what is left to do by hand, or ""."""
        try:
            if self._is_set:
                await self.toggle()
        except OktaError as error:
            return f'Take "{MARK}" out of {self._name} of the canary by hand: {error.message}'
        return ""


class Proof:
    """Waits for a delivery; with a canary it makes the event for it, and without it waits for the next one.

    Args:
        arrivals: None when no service has ever run over this data_dir.
        seconds: how long to wait in all.

    Attributes:
        notes: what is left to do by hand.
    """

    def __init__(self, arrivals: Arrivals | None, canary: Canary | None, seconds: float) -> None:
        self._arrivals = arrivals
        self._canary = canary
        self._seconds = seconds
        self.notes: list[str] = []

    @property
    def can_see(self) -> bool:
        """Whether there is an inbox to look into."""
        return self._arrivals is not None

    @property
    def description(self) -> str:
        """What `prove` does."""
        if self._canary is not None:
            return f"Touch the canary and wait up to {self._seconds:g} s for the delivery"
        return f"Wait up to {self._seconds:g} s for the next delivery"

    async def prepare(self) -> None:
        """Find the canary; called before anything is changed, it tells of a mistyped login. Raises OktaError."""
        if self._canary is not None:
            await self._canary.choose()

    async def prove(self, hook_id: str) -> bool:
        """Wait for a delivery of this hook; False when none came in time, or none could be seen here."""
        if self._arrivals is None:
            return False
        after = await self._arrivals.now()
        if self._canary is None:
            return await self._arrivals.wait(hook_id, after, self._seconds)
        await self.prepare()
        try:
            return await self._touch_until(self._arrivals, self._canary, hook_id, after)
        finally:
            left = await self._canary.restore()
            self.notes += [left] if left else []

    async def last(self, hook_id: str) -> int | None:
        """When the last delivery of this hook came, in milliseconds since 1970."""
        return None if self._arrivals is None else await self._arrivals.last(hook_id)

    async def refused_since(self, at_ms: int) -> int:
        """How many calls of Okta were refused, if the last one came after this time (milliseconds since 1970)."""
        return 0 if self._arrivals is None else await self._arrivals.refused_since(at_ms)

    async def _touch_until(self, arrivals: Arrivals, canary: Canary, hook_id: str, after: int) -> bool:
        """Again and again: a new hook may send nothing for minutes. (Okta's documentation, "Event hooks".)"""
        left = self._seconds
        while left > 0:
            await canary.toggle()
            if await arrivals.wait(hook_id, after, min(AGAIN_SECONDS, left)):
                return True
            left -= AGAIN_SECONDS
        return False
