"""Everything that can be chosen about a simulated org before it starts."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field

#: Okta's limits for a workforce org, calls per minute (okta-facts 6.1); what is not named here has "other".
RATE_LIMITS: Mapping[str, int] = {"users": 600, "user": 2000, "user_write": 600, "lifecycle": 600, "other": 600}


@dataclass(frozen=True, slots=True)
class Settings:
    """How the org behaves, and how big it is at the start.

    Attributes:
        port: 0 takes a free one.
        allow_remote: whether another machine may reach it; its control paths ask for no password.
        token: what a caller must send as ``Authorization: SSWS <token>``.
        users: how many random users exist at the start; `announce` also makes their events.
        test_user: whether the first user is the tutorial's Test User, with the id "1234".
        index_lag_seconds: how late `search` sees a change.
        rate_limits: calls per window by bucket, over the defaults; `rate_multiplier` scales all of them.
        hook_url: where events go; None until somebody sets a hook by ``POST /_sim/hook``.
        batch_seconds: how long events are gathered into one delivery. Okta takes about 10 s (okta-facts 1.4).
        patient: deliver until accepted, which Okta does not do: for tests whose promise isn't about lost hooks.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False
    seed: int = 1
    token: str = "sim-token"  # noqa: S105
    org_host: str = "simulated.okta.example"
    users: int = 0
    announce: bool = False
    test_user: bool = False
    index_lag_seconds: float = 0.3
    latency_ms: float = 0.0
    rate_limits: Mapping[str, int] = field(default_factory=dict)
    rate_multiplier: float = 1.0
    rate_window_seconds: float = 60.0
    hook_url: str | None = None
    hook_header: str = "Authorization"
    hook_secret: str = field(default="", repr=False)
    hook_headers: Mapping[str, str] = field(default_factory=dict)
    batch_seconds: float = 0.1
    max_batch: int = 20
    patient: bool = False
    hook_timeout_seconds: float = 3.0
    hook_retry_seconds: float = 0.05
    parallel_deliveries: int = 8

    def __post_init__(self) -> None:
        if not self.allow_remote and not _is_loopback(self.host):
            raise ValueError(
                f"the simulator's control paths ask for no password, so host {self.host!r} is refused: "
                "use a loopback address, or allow_remote"
            )

    def limit_of(self, bucket: str) -> int:
        """How many calls a window allows in this bucket."""
        limits = {**RATE_LIMITS, **self.rate_limits}
        return max(1, int(limits.get(bucket, limits["other"]) * self.rate_multiplier))


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
