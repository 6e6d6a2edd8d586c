"""The script: which faults come, in which order, and what the org does meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rosterhook.drill.faults import (
    DOWNTIME_SECONDS,
    Fault,
    clock_jumps,
    disk_full,
    disk_full_is_impossible,
    downtime,
    kills,
    lost_access,
    mass_removal,
    nothing,
    simulated,
    target_down,
)
from rosterhook.errors import ConfigError
from rosterhook.simulator.traffic import MIX

#: Imports too, of which no hook tells.
TRAFFIC: Mapping[str, float] = {**MIX, "import": 3}
#: Who is deactivated or deleted is so by the step itself.
NOBODY_LEAVES = {name: weight for name, weight in TRAFFIC.items() if name not in ("deactivate", "delete", "activate")}


def _always_possible() -> str:
    return ""


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        name: for `--steps`.
        title: for the table.
        seconds: how long the fault lasts at least; few changes are spread over it.
        mix: the changes, by weight.
        impossible: why it cannot be done on this machine; "" when it can.
    """

    name: str
    title: str
    fault: Fault
    seconds: float = 0.0
    mix: Mapping[str, float] = field(default_factory=lambda: TRAFFIC)
    impossible: Callable[[], str] = _always_possible


SCRIPT = (
    Step("calm", "Nothing goes wrong", nothing),
    Step("hooks-cut", "No hook is delivered", simulated(drop=1.0)),
    Step("lossy-hooks", "Hooks are lost, doubled, overtaken", simulated(drop=0.1, duplicate=0.1, reorder=0.1)),
    Step("okta-limits", "Okta answers 429", simulated(status_429=0.2, concurrency_429=0.05), 3),
    Step("okta-errors", "Okta answers 500", simulated(status_500=0.2), 3),
    Step("okta-down", "Okta is down", simulated(outage=True), 3),
    Step("target-down", "The target is down", target_down, 3),
    Step("disk-full", "The disk is full", disk_full, 3, impossible=disk_full_is_impossible),
    Step("kills", "Processes are killed", kills, 7),
    Step("clock", "The clock jumps", clock_jumps, 6),
    Step("downtime", "The service is down for an hour", downtime, DOWNTIME_SECONDS + 1),
    Step("lost-access", "The admin role is taken away", lost_access, 3),
    Step("mass-removal", "Very many leave at once", mass_removal, mix=NOBODY_LEAVES),
)


def chosen(names: Sequence[str]) -> tuple[Step, ...]:
    """The steps with these names, in the script's order; all of them when none is named.

    Raises:
        ConfigError: there is no such step.
    """
    there = [step.name for step in SCRIPT]
    if unknown := sorted(set(names) - set(there)):
        raise ConfigError(f"There is no step {unknown[0]}.", hint=f"There are {', '.join(there)}.")
    return tuple(step for step in SCRIPT if not names or step.name in names)
