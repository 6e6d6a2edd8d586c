"""What `rosterhook check` looks at: each point is a value, with what is wrong and the cure."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rosterhook.config import Config, OktaConfig, SqlTarget
from rosterhook.errors import OktaForbidden, RosterhookError
from rosterhook.hook.doctor import look
from rosterhook.hook.okta_side import describe
from rosterhook.hook.opened import opened_side
from rosterhook.hook_secrets import read_record
from rosterhook.okta.connect import READ_EVENT_HOOKS, READ_USERS, ScopeCheck, check_scopes, connected, open_key_file
from rosterhook.targets.registry import build_target
from rosterhook.web import require_secret

State = Literal["ok", "warning", "problem"]

#: What the worker asks for.
NEEDED_SCOPES = (READ_USERS,)
#: An assertion of a service app lives for minutes, and lag is counted in seconds.
MAX_SKEW_SECONDS = 60
#: Whoever can send many requests can guess a shorter one.
MIN_SECRET_BYTES = 16


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was checked.

    Attributes:
        name: what it is about: "config", "hook", "okta", "clock", "hook in okta" or "target <name>".
        message: what was found. Holds no secret.
        cure: what to do; "" when nothing is to be done.
    """

    name: str
    state: State
    message: str
    cure: str = ""


def problem(name: str, error: RosterhookError) -> Point:
    """The point that an error makes."""
    return Point(name, "problem", error.message, error.hint)


async def points(config: Config) -> AsyncIterator[Point]:
    """Every point, in the order in which a mistake in one makes the next ones fail."""
    yield hook_point(config)
    reads = config.okta.login is not None
    async for point in okta_points(config.okta):
        yield point
        reads = reads and not (point.name == "okta" and point.state == "problem")
    if reads:  # else the next call would fail for the same reason
        async for point in hook_in_okta_points(config):
            yield point
    for target in config.targets:
        async for point in target_points(target):
            yield point


async def hook_in_okta_points(config: Config) -> AsyncIterator[Point]:
    """Tell whether the hook stands in Okta, and is as configured."""
    name = "hook in okta"
    if config.hook.url is None and read_record(config.data_dir).url is None:
        cure = "Set hook.url, or make the hook with `rosterhook hook create --url https://...`."
        yield Point(name, "warning", "not compared: its public address is not known here", cure)
        return
    try:
        async with opened_side(config, READ_EVENT_HOOKS) as side:
            found = await look(side)
    except OktaForbidden as error:
        cure = "Users are synced without it. To have the hook compared and set up: " + error.hint
        yield Point(name, "warning", error.message, cure)
        return
    except RosterhookError as error:
        yield problem(name, error)
        return
    if found.hook is None:
        yield Point(name, "problem", "Okta has no event hook for this service.", "Run `rosterhook hook create`.")
    elif found.differences:
        yield Point(name, "problem", " ".join(map(str, found.differences)), "Run `rosterhook hook repair`.")
    else:
        yield Point(name, "ok", f"{describe(found.hook)}, is active, verified and as configured")


def hook_point(config: Config) -> Point:
    """Tell whether strangers are kept out."""
    try:
        require_secret(config)
    except RosterhookError as error:
        return problem("hook", error)
    if not config.server.open and min(map(len, config.hook.accepted())) < MIN_SECRET_BYTES:
        return Point(
            "hook",
            "warning",
            f"a secret is shorter than {MIN_SECRET_BYTES} characters and can be guessed",
            "Make a long random one (openssl rand -hex 32), and set it in Okta too.",
        )
    return Point("hook", "ok", f"has a secret; paths {config.hook.path} and /userTransfer")


async def okta_points(okta: OktaConfig) -> AsyncIterator[Point]:
    """Ask the org one cheap question: whether it answers, who may read, and how late it is there."""
    if okta.login is None:
        yield Point("okta", "ok", "not asked: without a login (okta.token) users are built from events alone")
        return
    try:
        granted = [scope_point(each) for each in await check_scopes(okta, NEEDED_SCOPES)]
        for point in granted:
            yield point
        if any(point.state == "problem" for point in granted):
            return  # the next call would fail for the same reason
        async with connected(okta, NEEDED_SCOPES) as client:
            found = await client.check()
    except RosterhookError as error:
        yield problem("okta", error)
        return
    yield reading_point(okta, sees_users=found["sees_users"])
    if warning := open_key_file(okta):
        yield Point("okta", "warning", warning)
    if (clock := clock_point(found)) is not None:
        yield clock


def scope_point(checked: ScopeCheck) -> Point:
    """Tell whether a service app has a scope that it needs."""
    name = f"scope {checked.scope}"
    return Point(name, "ok", "is granted") if checked.problem is None else problem(name, checked.problem)


def reading_point(okta: OktaConfig, *, sees_users: bool) -> Point:
    """Tell whether users can be read from an org that answers."""
    who = "the token" if okta.login == "token" else "the service app"
    if sees_users:
        return Point("okta", "ok", f"{okta.org_url} answers, and {who} may read users")
    cure = "Give the token's admin a role that may read all users (Read-only Admin)."
    if okta.login == "service_app":
        cure = "Give the app a role that may read all users (Read-only Admin): Applications > the app > Admin roles."
    return Point("okta", "problem", f"{okta.org_url} answers, but {who} sees no user.", cure)


def clock_point(found: Mapping[str, Any]) -> Point | None:
    """Compare this machine's clock with Okta's.

    Args:
        found: of `OktaClient.check`; `clock_skew_seconds` is above 0 where this machine is ahead.

    Returns:
        None when Okta did not tell the time.
    """
    skew = found.get("clock_skew_seconds")
    if skew is None:
        return None
    if abs(skew) <= MAX_SKEW_SECONDS:
        return Point("clock", "ok", f"agrees with Okta's within {MAX_SKEW_SECONDS} s")
    way = "ahead of" if skew > 0 else "behind"
    return Point(
        "clock",
        "problem",
        f"this machine's clock is {abs(skew):,.0f} s {way} Okta's: a service app's login fails, and lag is told wrong",
        "Set the clock by NTP (timedatectl set-ntp true), and look at the time of the host of a virtual machine.",
    )


async def target_points(config: SqlTarget) -> AsyncIterator[Point]:
    """Ask one target whether it would take users. Writes nothing."""
    name = f"target {config.name}"
    try:
        target = build_target(config)
    except RosterhookError as error:
        yield problem(name, error)
        return
    try:
        report = await target.check()
    except RosterhookError as error:
        yield problem(name, error)
        return
    finally:
        await target.aclose()
    for fact in report.facts:
        yield Point(name, "ok", fact)
    for wrong in report.problems:
        yield Point(name, "problem", wrong)
