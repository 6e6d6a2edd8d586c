"""Everything that can be chosen about a simulated org before it starts."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from rosterhook.simulator.auth.principals import App
from rosterhook.simulator.checks import BadSetting, header_name, header_value, number, probability, web_address

#: Okta's limits for a workforce org, calls per minute (okta-facts 6.1); what is not named here has "other".
RATE_LIMITS: Mapping[str, int] = {
    "users": 600, "user": 2000, "user_write": 600, "lifecycle": 1200, "groups": 500, "group": 1000, "logs": 120,
    "apps": 100, "other": 1200, "token": 300,
}  # fmt: skip

_FROM_0 = (
    "index_lag_seconds", "latency_ms", "late_seconds", "clock_leeway_seconds", "hook_start_seconds", "batch_seconds",
    "hook_retry_seconds",
)  # fmt: skip
_ABOVE_0 = ("token_seconds", "dpop_nonce_seconds", "rate_multiplier", "rate_window_seconds", "hook_timeout_seconds")
_WHOLE_FROM_0 = ("users", "hook_daily_limit")
_WHOLE_FROM_1 = ("concurrency", "max_batch", "parallel_deliveries", "hook_quiet_failures")


@dataclass(frozen=True, slots=True)
class Settings:
    """How the org behaves, and how big it is at the start.

    Attributes:
        port: 0 takes a free one.
        allow_remote: whether another machine may reach it; its control paths ask for no password.
        tls: serve https, with a certificate authority made at the start.
        ca_file: where its certificate goes; None makes a file that is removed at the end.
        tls_names: more host names and addresses that the server's certificate is for.
        state_file: what the org is kept in from one start to the next; None keeps nothing.
        token: what a caller must send as ``Authorization: SSWS <token>``.
        users: how many random users exist at the start; `announce` also makes their events.
        test_user: whether the first user is the tutorial's Test User, with the id "1234".
        index_lag_seconds: how late `search` sees a change.
        late_rows: how likely an event is persisted in the System Log later than it happened; `late_seconds` is how
            much later at most. How late Okta's are is not published (okta-facts 4).
        apps: OAuth service apps; the paths below /_sim/apps add more.
        token_seconds: how long an access token is good. Okta's are good for an hour, always.
        dpop_nonce_seconds: how long a DPoP nonce is the newest; it is accepted four times as long.
        clock_leeway_seconds: how far a caller's clock may be off. Okta tells nobody how much it allows.
        roleless: what lists of users and groups say to a caller without any admin role: "empty" or "forbidden". Both
            were seen (Okta's support articles tell of "200 empty response or a 403").
        rate_limits: calls per window by bucket, over the defaults; `rate_multiplier` scales all of them.
        principal_share: how much of each bucket one API token or app may use (Okta's default is half).
        concurrency: how many API calls may run at a time.
        hook_url: where events go; None until somebody sets a hook by ``POST /_sim/hook``.
        allow_http_hooks: whether a hook that is made through the API may have an http address, which Okta refuses.
        hook_ca_file: a certificate authority to trust beside the system's when hooks are called.
        hook_start_seconds: how long a hook that becomes verified or active still gets nothing (okta-facts 1.11).
        hook_daily_limit: how many events a day go to hooks (okta-facts 1.10).
        hook_quiet_failures: after so many failures within 15 minutes a hook is skipped as long, which Okta did until
            2024 (with 1500) and may still do; None never skips.
        deactivated_hook_drops: whether what waits for a hook is forgotten when it is deactivated, and with that before
            it is deleted, or delivered all the same. What Okta does is not known.
        hook_put_unverifies: whether a PUT with the same channel has to be verified again too, which isn't documented.
        batch_seconds: how long events are gathered into one delivery. Okta takes about 10 s (okta-facts 1.4).
        patient: deliver until accepted, which Okta does not do: for tests whose promise isn't about lost hooks.

    Raises:
        BadSetting: one of them makes no sense; a ValueError.
    """

    host: str = "127.0.0.1"
    port: int = 0
    allow_remote: bool = False
    tls: bool = False
    ca_file: Path | None = None
    tls_names: Sequence[str] = ()
    state_file: Path | None = None
    seed: int = 1
    token: str = "sim-token"  # noqa: S105
    org_host: str = "simulated.okta.example"
    users: int = 0
    announce: bool = False
    test_user: bool = False
    index_lag_seconds: float = 0.3
    latency_ms: float = 0.0
    late_rows: float = 0.0
    late_seconds: float = 5.0
    apps: tuple[App, ...] = ()
    token_seconds: float = 3600.0
    dpop_nonce_seconds: float = 86400.0
    clock_leeway_seconds: float = 5.0
    roleless: str = "empty"
    rate_limits: Mapping[str, int] = field(default_factory=dict)
    rate_multiplier: float = 1.0
    rate_window_seconds: float = 60.0
    principal_share: float = 0.5
    concurrency: int = 75
    hook_url: str | None = None
    hook_header: str = "Authorization"
    hook_secret: str = field(default="", repr=False)
    hook_headers: Mapping[str, str] = field(default_factory=dict)
    allow_http_hooks: bool = False
    hook_ca_file: Path | str | None = None
    hook_start_seconds: float = 0.0
    hook_daily_limit: int = 400_000
    hook_quiet_failures: int | None = None
    deactivated_hook_drops: bool = True
    hook_put_unverifies: bool = False
    batch_seconds: float = 0.1
    max_batch: int = 20
    patient: bool = False
    hook_timeout_seconds: float = 3.0
    hook_retry_seconds: float = 0.05
    parallel_deliveries: int = 8

    def __post_init__(self) -> None:
        if not self.allow_remote and not is_loopback(self.host):
            raise BadSetting(
                f"the simulator's control paths ask for no password, so <host> {self.host!r} is refused: "
                "use a loopback address, or <allow_remote>"
            )
        if isinstance(self.port, int) and not 0 <= self.port <= 65535:
            raise BadSetting(f"<port> {self.port} does not exist: ports go from 0 to 65535")
        if not self.tls and (self.ca_file or self.tls_names):
            raise BadSetting("<ca_file> and <tls_names> are for https: they need <tls>")
        if self.roleless not in {"empty", "forbidden"}:
            raise BadSetting('<roleless> is "empty" or "forbidden"')
        try:
            self._check_numbers()
            self._check_hook_and_token()
        except ValueError as error:
            raise BadSetting(str(error)) from None

    def _check_numbers(self) -> None:
        for name in (*_FROM_0, *_ABOVE_0, *_WHOLE_FROM_0, *_WHOLE_FROM_1):
            value, whole = getattr(self, name), name in _WHOLE_FROM_0 or name in _WHOLE_FROM_1
            if value is not None or name != "hook_quiet_failures":
                number(f"<{name}>", value, int(name in _WHOLE_FROM_1), whole=whole, above=name in _ABOVE_0)
        number("<seed>", self.seed, -math.inf, whole=True)
        number("<port>", self.port, whole=True)
        number("<principal_share>", self.principal_share, 0, 1, above=True)
        probability("<late_rows>", self.late_rows)
        if unknown := sorted(set(self.rate_limits) - set(RATE_LIMITS)):
            raise ValueError(f"<rate_limits> has no {', '.join(unknown)}; there are {', '.join(RATE_LIMITS)}")
        for bucket, limit in self.rate_limits.items():
            number(f"<rate_limits> of {bucket}", limit, 1, whole=True)

    def _check_hook_and_token(self) -> None:
        if not header_value("<token>", self.token) or " " in self.token:
            raise ValueError("<token> is not empty and has no blanks")
        if self.hook_url is not None:
            web_address("<hook_url>", self.hook_url)
        if self.hook_header:
            header_name("<hook_header>", self.hook_header)
        header_value("<hook_secret>", self.hook_secret)
        for name, value in self.hook_headers.items():
            header_value("<hook_headers> of " + header_name("each of <hook_headers>", name), value)

    def limit_of(self, bucket: str, share: float = 1.0) -> int:
        """How many calls a window allows in this bucket, to the whole org or to a share of it."""
        limits = {**RATE_LIMITS, **self.rate_limits}
        return max(1, int(limits.get(bucket, limits["other"]) * self.rate_multiplier * share))


def is_loopback(host: str) -> bool:
    """Whether no other machine reaches this host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
