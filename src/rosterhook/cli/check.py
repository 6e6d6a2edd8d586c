"""`check`: would it work?"""

from __future__ import annotations

import asyncio
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from rosterhook.cli.common import ConfigPath, DryRun, load, out, plain
from rosterhook.config import Config, OktaConfig, SqlTarget
from rosterhook.errors import ConfigError, RosterhookError
from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.targets.registry import build_target
from rosterhook.targets.tutorial import TutorialTable
from rosterhook.web import require_secret

EXIT_FAILED = 1


def check(
    *,
    config: ConfigPath = None,
    merge_doubles: Annotated[
        bool, Parameter(negative="", help="Merge the doubled rows of a tutorial's database, the oldest stays.")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Ask Okta and every target whether rosterhook could work, and say point by point what is wrong. Writes nothing
    unless --merge-doubles is given.
    """
    loaded = load(config)
    return asyncio.run(_merge(loaded, dry_run) if merge_doubles else _check(loaded))


async def _check(config: Config) -> int:
    good = [_hook(config), await _okta(config.okta)]
    good += [await _target(target) for target in config.targets]
    return 0 if all(good) else EXIT_FAILED


def _hook(config: Config) -> bool:
    try:
        require_secret(config)
    except RosterhookError as error:
        return _cross("hook", error)
    return _tick("hook", f"has a secret; paths {config.hook.path} and /userTransfer")


async def _okta(okta: OktaConfig) -> bool:
    if okta.org_url is None or okta.token is None:
        return _tick("okta", "not asked: without okta.org_url and okta.token users are built from events alone")
    client = OktaClient(okta.org_url, SswsAuth(okta.token), Budget(okta.share), timeout_seconds=okta.timeout_seconds)
    try:
        found = await client.check()
    except RosterhookError as error:
        return _cross("okta", error)
    finally:
        await client.aclose()
    if not found["sees_users"]:
        hint = "Give the token's admin a role that may read all users (Read-only Admin)."
        return _cross("okta", RosterhookError(f"{okta.org_url} answers, but the token sees no user.", hint=hint))
    return _tick("okta", f"{okta.org_url} answers, and the token may read users")


async def _target(config: SqlTarget) -> bool:
    name = f"target {config.name}"
    target = build_target(config)
    try:
        report = await target.check()
    except RosterhookError as error:
        return _cross(name, error)
    finally:
        await target.aclose()
    for fact in report.facts:
        _tick(name, fact)
    for problem in report.problems:
        _cross(name, RosterhookError(problem))
    return not report.problems


async def _merge(config: Config, dry_run: bool) -> int:
    tables = [TutorialTable(each) for each in config.targets if each.preset == "tutorial"]
    if not tables:
        raise ConfigError(
            'No target has preset = "tutorial".', hint="Only the tutorial's own table is known to hold doubled rows."
        )
    for table in tables:
        try:
            doubles = await table.doubles()
            removed = 0 if dry_run else await table.merge_doubles()
        finally:
            await table.aclose()
        for double in doubles:
            kept, *others = double.row_ids
            out.print(f"{double.okta_id}: row {kept} stays, {', '.join(map(str, others))} go", markup=False)
        count = sum(len(double.row_ids) - 1 for double in doubles)
        what = f"{count} rows would be removed" if dry_run else f"{removed} rows removed"
        out.print(f"{table.name}: {what}.", markup=False)
    return 0


def _tick(where: str, what: str) -> bool:
    _point("✓", "green", where, what)
    return True


def _cross(where: str, error: RosterhookError) -> bool:
    _point("✗", "red", where, error.message)
    if error.hint:
        out.print(f"  {error.hint}", markup=False, soft_wrap=True)
    return False


def _point(mark: str, colour: str, where: str, what: str) -> None:
    out.print(Text.assemble((mark, colour), " ", (where, "bold"), plain(f"  {what}")), soft_wrap=True)
