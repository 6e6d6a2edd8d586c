"""What goes wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from random import Random
from typing import Any


@dataclass(frozen=True, slots=True)
class Delay:
    """Some deliveries start late."""

    probability: float = 0.0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Probabilities from 0 to 1, unless said otherwise.

    Attributes:
        drop: a delivery is never sent.
        duplicate: an event comes again in a later delivery.
        reorder: an event is held back, so that later ones overtake it.
        status_500: an API call ends with Okta's internal error.
        status_429: an API call ends as if the limit was used up.
        outage: every API call ends with 503.
        latency_ms: what each API call takes, over the setting; None leaves the setting.
        late_rows, late_seconds: how many log rows are persisted late, and how much at most; None leaves the settings.
        concurrency_429: an API call ends as if too many were running.
        lost_scope: scopes that count as not granted, in access tokens that exist too.
        lost_role: nobody has an admin role any more.
        clock_skew_seconds: how far the org's clock is ahead: in stamps, in Date, in what it thinks of tokens.
        refuse_cursors: the System Log refuses every cursor, as if they had grown too old.
    """

    drop: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    delay: Delay = field(default_factory=Delay)
    status_500: float = 0.0
    status_429: float = 0.0
    outage: bool = False
    latency_ms: float | None = None
    late_rows: float | None = None
    late_seconds: float | None = None
    refuse_cursors: bool = False
    concurrency_429: float = 0.0
    lost_scope: tuple[str, ...] = ()
    lost_role: bool = False
    clock_skew_seconds: float = 0.0


class Faults:
    """The plan in force, and the dice.

    Attributes:
        on_revoke: ends every access token; "revoke_tokens" happens once, and so is no part of the plan.
    """

    def __init__(self, rng: Random) -> None:
        self.plan = Plan()
        self.on_revoke: Callable[[], None] = lambda: None
        self.rng = rng

    def merge(self, wanted: dict[str, Any]) -> None:
        """Change what is named, leave the rest. Raises ValueError for what isn't a fault."""
        known = {each.name for each in fields(Plan)} | {"revoke_tokens"}
        if unknown := sorted(set(wanted) - known):
            raise ValueError(f"no such fault: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
        changes = dict(wanted)
        if "delay" in changes:
            changes["delay"] = _delay(changes["delay"])
        revoke = changes.pop("revoke_tokens", False)
        changes |= _access(changes)
        for name in ("drop", "duplicate", "reorder", "status_500", "status_429", "concurrency_429"):
            if name in changes:
                changes[name] = _probability(name, changes[name])
        if changes.get("late_rows") is not None:
            changes["late_rows"] = _probability("late_rows", changes["late_rows"])
        self.plan = replace(self.plan, **changes)
        if revoke:
            self.on_revoke()

    def clear(self) -> None:
        """Everything works again."""
        self.plan = Plan()

    def strikes(self, probability: float) -> bool:
        """Roll the dice; without a chance they stay where they are, so that a quiet run is the same each time."""
        return probability > 0 and self.rng.random() < probability

    def skewed(self, clock: Callable[[], float]) -> Callable[[], float]:
        """A clock that goes wrong as planned."""
        return lambda: clock() + self.plan.clock_skew_seconds

    def as_json(self) -> dict[str, Any]:
        """The plan as `GET /_sim/faults` shows it."""
        return asdict(self.plan)


def _delay(value: Any) -> Delay:
    if not isinstance(value, dict) or set(value) - {"probability", "seconds"}:
        raise ValueError('delay is {"probability": p, "seconds": s}')
    return Delay(_probability("delay.probability", value.get("probability", 1.0)), float(value.get("seconds", 0.0)))


def _access(changes: dict[str, Any]) -> dict[str, Any]:
    """What the faults about callers must look like."""
    checked: dict[str, Any] = {}
    if "lost_scope" in changes:
        names = changes["lost_scope"]
        checked["lost_scope"] = tuple(names.split() if isinstance(names, str) else map(str, names))
    if "lost_role" in changes:
        checked["lost_role"] = bool(changes["lost_role"])
    if "clock_skew_seconds" in changes:
        checked["clock_skew_seconds"] = float(changes["clock_skew_seconds"])
    return checked


def _probability(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} is a probability, from 0 to 1")
    return float(value)
