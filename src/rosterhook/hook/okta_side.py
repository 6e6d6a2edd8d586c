"""One hook in Okta and the record of it in data_dir: the single deeds of which the doctor's commands are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from rosterhook.config import HookConfig
from rosterhook.errors import ConfigError, OktaError, RosterhookError
from rosterhook.hook.compare import Hook, Wanted, is_verified, own_hook, url_of
from rosterhook.hook_secrets import HookRecord, in_force, read_record, write_record
from rosterhook.okta.events import NEEDED


class HooksApi(Protocol):
    """Okta's event hooks API, as `okta.event_hooks.EventHooks` calls it. Every call may raise OktaError."""

    async def list(self) -> list[dict[str, Any]]:
        """Every hook of the org."""

    async def create(self, body: dict[str, Any]) -> dict[str, Any]:
        """A new hook: ACTIVE, UNVERIFIED."""

    async def replace(self, hook_id: str, body: dict[str, Any]) -> dict[str, Any]:
        """The whole hook; a changed channel makes it UNVERIFIED."""

    async def activate(self, hook_id: str) -> dict[str, Any]:
        """Let Okta send."""

    async def deactivate(self, hook_id: str) -> dict[str, Any]:
        """Let Okta not send."""

    async def verify(self, hook_id: str) -> dict[str, Any]:
        """Have Okta ask the address for the challenge."""

    async def delete(self, hook_id: str) -> None:
        """Remove it; only an INACTIVE one."""


class Prover(Protocol):
    """Shows that deliveries of a hook arrive."""

    @property
    def sees(self) -> bool:
        """Whether deliveries can be seen from here at all."""

    @property
    def words(self) -> str:
        """What `prove` does."""

    async def prove(self, hook_id: str) -> bool:
        """Wait for a delivery of this hook; False when none came in time."""

    async def last(self, hook_id: str) -> int | None:
        """When the last delivery of this hook came, in milliseconds since 1970; None when none is known."""


#: Says why an address could not be verified, from address, header and secret.
Diagnose = Callable[[str, str, str], Awaitable[str]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a command: what it does, in words, and the deed."""

    words: str
    act: Callable[[], Awaitable[None]]


class OktaSide:
    """Okta's event hooks, and what data_dir knows of ours.

    Args:
        config: section `hook`.
        url: the address that Okta shall call; None takes `hook.url`, else the one that `create` was given.

    Attributes:
        hook_id: of the hook that the deeds are about.
        arrived: whether a delivery was seen to arrive; None as long as nobody has looked, or nobody can.
    """

    def __init__(
        self,
        api: HooksApi,
        config: HookConfig,
        data_dir: Path,
        prover: Prover,
        diagnose: Diagnose,
        *,
        url: str | None = None,
    ) -> None:
        self.api = api
        self.config = config
        self.prover = prover
        self._data_dir = data_dir
        self._diagnose = diagnose
        self.record = read_record(data_dir)
        self._url = url or config.url or self.record.url
        self.hook_id = ""
        self.arrived: bool | None = None

    def save(self, record: HookRecord) -> None:
        """Remember, durably, before the next deed."""
        write_record(self._data_dir, record)
        self.record = record

    def wanted(self, *, name: str | None = None, secret: str | None = None) -> Wanted:
        """The hook as it should be.

        Raises:
            ConfigError: the address or the secret is not known.
        """
        if self._url is None:
            raise ConfigError(
                "The public address of the hook is not known.",
                hint='Set hook.url, such as "https://hooks.example.com/okta/events", or give --url.',
            )
        value = secret or in_force(self.config, self.record)
        if value is None:
            raise ConfigError(
                "hook.secret is not set: anybody could send events.",
                hint="Run `rosterhook init`, or put a long random value into hook.secret.",
            )
        return Wanted(name or self.config.name, self._url, self.config.header, NEEDED, value)

    def own(self, hooks: list[dict[str, Any]]) -> Hook | None:
        """Ours among all hooks of the org."""
        found = own_hook(hooks, self.record.hook_id, self.config.name, self._url)
        self.hook_id = "" if found is None else str(found["id"])
        return found

    async def needed(self) -> Hook:
        """Ours.

        Raises:
            RosterhookError: there is none.
        """
        hook = self.own(await self.api.list())
        if hook is None:
            raise RosterhookError(
                f'Okta has no event hook "{self.config.name}", nor one that calls {self._url or "this service"}.',
                hint="Make it: rosterhook hook create",
            )
        return hook

    async def create(self, wanted: Wanted) -> str:
        """Create a hook; its id."""
        try:
            hook = await self.api.create(wanted.body())
        except OktaError as error:
            raise _refused("create", error) from None
        return str(hook["id"])

    async def put(self, hook: Hook, wanted: Wanted) -> None:
        """Replace the hook."""
        try:
            await self.api.replace(str(hook["id"]), wanted.body(hook))
        except OktaError as error:
            raise _refused("replace", error) from None

    async def verify(self, secret: str | None = None) -> None:
        """Have Okta verify the hook.

        Raises:
            OktaError: it could not; the hint says what is wrong, as far as it can be seen from here.
        """
        wanted = self.wanted(secret=secret)
        try:
            await self.api.verify(self.hook_id)
        except OktaError as error:
            if error.status != 400:
                raise
            raise OktaError(
                f"Okta could not verify {wanted.url}: {error.message}",
                hint=await self._diagnose(wanted.url, wanted.header, wanted.secret),
                status=error.status,
                code=error.code,
                request_id=error.request_id,
            ) from None

    async def verify_unless_verified(self, secret: str | None = None) -> None:
        """Verify; not needed where Okta has kept the verification over a replacement (it does not say when)."""
        hooks = await self.api.list()
        if not any(each.get("id") == self.hook_id and is_verified(each) for each in hooks):
            await self.verify(secret)

    async def remove(self, hook_id: str) -> None:
        """Deactivate and delete a hook; one that is gone already is fine."""
        found = next((each for each in await self.api.list() if each.get("id") == hook_id), None)
        if found is None:
            return
        if found.get("status") != "INACTIVE":
            await self.api.deactivate(hook_id)
        await self.api.delete(hook_id)

    def proving(self) -> list[Step]:
        """The step that waits for a delivery; none where nobody could see it."""
        return [Step(self.prover.words, self.prove)] if self.prover.sees else []

    async def prove(self) -> None:
        """Wait until a delivery arrives, as the prover does it."""
        self.arrived = await self.prover.prove(self.hook_id)


def _refused(what: str, error: OktaError) -> OktaError:
    """What Okta says when it refuses a hook is not documented: it is quoted, with all that is known to cause it."""
    if error.status != 400:
        return error
    return OktaError(
        f"Okta refused to {what} the hook: {error.message}",
        hint="Known reasons: the name or the address is taken by another hook, 25 hooks are active, the address does"
        " not begin with https:// or is not a valid one, or the org lacks one of the event types.",
        status=error.status,
        code=error.code,
        request_id=error.request_id,
    )


def describe(hook: Hook) -> str:
    """A hook in one line."""
    return f'"{hook.get("name")}" ({hook.get("id")}), which calls {url_of(hook)}'
