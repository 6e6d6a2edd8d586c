"""The hook doctor: for each command the steps that lead from how Okta's side is to how it should be.

A command is a list of steps, made from what Okta and `data_dir/hook.json` say now. So a dry run prints the steps that
a real run takes, and a command that was killed goes on when it is run again: what is done is not in its list.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from rosterhook.errors import RosterhookError
from rosterhook.hook.compare import (
    MOST_HOOKS,
    Difference,
    Hook,
    Wanted,
    describe,
    differences,
    find_namesake,
    is_active,
    is_full,
    others_at,
)
from rosterhook.hook.okta_side import OktaSide, Step, not_ours
from rosterhook.hook_secrets import GRACE_SECONDS, in_force, retire

Deed = Callable[[], Awaitable[bool | None]]


@dataclass(frozen=True, slots=True)
class Findings:
    """How Okta's side stands.

    Attributes:
        hook: ours; None when there is none.
        namesake: where there is none, one that has its name.
        differences: in what ours is not as configured.
        others: hooks that call the same address.
    """

    hook: Hook | None
    namesake: Hook | None
    differences: list[Difference]
    others: list[Hook]


async def look(side: OktaSide) -> Findings:
    """Compare Okta's side with the configuration; changes nothing."""
    wanted, hooks = side.wanted(), await side.api.list()
    hook = side.ours(hooks)
    if hook is None:
        return Findings(None, find_namesake(hooks, side.config.name, None), [], [])
    others = others_at(hooks, wanted.url, side.known_ids(hook))
    return Findings(hook, None, [*differences(hook, wanted), *await _secret(side, hook)], others)


async def plan_create(side: OktaSide) -> list[Step]:
    """A hook where none is; or the rest of a creation that was interrupted.

    Raises:
        RosterhookError: a hook is there that is otherwise, or Okta would refuse one more.
    """
    _refuse_rotating(side)
    wanted, hooks = side.wanted(), await side.api.list()
    hook = side.ours(hooks)
    if hook is not None:
        _refuse_different(hook, wanted)
        return [Step(f"Have Okta verify the hook {describe(hook)}", _verified(side, hook)), *_proving(side, hook)]
    namesake = find_namesake(hooks, wanted.name, None)
    if namesake is not None:
        raise not_ours(namesake)
    refuse_full(hooks, "Deactivate or delete one (Admin Console > Workflow > Event Hooks).")
    made: dict[str, Any] = {}

    async def create() -> None:
        made["id"] = await side.create(wanted)
        side.remember(made["id"], wanted)

    async def verify() -> None:
        await side.verify(made["id"])

    return [
        Step(f'Create the hook "{wanted.name}" for {wanted.url} with {len(wanted.events)} event types', create),
        Step("Have Okta verify the hook", verify),
        *_proving(side, made),
    ]


async def plan_verify(side: OktaSide) -> list[Step]:
    """Have Okta ask the address again."""
    hook = side.needed(await side.api.list())
    if not is_active(hook):
        raise RosterhookError(
            "The hook is INACTIVE, and Okta verifies only active hooks.", hint="Run `rosterhook hook repair`."
        )

    async def verify() -> None:
        await side.verify(str(hook["id"]))

    return [Step(f"Have Okta verify the hook {describe(hook)}", verify)]


async def plan_repair(side: OktaSide, *, adopt: str | None = None) -> list[Step]:
    """Make Okta's side what the configuration says. The secret cannot be read back: to have Okta verify proves it.

    Args:
        adopt: id of a hook that is ours though nothing here knows it.
    """
    _refuse_rotating(side)
    wanted, hooks = side.wanted(), await side.api.list()
    hook = side.needed(hooks) if adopt is None else _hook_of(hooks, adopt)
    found = [*differences(hook, wanted), *await _secret(side, hook)]
    wrong = [each.what for each in found if each.what not in ("status", "verification", "refused")]
    if any(not each.is_harmless for each in found):
        side.notes.append(
            f"What changed in Okta since {hook.get('lastUpdated')} may be missing here: `rosterhook replay` with the"
            " ids of the users reads them again."
        )
    steps = []
    if not is_active(hook):
        steps.append(Step(f"Activate the hook {describe(hook)}", _activated(side, hook)))
    if wrong:
        what = ", ".join(dict.fromkeys(wrong))
        steps.append(Step(f"Replace the hook {describe(hook)}: {what}", _replaced(side, hook)))
    else:
        steps.append(Step(f"Have Okta verify the hook {describe(hook)}", _verified(side, hook)))
    if side.record.secret is not None and in_force(side.config, side.record) != side.record.secret:
        steps.append(Step(f"Retire the last rotation's secret, in {GRACE_SECONDS / 3600:g} hours", _forgotten(side)))
    return [*steps, *_proving(side, hook)]


