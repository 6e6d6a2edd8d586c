"""A new secret for the hook, without a delivery lost or refused, wherever it is interrupted.

A second hook sends the new secret before the first one goes. To replace the only hook would leave a gap: from the
change to the verification Okta sends nothing, and never makes up for it. (Okta's documentation, "Event hooks".)
"""

from __future__ import annotations

import secrets
import time
from asyncio import sleep as pause
from dataclasses import dataclass, replace
from typing import Any

from rosterhook.errors import RosterhookError
from rosterhook.hook.compare import Hook, Wanted, describe, differences, is_active, is_verified, others_at
from rosterhook.hook.doctor import refuse_full
from rosterhook.hook.okta_side import OktaSide, Step
from rosterhook.hook_secrets import GRACE_SECONDS, Rotation, digest_of, in_force, retire

#: Okta gathers events for about ten seconds, and repeats a delivery that failed: what the first hook has taken up, it
#: shall have sent before it goes.
DRAIN_SECONDS = 60.0
#: Okta's longest name of a hook is 255 characters; the second one has a suffix.
LONGEST_NAME = 248


@dataclass(frozen=True, slots=True)
class Haste:
    """How long what is old may live on.

    Attributes:
        drain_seconds: from the proof of the second hook to the end of the first.
        grace_seconds: from then until the old secret is refused.
    """

    drain_seconds: float = DRAIN_SECONDS
    grace_seconds: float = GRACE_SECONDS


async def plan_rotation(side: OktaSide, *, in_place: bool = False, haste: Haste | None = None) -> list[Step]:
    """The steps to a new secret, or those that an interrupted rotation has left.

    Args:
        in_place: replace the only hook, with that gap: for an org that has all the hooks that Okta allows.

    Raises:
        RosterhookError: the hook is not in order, or Okta would refuse a second one.
    """
    if not side.prover.can_see or not side.is_served():
        raise RosterhookError(
            "`rosterhook serve` does not run here, so nobody could see whether the new secret arrives.",
            hint="Run this on the machine where it runs, with the same configuration.",
        )
    hooks, begun = await side.api.list(), side.record.rotation
    if begun is not None and in_place and not begun.in_place:
        raise RosterhookError(
            "A rotation with a second hook was begun.", hint="Run `rosterhook hook rotate --abandon` first."
        )
    side.notes += _others(side, hooks)
    # Once begun, the first hook is known by its id alone: when it is gone, the second one calls the same address.
    first = _in_order(side, hooks, in_place) if begun is None else None
    first_id = str(first["id"]) if first is not None else side.record.hook_id or ""
    steps = _Steps(side, hooks, first_id, haste or Haste())
    begin = [steps.beginning(in_place)] if begun is None else []
    through = steps.in_place() if (begun.in_place if begun else in_place) else steps.beside()
    return [*begin, *through, steps.ending()]


async def plan_abandon(side: OktaSide) -> list[Step]:
    """The steps back from a rotation that was begun: the old secret stays the one in force.

    Raises:
        RosterhookError: none was begun, or it is too late.
    """
    if side.record.rotation is None:
        raise RosterhookError("There is no rotation to abandon.")
    steps = _Steps(side, await side.api.list(), side.record.hook_id or "", Haste())
    if not steps.has_first and not side.record.rotation.in_place:
        raise RosterhookError(
            "The hook with the old secret is gone from Okta: there is no way back.",
            hint="Run `rosterhook hook rotate` to end the rotation.",
        )
    return [*steps.back(), Step("Forget the new secret, in 24 hours", steps.forget)]


def _in_order(side: OktaSide, hooks: list[dict[str, Any]], in_place: bool) -> Hook:
    hook = side.needed(hooks)
    found = [each for each in differences(hook, side.wanted()) if not each.is_harmless]
    if found:
        words = " ".join(each.words for each in found)
        raise RosterhookError(f"The hook is not in order. {words}", hint="Run `rosterhook hook repair` first.")
    if not in_place:
        refuse_full(hooks, "Use --in-place, which loses the events of a few seconds, or delete a hook.")
    return hook


def _others(side: OktaSide, hooks: list[dict[str, Any]]) -> list[str]:
    """Hooks of others that call our address may send the secret that the rotation retires."""
    rotation = side.record.rotation
    found = others_at(hooks, side.wanted().url, side.known_ids(side.ours(hooks)))
    return [
        f"The hook {describe(hook)}, too: if it sends the old secret, it is refused when that is retired."
        for hook in found
        if not (rotation and hook.get("name") == rotation.name)
    ]


