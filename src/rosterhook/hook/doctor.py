"""The hook doctor: for each command the steps that lead from how Okta's side is to how it should be.

A command is a list of steps, made from what Okta and `data_dir/hook.json` say now. So a dry run prints the steps that
a real run takes, and a command that was killed goes on when it is run again: what is done is not in its list.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from rosterhook.errors import RosterhookError
from rosterhook.hook.compare import MOST_HOOKS, Difference, Hook, differences, is_active, is_full, is_verified
from rosterhook.hook.okta_side import OktaSide, Step, describe


@dataclass(frozen=True, slots=True)
class Findings:
    """How Okta's side stands.

    Attributes:
        hook: ours; None when there is none.
        differences: in what it is not as configured.
        rotating: a rotation was begun and not ended.
    """

    hook: Hook | None
    differences: list[Difference]
    rotating: bool


async def look(side: OktaSide) -> Findings:
    """Compare Okta's side with the configuration; changes nothing."""
    wanted = side.wanted()
    hook = side.own(await side.api.list())
    found = [] if hook is None else differences(hook, wanted)
    return Findings(hook, found, side.record.rotation is not None)


async def create(side: OktaSide) -> list[Step]:
    """A hook where none is; or the rest of a creation that was interrupted.

    Raises:
        RosterhookError: a hook is there that is otherwise, or Okta would refuse one more.
    """
    wanted, hooks = side.wanted(), await side.api.list()
    hook = side.own(hooks)
    if hook is not None:
        _refuse_another(hook, differences(hook, wanted))
        verifying = [] if is_verified(hook) else [Step("Have Okta verify the hook", side.verify)]
        return [*verifying, *side.proving()]
    refuse_full(hooks, "Deactivate or delete one (Admin Console > Workflow > Event Hooks).")

    async def make() -> None:
        side.hook_id = await side.create(wanted)
        side.save(replace(side.record, hook_id=side.hook_id, url=wanted.url))

    return [
        Step(f'Create the hook "{wanted.name}" for {wanted.url} with {len(wanted.events)} event types', make),
        Step("Have Okta verify the hook", side.verify),
        *side.proving(),
    ]


async def verify(side: OktaSide) -> list[Step]:
    """Have Okta ask the address again."""
    hook = await side.needed()
    if not is_active(hook):
        raise RosterhookError(
            "The hook is INACTIVE, and Okta verifies only active hooks.", hint="Run `rosterhook hook repair`."
        )
    return [Step(f"Have Okta verify the hook {describe(hook)}", side.verify)]


async def repair(side: OktaSide, *, secret: bool = False) -> list[Step]:
    """Make Okta's side what the configuration says. No steps: nothing is wrong.

    Args:
        secret: replace the hook even so: the secret that Okta sends cannot be read back and compared.
    """
    wanted, hook = side.wanted(), await side.needed()
    refuse_rotating(side)
    found = {each.what for each in differences(hook, wanted)}
    steps = []
    if "status" in found:
        steps.append(Step("Activate the hook", _activate(side)))
    if secret or found - {"status"}:

        async def put() -> None:
            await side.put(hook, wanted)
            side.save(replace(side.record, hook_id=side.hook_id, url=wanted.url))

        what = ", ".join(sorted(found - {"status", "verification"})) or "secret"
        steps.append(Step(f"Replace the hook in Okta ({what})", put))
        steps.append(Step("Have Okta verify the hook, unless it still counts as verified", side.verify_unless_verified))
    return [*steps, *side.proving()] if steps else []


async def delete(side: OktaSide) -> list[Step]:
    """Remove the hook from Okta, and a second one that a rotation has left."""
    hook, rotation = await side.needed(), side.record.rotation

    async def remove() -> None:
        ours = {str(hook["id"]), *([rotation.hook_id] if rotation else [])}
        for each in await side.api.list():
            if each.get("id") in ours or (rotation and each.get("name") == rotation.name):
                await side.remove(str(each["id"]))
        side.save(replace(side.record, hook_id=None, url=None, rotation=None))

    return [Step(f"Deactivate and delete the hook {describe(hook)}", remove)]


def refuse_full(hooks: list[Hook] | list[dict[str, object]], hint: str) -> None:
    """Okta would refuse one more hook.

    Raises:
        RosterhookError: so many are active and verified.
    """
    if is_full(hooks):
        raise RosterhookError(f"The org has {MOST_HOOKS} active event hooks, and Okta allows no more.", hint=hint)


def refuse_rotating(side: OktaSide) -> None:
    """A half rotation has to be ended first.

    Raises:
        RosterhookError: one was begun and not ended.
    """
    if side.record.rotation is not None:
        raise RosterhookError("A rotation of the secret was begun and not ended.", hint="Run `rosterhook hook rotate`.")


def _refuse_another(hook: Hook, found: list[Difference]) -> None:
    others = [each for each in found if each.what != "verification"]
    if others:
        raise RosterhookError(
            f"Okta already has the hook {describe(hook)}. {' '.join(map(str, others))}",
            hint="If it is this service's own, run `rosterhook hook repair`; if not, give this one another hook.name.",
        )


def _activate(side: OktaSide) -> Callable[[], Awaitable[None]]:
    async def activate() -> None:
        await side.api.activate(side.hook_id)

    return activate
