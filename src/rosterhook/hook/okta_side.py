"""One hook in Okta and the record of it in data_dir: the single deeds of which the doctor's commands are made."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rosterhook.config import HookConfig
from rosterhook.data_dir import is_running
from rosterhook.errors import ConfigError, OktaError, OktaNotFound, RosterhookError
from rosterhook.hook.arrival import Proof
from rosterhook.hook.compare import Hook, Wanted, describe, find_namesake, find_ours
from rosterhook.hook.diagnosis import Diagnosis
from rosterhook.hook_secrets import HookRecord, digest_of, in_force, read_record, write_record
from rosterhook.model import now_ms
from rosterhook.okta.event_hooks import EventHooks
from rosterhook.okta.events import NEEDED

#: What may hinder Okta where the address answers well from here.
_NOT_SEEN_FROM_HERE = (
    " So Okta sends another secret (`rosterhook hook repair` sets ours), or it does not reach the address: open it to"
    " the internet."
)


#: Asks an address as Okta does, from address, header and secret.
Diagnose = Callable[[str, str, str], Awaitable[Diagnosis]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a command: what it does, in words, and the deed; False of it is no success and no fault."""

    description: str
    act: Callable[[], Awaitable[bool | None]]


class OktaSide:
    """Okta's event hooks, and what data_dir knows of ours.

    Args:
        config: section `hook`.
        url: the address that Okta shall call; None takes `hook.url`, else the one that `create` was given.

    Attributes:
        arrived: whether a delivery was seen to arrive; None as long as nobody has looked, or nobody can.
        notes: what whoever gave the command should know beside.

    Raises:
        StoreError: the record cannot be read.
    """

    def __init__(
        self,
        api: EventHooks,
        config: HookConfig,
        data_dir: Path,
        prover: Proof,
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
        self.arrived: bool | None = None
        self.notes: list[str] = []

    def save(self, record: HookRecord) -> None:
        """Remember, durably, before the next deed."""
        write_record(self._data_dir, record)
        self.record = record

    async def diagnosis(self) -> Diagnosis:
        """What the public address answers, seen from here."""
        wanted = self.wanted()
        return await self._diagnose(wanted.url, wanted.header, wanted.secret)

    def is_served(self) -> bool:
        """Whether the web process of this data_dir runs on this machine."""
        return is_running(self._data_dir, "web")

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
                "There is no secret for the hook that is still in force.",
                hint="Put a long random value into hook.secret, or run `rosterhook init`.",
            )
        return Wanted(name or self.config.name, self._url, self.config.header, NEEDED, value)

    def ours(self, hooks: list[dict[str, Any]]) -> Hook | None:
        """Our hook among all of the org."""
        return find_ours(hooks, self.record.hook_id, self._url)

    def known_ids(self, hook: Hook | None) -> set[str]:
        """The ids of ours, and of the second hook of a rotation."""
        second = self.record.rotation.hook_id if self.record.rotation else None
        return {each for each in (self.record.hook_id, str(hook["id"]) if hook else None, second) if each}

    def needed(self, hooks: list[dict[str, Any]]) -> Hook:
        """Our hook among all of the org.

        Raises:
            RosterhookError: it is not there. Another one of its name may be.
        """
        hook = self.ours(hooks)
        if hook is not None:
            return hook
        namesake = find_namesake(hooks, self.config.name, None)
        if namesake is not None:
            raise not_ours(namesake)
        raise RosterhookError(
            f"Okta has no event hook that calls {self._url or 'this service'}.", hint="Run `rosterhook hook create`."
        )

    def remember(self, hook_id: str, wanted: Wanted) -> None:
        """This hook is ours, and Okta has been given all of it."""
        sent = digest_of(wanted.secret)
        self.save(replace(self.record, hook_id=hook_id, url=wanted.url, sent=sent, sent_ms=now_ms()))

    def sends_another_secret(self) -> bool:
        """Whether Okta was last given a secret that is not the one in force. It cannot be asked."""
        return self.record.sent not in (None, digest_of(self.wanted().secret))

    async def create(self, wanted: Wanted, like: Hook | None = None) -> str:
        """Create a hook; its id.

        Args:
            like: one whose headers and description it gets.
        """
        try:
            hook = await self.api.create(wanted.body(like))
        except OktaError as error:
            raise _refused("create", error) from None
        return str(hook["id"])

    async def put(self, hook: Hook, wanted: Wanted) -> None:
        """Replace the hook; it keeps its name. It has to be verified afterwards, whatever Okta then says of it."""
        kept = replace(wanted, name=str(hook.get("name") or wanted.name))
        try:
            await self.api.replace(str(hook["id"]), kept.body(hook))
        except OktaError as error:
            raise _refused("replace", error) from None

    async def verify(self, hook_id: str, secret: str | None = None) -> None:
        """Have Okta verify the hook: also the one proof that Okta sends a secret which is taken here.

        Args:
            secret: that the hook sends; None is the one in force.

        Raises:
            OktaError: it could not; the hint says what is wrong, as far as it can be seen from here.
        """
        try:
            await self.api.verify(hook_id)
        except OktaError as error:
            if error.status != 400:
                raise
            wanted = self.wanted(secret=secret)
            found = await self._diagnose(wanted.url, wanted.header, wanted.secret)
            raise _unverified(wanted, error, found.words + (_NOT_SEEN_FROM_HERE if found.is_good else "")) from None

    async def verify_or_replace(self, hook: Hook, wanted: Wanted) -> None:
        """Have Okta verify our hook, and give it our secret unless it is known to have it already.

        A verification only proves that Okta sends a secret which is taken here: it may be one that runs out. Where the
        address does not answer, the hook is left alone: replaced, it would stay unverified.
        """
        hook_id = str(hook["id"])
        try:
            await self.api.verify(hook_id)
        except OktaError as error:
            if error.status != 400:
                raise
            found = await self._diagnose(wanted.url, wanted.header, wanted.secret)
            if not found.is_good:
                raise _unverified(wanted, error, found.words) from None
        else:
            if self.record.sent == digest_of(wanted.secret):
                self.remember(hook_id, wanted)
                return
        await self.put(hook, wanted)
        self.remember(hook_id, wanted)
        await self.verify(hook_id)

    async def remove(self, hook_id: str) -> None:
        """Deactivate and delete a hook; one that is gone already is fine."""
        try:
            hook = await self.api.get(hook_id)
            if hook.get("status") != "INACTIVE":
                await self.api.deactivate(hook_id)
            await self.api.delete(hook_id)
        except OktaNotFound:
            return

    async def prove(self, hook_id: str) -> bool:
        """Wait until a delivery arrives, as the prover does it; False when none came in time."""
        self.arrived = await self.prover.prove(hook_id)
        return self.arrived


def not_ours(hook: Hook) -> RosterhookError:
    """A hook has our name, and perhaps another owner."""
    return RosterhookError(
        f"Okta has the hook {describe(hook)}: it has this service's name, but not its address.",
        hint="If another service owns it, set another hook.name here. If it is this one's own, run"
        f" `rosterhook hook repair --adopt {hook.get('id')}`.",
    )


def _unverified(wanted: Wanted, error: OktaError, why: str) -> OktaError:
    # Okta's own reason is always the same, "Hook execution failed": only its code and request id are worth telling.
    trace = f" (Okta: {error.code}, request {error.request_id})" if error.request_id else f" (Okta: {error.code})"
    return OktaError(
        f"Okta could not verify {wanted.url}{trace}. {why}",
        hint="The hook stays in Okta. When that is mended, run this command again.",
        status=error.status,
        code=error.code,
        request_id=error.request_id,
    )


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
