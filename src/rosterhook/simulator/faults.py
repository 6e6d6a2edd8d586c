"""What goes wrong on purpose."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from random import Random
from typing import Any

from rosterhook.simulator.auth.principals import SCOPES
from rosterhook.simulator.checks import number, probability, switch

Check = Callable[[str, Any], Any]


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
        if unknown := sorted(set(wanted) - set(_CHECKS)):
            raise ValueError(f"no such fault: {', '.join(unknown)}; there are {', '.join(sorted(_CHECKS))}")
        checked = {name: _CHECKS[name](name, value) for name, value in wanted.items()}
        revoke = checked.pop("revoke_tokens", False)
        self.plan = replace(self.plan, **checked)
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


def _delay(name: str, value: Any) -> Delay:
    if not isinstance(value, dict) or set(value) - {"probability", "seconds"}:
        raise ValueError(f'{name} is {{"probability": p, "seconds": s}}')
    chance = probability(f"{name}.probability", value.get("probability", 1.0))
    return Delay(chance, number(f"{name}.seconds", value.get("seconds", 0.0)))


def _scopes(name: str, value: Any) -> tuple[str, ...]:
    scopes = value.split() if isinstance(value, str) else value
    if not isinstance(scopes, list | tuple) or not all(isinstance(each, str) for each in scopes):
        raise ValueError(f"{name} is a list of scopes")
    if unknown := sorted(set(scopes) - SCOPES):
        raise ValueError(f"no such scope: {', '.join(unknown)}; they read like okta.users.read")
    return tuple(scopes)


def _or_none(check: Check) -> Check:
    return lambda name, value: None if value is None else check(name, value)


def _any_number(name: str, value: Any) -> float:
    return float(number(name, value, -math.inf))


#: How what a caller says about each fault is read.
_CHECKS: dict[str, Check] = {
    **dict.fromkeys(("drop", "duplicate", "reorder", "status_500", "status_429", "concurrency_429"), probability),
    **dict.fromkeys(("outage", "refuse_cursors", "lost_role", "revoke_tokens"), switch),
    **dict.fromkeys(("latency_ms", "late_seconds"), _or_none(number)),
    "late_rows": _or_none(probability),
    "delay": _delay,
    "lost_scope": _scopes,
    "clock_skew_seconds": _any_number,
}