async def plan_delete(side: OktaSide) -> list[Step]:
    """Remove the hook from Okta, and a second one that a rotation has left."""
    hooks, rotation = await side.api.list(), side.record.rotation
    hook = side.needed(hooks)
    # The name of a second hook is random: nobody else's.
    second = rotation and not rotation.in_place and find_namesake(hooks, rotation.name, hook)

    async def remove() -> None:
        for each in (hook, second):
            if each:
                await side.remove(str(each["id"]))
        # What the second hook has sent may still be on its way.
        record = retire(side.record, [rotation.secret] if rotation else [], time.time())
        side.save(replace(record, hook_id=None, url=None, rotation=None, sent=None))

    return [Step(f"Deactivate and delete the hook {describe(hook)}", remove)]


def refuse_full(hooks: Sequence[Hook], hint: str) -> None:
    """Okta would refuse one more hook.

    Raises:
        RosterhookError: so many are active and verified.
    """
    if is_full(hooks):
        raise RosterhookError(f"The org has {MOST_HOOKS} active event hooks, and Okta allows no more.", hint=hint)


async def _secret(side: OktaSide, hook: Hook) -> list[Difference]:
    """What is known of the secret, though Okta never shows it."""
    if side.record.rotation is None and side.sends_another_secret():
        words = "Okta was last given another secret than the one that is set here now."
        return [Difference("secret", words, "When that one is not valid any more, each delivery is refused and lost.")]
    arrived_ms = await side.prover.last(str(hook["id"])) or 0
    refused = await side.prover.refused_since(max(arrived_ms, side.record.sent_ms))
    if refused:
        # Anybody can call himself Okta: a suspicion, of which a verification tells more.
        words = f"Okta seems to send another secret than this service has: {refused} of its calls were refused."
        return [Difference("refused", words, "Okta never repeats what was refused: it is lost.")]
    return []


def _refuse_rotating(side: OktaSide) -> None:
    if side.record.rotation is not None:
        raise RosterhookError(
            "A rotation of the secret was begun and not ended.",
            hint="Run `rosterhook hook rotate` to end it, or `rosterhook hook rotate --abandon`.",
        )


def _refuse_different(hook: Hook, wanted: Wanted) -> None:
    others = [each for each in differences(hook, wanted) if each.what != "verification" and not each.is_harmless]
    if not others:
        return
    moves = any(each.what == "url" for each in others)
    raise RosterhookError(
        f"Okta already has the hook {describe(hook)}. {' '.join(each.words for each in others)}",
        hint=f"{f'Set hook.url to {wanted.url}, then run' if moves else 'Run'} `rosterhook hook repair`.",
    )


def _hook_of(hooks: Sequence[Hook], hook_id: str) -> Hook:
    for hook in hooks:
        if hook.get("id") == hook_id:
            return hook
    raise RosterhookError(f"Okta has no event hook with the id {hook_id}.", hint="Copy the id from the message.")


def _activated(side: OktaSide, hook: Hook) -> Deed:
    async def activate() -> None:
        await side.api.activate(str(hook["id"]))

    return activate


def _verified(side: OktaSide, hook: Hook) -> Deed:
    async def verify() -> None:
        await side.verify_or_replace(hook, side.wanted())

    return verify


def _replaced(side: OktaSide, hook: Hook) -> Deed:
    async def put() -> None:
        wanted = side.wanted()
        await side.put(hook, wanted)
        side.remember(str(hook["id"]), wanted)
        await side.verify(str(hook["id"]))

    return put


def _forgotten(side: OktaSide) -> Deed:
    async def forget() -> None:
        own = [side.record.secret] if side.record.secret is not None else []
        side.save(replace(retire(side.record, own, time.time()), secret=None))

    return forget


def _proving(side: OktaSide, hook: Hook) -> list[Step]:
    """The step that waits for a delivery; none where nobody could see it."""

    async def prove() -> bool:
        return await side.prove(str(hook["id"]))

    return [Step(side.prover.description, prove)] if side.prover.can_see else []
