"""All that decides who may call the org, wired once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

from rosterhook.simulator.auth.access_tokens import AccessTokens
from rosterhook.simulator.auth.assertion import Assertions
from rosterhook.simulator.auth.dpop import Nonces, Proofs
from rosterhook.simulator.auth.principals import Principals
from rosterhook.simulator.settings import Settings


class Access:
    """The callers that the org knows, and what it has given them.

    Args:
        clock: the org's clock, in seconds since 1970.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        rng = Random(f"{settings.seed}/auth")  # noqa: S311
        leeway = settings.clock_leeway_seconds
        self.principals = Principals(settings.token, settings.apps, rng)
        self.access_tokens = AccessTokens(settings.token_seconds, rng, clock)
        self.assertions = Assertions(self.principals, clock, leeway)
        self.nonces = Nonces(settings.dpop_nonce_seconds, rng, clock)
        self.proofs = Proofs(clock, leeway)

    def dump(self) -> dict[str, Any]:
        """All that a restart must find again: secrets of the simulated org too."""
        return {
            "principals": self.principals.dump(),
            "access_tokens": self.access_tokens.dump(),
            "assertions": self.assertions.used.dump(),
            "nonces": self.nonces.dump(),
            "proofs": self.proofs.used.dump(),
        }

    def load(self, held: Mapping[str, Any]) -> None:
        """What an earlier run had."""
        self.principals.load(held["principals"])
        self.access_tokens.load(held["access_tokens"])
        self.assertions.used.load(held["assertions"])
        self.nonces.load(held["nonces"])
        self.proofs.used.load(held["proofs"])
