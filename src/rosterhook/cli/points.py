"""What `rosterhook check` looks at: each point is a value, with what is wrong and the cure."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any, Literal

import apsw

from rosterhook.config import Config, OktaConfig, SqlTarget
from rosterhook.credentials import require_secret
from rosterhook.data_dir import refuse_demo
from rosterhook.errors import OktaForbidden, OktaUnavailable, RosterhookError
from rosterhook.hook.compare import describe
from rosterhook.hook.diagnosis import Diagnosis
from rosterhook.hook.doctor import look
from rosterhook.hook.okta_side import not_ours
from rosterhook.hook.opened import opened_side
from rosterhook.hook_secrets import HookSecrets, read_record
from rosterhook.model import iso, now_ms
from rosterhook.okta.connect import (
    READ_EVENT_HOOKS,
    READ_LOGS,
    READ_USERS,
    ScopeCheck,
    check_scopes,
    connected,
    open_key_file,
)
from rosterhook.okta.events import FOLLOWED
from rosterhook.okta.pages import log_place
from rosterhook.store.database import store_errors
from rosterhook.stores import org_of, refuse_other_org
from rosterhook.targets.registry import build_target

#: "skipped" is what could not be looked at because of another problem.
State = Literal["ok", "warning", "problem", "skipped"]

#: What the worker asks for.
NEEDED_SCOPES = (READ_USERS,)
#: An assertion of a service app lives for minutes, and lag is counted in seconds.
MAX_SKEW_SECONDS = 60
#: Whoever can send many requests can guess a shorter one.
MIN_SECRET_BYTES = 16
NO_ANSWER = "not asked: Okta did not answer"
AFTER_THAT = "not asked: the problem above comes first"


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that was checked.

    Attributes:
        name: what it is about: "config", "hook", "data_dir", "okta", "clock", "system log", "public address", "hook
            in okta" or "target <name>".
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
    yield data_dir_point(config)
    if config.okta.login is None:
        yield Point("okta", "ok", "not asked: without a login (okta.token) users are built from events alone")
    else:
        async for point in org_points(config):
            yield point
    for target in config.targets:
        async for point in target_points(target):
            yield point


async def org_points(config: Config) -> AsyncIterator[Point]:
    """All that Okta itself is asked for; what needs an answer that did not come is told as skipped."""
    hindrance: Point | None = None
    async for point in okta_points(config.okta):
        yield point
        if point.name == "okta" and point.state == "problem":
            hindrance = Point("hook in okta", "skipped", AFTER_THAT)
        elif hindrance is not None and point.state == "skipped":
            hindrance = replace(hindrance, message=point.message)
    if hindrance is not None:  # the next call would fail for the same reason
        yield hindrance
        return
    if config.follower.enabled:
        yield await log_point(config.okta)
    async for point in hook_in_okta_points(config):
        yield point


async def log_point(okta: OktaConfig) -> Point:
    """Tell whether the System Log can be read. Users are synced without it; what the hook misses is then lost."""
    place = log_place(iso(now_ms()) or "", FOLLOWED)
    try:
        async with connected(okta, [READ_LOGS]) as client:
            await client.log_page(place)
    except OktaForbidden as error:
        cure = f"{error.hint} Until then, what the hook misses comes back with the nightly reconcile alone."
        return Point("system log", "warning", error.message, cure)
    except RosterhookError as error:
        return problem("system log", error)
    return Point("system log", "ok", "can be followed: what the hook misses comes back")


async def hook_in_okta_points(config: Config) -> AsyncIterator[Point]:
    """Tell whether the hook stands in Okta, and is as configured."""
    name = "hook in okta"
    try:
        if config.hook.url is None and read_record(config.data_dir).url is None:
            cure = "Set hook.url, or make the hook with `rosterhook hook create --url https://...`."
            yield Point(name, "warning", "not compared: its public address is not known here", cure)
            return
        async with opened_side(config, READ_EVENT_HOOKS) as side:
            found = await look(side)
            address = await side.diagnosis() if found.hook is not None else None
    except OktaForbidden as error:
        cure = "Users are synced without it. To have the hook compared and set up: " + error.hint
        yield Point(name, "warning", error.message, cure)
        return
    except RosterhookError as error:
        yield problem(name, error)
        return
    if address is not None:
        yield address_point(address)
    if found.differences:
        state: State = "warning" if all(each.is_harmless for each in found.differences) else "problem"
        words = " ".join(each.words for each in found.differences)
        cure = "Run `rosterhook hook repair`; `rosterhook hook status` says what happens because of each."
        yield Point(name, state, words, cure)
    elif found.hook is not None:
        # As far as Okta shows it: never the secret.
        yield Point(name, "ok", f"{describe(found.hook)}, is active, verified, and has all that is needed")
    elif found.namesake is not None:
        yield problem(name, not_ours(found.namesake))
    else:
        yield Point(name, "problem", "Okta has no event hook for this service.", "Run `rosterhook hook create`.")


def address_point(address: Diagnosis) -> Point:
    """Tell what the public address answers from here. Where nothing answers, Okta may reach it all the same."""
    name = "public address"
    if address.is_good:
        return Point(name, "ok", "answers with the secret that is in force")
    return Point(name, "problem" if address.is_reached else "warning", address.words)


def hook_point(config: Config) -> Point:
    """Tell whether strangers are kept out."""
    try:
        require_secret(config)
        valid = HookSecrets(config.hook, config.data_dir).valid
    except RosterhookError as error:
        return problem("hook", error)
    if not config.server.open and any(len(secret) < MIN_SECRET_BYTES for secret in valid):
        return Point(
            "hook",
            "warning",
            f"a secret is shorter than {MIN_SECRET_BYTES} characters and can be guessed",
            "Make a long random one: rosterhook hook rotate",
        )
    return Point("hook", "ok", f"has a secret; paths {config.hook.path} and /userTransfer")


def data_dir_point(config: Config) -> Point:
    """Tell whether the worker would start over the own store. Makes and changes nothing."""
    path = config.data_dir / "state.db"
    try:
        if not config.server.open:
            refuse_demo(config.data_dir)
        if not path.exists():
            return Point("data_dir", "ok", f"{config.data_dir} has no store yet; the first start makes it")
        with store_errors(path), closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as db:
            refuse_other_org(db, config.okta.org_url)
            org = org_of(db)
    except RosterhookError as error:
        return problem("data_dir", error)
    return Point("data_dir", "ok", f"{config.data_dir} holds the users of {org or 'no org yet'}")


async def okta_points(okta: OktaConfig) -> AsyncIterator[Point]:
    """Log in to Okta, read one user, and compare the clocks."""
    try:
        granted = [scope_point(each) for each in await check_scopes(okta, NEEDED_SCOPES)]
        for point in granted:
            yield point
        if any(point.state == "problem" for point in granted):
            yield Point("clock", "skipped", AFTER_THAT)
            return  # the next call would fail for the same reason
        async with connected(okta, NEEDED_SCOPES) as client:
            found = await client.check()
    except RosterhookError as error:
        yield problem("okta", error)
        yield Point("clock", "skipped", NO_ANSWER if isinstance(error, OktaUnavailable) else AFTER_THAT)
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
    role = "a role that may read all users (Read-only Administrator)"
    cure = f"Give the token's admin {role}: Security > Administrators."
    if okta.login == "service_app":
        cure = f"Give the app {role}: Applications > the app > Admin roles."
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
        yield _of_target(config.name, error.message, error.hint)
        return
    try:
        report = await target.check()
    except RosterhookError as error:
        yield _of_target(config.name, error.message, error.hint)
        return
    finally:
        await target.aclose()
    for fact in report.facts:
        yield Point(name, "ok", fact)
    for wrong in report.problems:
        what, _, statement = wrong.partition(": run ")
        yield _of_target(config.name, what, f"Run: {statement}" if statement else "")


def _of_target(name: str, message: str, cure: str) -> Point:
    """A problem of a target, whose name stands in front already."""
    without_name = re.sub(rf'^Target "{name}" \(([^()]*)\): ', r"\1: ", message)
    return Point(f"target {name}", "problem", without_name, cure)