class _Steps:
    """Each is done again without harm, and is remembered before the next one begins."""

    def __init__(self, side: OktaSide, hooks: list[dict[str, Any]], first_id: str, haste: Haste) -> None:
        self._side = side
        self._first_id = first_id
        self._second = self._find_second(hooks)
        second_id = self._second and self._second.get("id")
        self._first = next((hook for hook in hooks if hook.get("id") == first_id != second_id), None)
        self._haste = haste

    @property
    def has_first(self) -> bool:
        """The hook that sends the old secret is there."""
        return self._first is not None

    def beginning(self, in_place: bool) -> Step:
        """The new secret is durable, and so accepted, before Okta hears of it."""
        name = f"{self._side.config.name[:LONGEST_NAME]} {secrets.token_hex(3)}"

        async def begin() -> None:
            rotation = Rotation(secrets.token_urlsafe(32), name, in_place=in_place)
            url = self._side.wanted().url
            self._side.save(replace(self._side.record, hook_id=self._first_id, url=url, rotation=rotation))

        return Step("Make a new secret; from now on both are accepted", begin)

    def in_place(self) -> list[Step]:
        """The only hook gets the new secret."""
        begun = self._side.record.rotation
        replaced = begun is not None and begun.replaced
        return [
            *([] if replaced else [Step("Replace the secret of the hook in Okta", self._replace)]),
            Step("Have Okta verify the hook", self._verify),
            Step(self._side.prover.description, self._prove),
        ]

    def beside(self) -> list[Step]:
        """A second hook has the new secret, and the first one goes."""
        second, steps = self._second, []
        if second is None:
            steps.append(Step("Create a second hook, which sends the new secret", self._create))
        if second is None or not is_active(second) or not is_verified(second):
            steps.append(Step("Have Okta verify the second hook", self._verify))
        steps.append(Step(f"{self._side.prover.description}, with the new secret", self._prove))
        if self._first is not None:
            seconds = self._haste.drain_seconds
            steps.append(Step(f"Let the first hook send what it has taken up, for {seconds:g} s", self._drain))
            steps.append(Step("Deactivate and delete the first hook, which sends the old secret", self._remove_first))
        return steps

    def ending(self) -> Step:
        """From now on the new secret is the one in force, and the old one runs out."""
        hours = self._haste.grace_seconds / 3600
        when = f"it is refused in {hours:g} hours" if hours else "it is refused from now on"

        async def end() -> None:
            record, rotation = self._side.record, self._rotation()
            old = {in_force(self._side.config, record), record.secret} - {None, rotation.secret}
            retired = retire(record, [each for each in old if each], time.time(), self._haste.grace_seconds)
            new = rotation.secret
            ended = replace(retired, secret=new, sent=digest_of(new), hook_id=self._sender(), rotation=None)
            self._side.save(ended)

        return Step(f"Retire the old secret; {when}", end)

    def back(self) -> list[Step]:
        """Okta sends the old secret alone again."""
        if self._rotation().in_place:
            words = "Give the hook its old secret again, and have Okta verify it"
            return [] if self._first is None else [Step(words, self._restore)]
        if self._second is not None:
            return [Step(f"Deactivate and delete the second hook {describe(self._second)}", self._remove_second)]
        return []

    async def forget(self) -> None:
        """The new secret was perhaps sent: it is taken for its time of grace."""
        record = retire(self._side.record, [self._rotation().secret], time.time())
        self._side.save(replace(record, rotation=None))

    async def _create(self) -> None:
        hook_id = await self._side.create(self._wanted(), like=self._first)
        self._second = {"id": hook_id}
        self._side.save(replace(self._side.record, rotation=replace(self._rotation(), hook_id=hook_id)))

    async def _replace(self) -> None:
        if self._first is None:
            hint = "Run `rosterhook hook rotate --abandon`, then `rosterhook hook create`."
            raise RosterhookError("The hook is gone from Okta.", hint=hint)
        await self._side.put(self._first, self._wanted())
        # A replacement is a gap, and shall not be made twice.
        self._side.save(replace(self._side.record, rotation=replace(self._rotation(), replaced=True)))

    async def _restore(self) -> None:
        if self._first is not None:
            await self._side.put(self._first, self._side.wanted())
            await self._side.verify(self._first_id)

    async def _verify(self) -> None:
        await self._side.verify(self._sender(), self._rotation().secret)

    async def _prove(self) -> None:
        """Without the proof nothing is taken away."""
        if await self._side.prove(self._sender()):
            return
        raise RosterhookError(
            "No delivery with the new secret was seen, so the old one stays valid: both are accepted.",
            hint="Run `rosterhook hook rotate` again: it goes on from here. With --canary LOGIN it makes an event"
            " itself. To go back: rosterhook hook rotate --abandon",
        )

    async def _drain(self) -> None:
        await pause(self._haste.drain_seconds)

    async def _remove_first(self) -> None:
        if self._first is not None:
            await self._side.remove(self._first_id)

    async def _remove_second(self) -> None:
        if self._second is not None:
            await self._side.remove(str(self._second["id"]))

    def _find_second(self, hooks: list[dict[str, Any]]) -> Hook | None:
        """By its name where we were killed before its id could be remembered."""
        rotation = self._side.record.rotation
        if rotation is None or rotation.in_place:
            return None
        by_id = next((each for each in hooks if each.get("id") == rotation.hook_id), None)
        return by_id or next((each for each in hooks if each.get("name") == rotation.name), None)

    def _sender(self) -> str:
        """The id of the hook that sends the new secret."""
        return self._first_id if self._second is None else str(self._second["id"])

    def _wanted(self) -> Wanted:
        rotation = self._rotation()
        return self._side.wanted(name=rotation.name, secret=rotation.secret)

    def _rotation(self) -> Rotation:
        assert self._side.record.rotation is not None  # noqa: S101 - `begin` comes first, or came in an earlier run
        return self._side.record.rotation
