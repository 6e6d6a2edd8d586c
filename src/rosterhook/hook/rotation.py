"""A new secret for the hook, without a delivery lost or refused, wherever it is interrupted.

A second hook sends the new secret before the first one goes. To replace the only hook would leave a gap: from the
change to the verification Okta sends nothing, and never makes up for it. (Okta's documentation, "Event hooks".)
"""

from __future__ import annotations

import secrets
import time
from dataclasses import replace
from typing import Any

from rosterhook.errors import RosterhookError
from rosterhook.hook.compare import Hook, Wanted, differences, is_active, is_verified
from rosterhook.hook.doctor import refuse_full
from rosterhook.hook.okta_side import OktaSide, Step
from rosterhook.hook_secrets import Rotation, accepted, digest_of

#: How long a retired secret is still taken: Okta gathers events for seconds, repeats after a timeout, and may be late.
GRACE_SECONDS = 600.0


async def rotate(side: OktaSide, *, in_place: bool = False) -> list[Step]:
    """The steps to a new secret, or those that an interrupted rotation has left.

    Args:
        in_place: replace the only hook, with that gap: for an org that has all the hooks that Okta allows.

    Raises:
        RosterhookError: the hook is not in order, or Okta would refuse a second one.
    """
    if not side.prover.sees:
        raise RosterhookError(
            "There is no inbox in data_dir, so nobody could see here whether the new secret arrives.",
            hint="Run this where `rosterhook serve` runs, with the same configuration.",
        )
    hooks, begun = await side.api.list(), side.record.rotation
    if begun is None:
        _refuse_disorder(side, side.own(hooks))
        if not in_place:
            refuse_full(hooks, "Use --in-place, which loses the events of a few seconds, or delete a hook.")
    # Once begun, the first hook is known by its id alone: when it is gone, the second one calls the same address.
    deeds = _Deeds(side, hooks, first_id=(side.record.hook_id or "") if begun else side.hook_id)
    steps = [] if begun else [Step("Make a new secret; from now on both are accepted", lambda: deeds.begin(in_place))]
    steps += deeds.in_place() if (begun.in_place if begun else in_place) else deeds.beside()
    return [*steps, Step(f"Retire the old secret; it is refused in {GRACE_SECONDS / 60:g} minutes", deeds.finish)]


def _refuse_disorder(side: OktaSide, hook: Hook | None) -> None:
    if hook is None:
        raise RosterhookError("There is no hook whose secret could be rotated.", hint="Run `rosterhook hook create`.")
    found = differences(hook, side.wanted())
    if found:
        raise RosterhookError(
            f"The hook is not in order. {' '.join(each.words for each in found)}",
            hint="Run `rosterhook hook repair` first.",
        )


class _Deeds:
    """What the steps do. Each is done again without harm, and is remembered before the next one begins."""

    def __init__(self, side: OktaSide, hooks: list[dict[str, Any]], *, first_id: str) -> None:
        self._side = side
        self._first_id = first_id
        self._second = self._find_second(hooks)

    def in_place(self) -> list[Step]:
        """The only hook gets the new secret."""
        return [
            Step("Replace the secret of the hook in Okta", self._replace),
            Step("Have Okta verify the hook, unless it still counts as verified", self._verify),
            Step(f"{self._side.prover.words}, with the new secret", self._prove),
        ]

    def beside(self) -> list[Step]:
        """A second hook has the new secret, and the first one goes."""
        second = self._second
        steps = [] if second else [Step("Create a second hook, which sends the new secret", self._create)]
        if second is None or not is_active(second) or not is_verified(second):
            steps.append(Step("Have Okta verify the second hook", self._verify))
        return [
            *steps,
            Step(f"{self._side.prover.words}, with the new secret", self._prove),
            Step("Deactivate and delete the first hook, which sends the old secret", self._remove_first),
        ]

    async def begin(self, in_place: bool) -> None:
        """The new secret is durable, and so accepted, before Okta hears of it."""
        name = self._side.config.name if in_place else f"{self._side.config.name} {secrets.token_hex(3)}"
        rotation = Rotation(secrets.token_urlsafe(32), name, in_place=in_place)
        self._side.save(replace(self._side.record, hook_id=self._first_id, rotation=rotation))

    async def finish(self) -> None:
        """From now on the new secret is the one in force, and the others run out."""
        record, rotation, now = self._side.record, self._rotation(), time.time()
        old = {each.decode() for each in accepted(self._side.config, record, now)} - {rotation.secret}
        retired = {digest_of(each): now + GRACE_SECONDS for each in old}
        hook_id = self._sender()
        retired = {**retired, **record.retired}
        self._side.save(replace(record, hook_id=hook_id, secret=rotation.secret, rotation=None, retired=retired))

    async def _create(self) -> None:
        hook_id = await self._side.create(self._wanted())
        self._second = {"id": hook_id}
        self._side.save(replace(self._side.record, rotation=replace(self._rotation(), hook_id=hook_id)))

    async def _replace(self) -> None:
        hooks = await self._side.api.list()
        hook = next((each for each in hooks if each.get("id") == self._first_id), None)
        if hook is None:
            raise RosterhookError(
                "The hook is gone from Okta.", hint="Run `rosterhook hook delete --yes`, then create."
            )
        await self._side.put(hook, self._wanted())

    async def _verify(self) -> None:
        self._side.hook_id = self._sender()
        await self._side.verify_unless_verified(self._rotation().secret)

    async def _prove(self) -> None:
        """Without the proof nothing is taken away."""
        self._side.hook_id = self._sender()
        await self._side.prove()
        if not self._side.arrived:
            raise RosterhookError(
                "No delivery with the new secret was seen, so the old one stays: both are accepted, and nothing is"
                " lost.",
                hint="Run `rosterhook hook rotate` again: it goes on from here. With --canary LOGIN it makes an event"
                " itself.",
            )

    async def _remove_first(self) -> None:
        if self._first_id:
            await self._side.remove(self._first_id)

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
