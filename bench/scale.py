"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured.

    Attributes:
        name: "short", "full" or "gate".
        rounds: how often both sides of a comparison run, in turn.
        seconds: of load in one run.
        users: of a large org; `many_users` of a very large one, 0 to leave that out.
        deliveries: for memory.
    """

    name: str
    rounds: int
    seconds: float
    users: int
    many_users: int
    deliveries: int

    @property
    def is_full(self) -> bool:
        """Whether everything is measured, peers and all."""
        return self.name == "full"


SHORT = Scale("short", rounds=5, seconds=1.0, users=20_000, many_users=0, deliveries=50_000)
FULL = Scale("full", rounds=5, seconds=2.0, users=100_000, many_users=1_000_000, deliveries=1_000_000)
GATE = Scale("gate", rounds=5, seconds=0.6, users=10_000, many_users=0, deliveries=0)
