"""The org's event hooks: what callers do with them, and which of them gets which event."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from random import Random
from typing import Any, Protocol

import httpx2

from rosterhook.simulator import errors
from rosterhook.simulator.events import Event, Target, new_id
from rosterhook.simulator.faults import Faults
from rosterhook.simulator.hooks.courier import Answer, Courier
from rosterhook.simulator.hooks.daily import DailyCut
from rosterhook.simulator.hooks.filter import matches
from rosterhook.simulator.hooks.model import Hook, Pace, hook_from_dump
from rosterhook.simulator.hooks.rules import Wanted
from rosterhook.simulator.hooks.sender import Sender, Tally
from rosterhook.simulator.settings import Settings

#: Active and verified hooks of an org (okta-facts 1.10).
MOST_HOOKS = 25
RECENT = 1000


class Tell(Protocol):
    """Writes an event of no user into the log, as `Org.tell_of` does."""

    def __call__(
        self,
        event_type: str,
        targets: list[Target],
        uri: str,
        *,
        job: bool = False,
        outcome: dict[str, Any] | None = None,
        debug_data: dict[str, str] | None = None,
    ) -> None: ...


class Hooks:
    """Hooks by id. A hook is never changed in place.

    Attributes:
        courier: how their owners are reached.
        daily: how many events they may get.
        recent: the last events that could go to a hook, for the preview.
    """

    def __init__(
        self,
        settings: Settings,
        faults: Faults,
        clock: Callable[[], float],
        tell: Tell,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._faults = faults
        self._clock = clock
        self._tell = tell
        self._rng = Random(f"{settings.seed}/hooks")  # noqa: S311
        self._admin = new_id(self._rng, "00u")
        self._hooks: dict[str, Hook] = {}
        # A deleted hook's sender stays, so that the tallies still add up.
        self._senders: dict[str, Sender] = {}
        self.courier = Courier(settings, clock, transport)
        self.daily = DailyCut(settings.hook_daily_limit, clock, self._tell_of_limit)
        self.recent: deque[Event] = deque(maxlen=RECENT)

    def __iter__(self) -> Iterator[Hook]:
        return iter(self._hooks.values())

    def get(self, hook_id: str) -> Hook:
        """Raises E0000007."""
        hook = self._hooks.get(hook_id)
        if hook is None:
            raise errors.no_such_hook(hook_id)
        return hook

    @property
    def pending(self) -> int:
        """How many events are still to be settled, over all hooks."""
        return sum(sender.pending for sender in self._senders.values())

    def as_json(self) -> dict[str, Any]:
        """The tallies as `GET /_sim/traffic` shows them: of all hooks together, and of each."""
        by_hook = {hook_id: sender.as_json() for hook_id, sender in self._senders.items()}
        total = Counter({**asdict(Tally()), "pending": 0})
        for tally in by_hook.values():
            total.update(tally)
        return {**total, "daily": self.daily.as_json(), "hooks": by_hook}

    def create(self, wanted: Wanted, *, pace: Pace | None = None) -> Hook:
        """A new one, ACTIVE and UNVERIFIED. Raises E0000001 for a name that is taken."""
        self._claim_name(wanted.name, None)
        now = self._now()
        hook = Hook(
            id=new_id(self._rng, "who"),
            name=wanted.name,
            items=wanted.items,
            channel=wanted.channel,
            created=now,
            created_by=self._admin,
            updated=now,
            description=wanted.description,
            filters=dict(wanted.filters),
            pace=pace or self._usual_pace(),
        )
        self._keep(hook)
        self._log("created", hook)
        return hook

    def replace(self, hook_id: str, wanted: Wanted, *, pace: Pace | None = None) -> Hook:
        """The whole hook; another channel has to be verified again. Raises E0000001, E0000007.

        Returns:
            The new one with the old `lastUpdated`, as it was recorded; the next read has the new one.
        """
        old = self.get(hook_id)
        self._claim_name(wanted.name, old)
        still_verified = wanted.channel == old.channel and not self._settings.hook_put_unverifies
        hook = replace(
            old,
            name=wanted.name,
            items=wanted.items,
            channel=wanted.channel,
            updated=self._now(),
            description=wanted.description,
            filters=dict(wanted.filters),
            verified=old.verified and still_verified,
            pace=pace or old.pace,
        )
        self._keep(hook)
        self._log("updated", hook)
        return replace(hook, updated=old.updated)

    def delete(self, hook_id: str) -> None:
        """For good. Raises E0000006 as long as it is active, E0000007."""
        hook = self.get(hook_id)
        if hook.active:
            raise errors.hook_is_active()
        del self._hooks[hook_id]
        self._log("deleted", hook)

    def activate(self, hook_id: str) -> Hook:
        """From now on it may get events. Raises E0000001 for one hook too many, E0000007."""
        hook = self.get(hook_id)
        if hook.active:
            return hook
        if hook.verified:
            self._find_room()
        return self._log("activated", self._change(hook, active=True))

    def deactivate(self, hook_id: str) -> Hook:
        """Nothing goes to it any more; whether it is verified stays. Raises E0000007."""
        hook = self.get(hook_id)
        return self._log("deactivated", self._change(hook, active=False)) if hook.active else hook

    async def verify(self, hook_id: str, *, quiet: bool = False) -> Hook:
        """Ask its owner, and once again when the first try fails (okta-facts 1.14).

        Args:
            quiet: leave a failure out of the log.

        Raises:
            Unproven: E0000001, it did not prove itself.
            OktaError: E0000001 when it is inactive, or is one hook too many; E0000007.
        """
        hook = self.get(hook_id)
        if not hook.active:
            raise errors.invalid("eventHook", "An inactive event hook cannot be verified")
        if not hook.verified:
            self._find_room()
        why = await self.courier.doubt(hook.channel)
        hook_now = self.get(hook_id)
        if hook_now.channel != hook.channel or not hook_now.active:
            why = why or "it was changed meanwhile"
        if why:
            if not quiet:
                self._log("verified", hook, {"result": "FAILURE", "reason": "Hook execution failed"})
            raise errors.unproven(hook.name, why)
        return self._log("verified", self._change(hook_now, verified=True))

    def unverify(self, hook_id: str) -> None:
        """It has to prove itself again. Raises E0000007."""
        self._keep(replace(self.get(hook_id), verified=False))

    def take(self, event: Event) -> None:
        """An event happened: stamp it with the hooks that are to get it, and send it to them (okta-facts 1.15)."""
        self.recent.append(event)
        listening = [hook for hook in self if self._listens(hook, event)]
        if not listening:
            return
        event["debugContext"]["debugData"]["targetEventHookIds"] = ",".join(hook.id for hook in listening)
        if self.daily.admits():
            for hook in listening:
                self._senders[hook.id].take(event)

    async def aclose(self) -> None:
        """Stop all deliveries."""
        await asyncio.gather(*(sender.aclose() for sender in self._senders.values()))
        await self.courier.aclose()

    def dump(self) -> dict[str, Any]:
        """What a restart must not lose, as JSON. What waits for delivery is lost, as if a delivery was."""
        return {"admin": self._admin, "hooks": [asdict(hook) for hook in self], "daily": self.daily.dump()}

    def load(self, held: dict[str, Any]) -> None:
        """Be what `dump` returned once."""
        self._admin = held["admin"]
        for each in held["hooks"]:
            self._keep(hook_from_dump(each))
        self.daily.load(held["daily"])

    def _listens(self, hook: Hook, event: Event) -> bool:
        if not hook.listens or event["eventType"] not in hook.items or self._clock() < hook.hears_from:
            return False
        expression = hook.filters.get(event["eventType"])
        return expression is None or matches(expression, event)

    def _change(self, hook: Hook, *, active: bool | None = None, verified: bool | None = None) -> Hook:
        changed = replace(
            hook,
            active=hook.active if active is None else active,
            verified=hook.verified if verified is None else verified,
            updated=self._now(),
        )
        if changed.listens and not hook.listens:
            changed = replace(changed, hears_from=self._clock() + self._settings.hook_start_seconds)
        self._keep(changed)
        return changed

    def _keep(self, hook: Hook) -> None:
        self._hooks[hook.id] = hook
        if hook.id not in self._senders:
            self._senders[hook.id] = Sender(
                hook, self._settings, self._faults, self.courier, self._clock, self._tell_of_failure
            )
        self._senders[hook.id].use(hook)

    def _claim_name(self, name: str, owner: Hook | None) -> None:
        if any(hook.name == name and (owner is None or hook.id != owner.id) for hook in self):
            raise errors.invalid("name", "name: An object with this field already exists in the current organization")

    def _find_room(self) -> None:
        if sum(hook.listens for hook in self) >= MOST_HOOKS:
            raise errors.invalid("eventHook", f"There can be {MOST_HOOKS} active and verified event hooks at most")

    def _usual_pace(self) -> Pace:
        return Pace(self._settings.batch_seconds, self._settings.max_batch, self._settings.patient)

    def _log(self, what: str, hook: Hook, outcome: dict[str, Any] | None = None) -> Hook:
        self._tell(f"event_hook.{what}", [hook.as_target()], _uri(hook), outcome=outcome)
        return hook

    def _tell_of_failure(self, hook: Hook, answer: Answer) -> None:
        outcome = {"result": "FAILURE", "reason": answer.why}
        self._tell("event_hook.delivery", [hook.as_target()], _uri(hook), job=True, outcome=outcome)

    def _tell_of_limit(self, what: str, seconds: int) -> None:
        """Okta's page on rate limit events names the type of operation, the keys and their forms."""
        denied = {"result": "DENY", "reason": "Too many events for event hooks"}
        debug_data = {
            "operationRateLimitType": "event_hook_delivery",
            "operationRateLimitScopeType": "org",
            "operationRateLimitThreshold": str(self._settings.hook_daily_limit),
            "operationRateLimitTimeSpan": "24",
            "operationRateLimitTimeUnit": "HOURS",
            "operationRateLimitSecondsToReset": str(seconds),
        }
        self._tell(
            f"system.operation.rate_limit.{what}",
            [],
            "/api/v1/eventHooks",
            job=True,
            outcome=denied if what == "violation" else None,
            debug_data=debug_data,
        )

    def _now(self) -> str:
        # Whole seconds, as every recorded hook has them.
        return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(self._clock()))


def _uri(hook: Hook) -> str:
    return f"/api/v1/eventHooks/{hook.id}"
