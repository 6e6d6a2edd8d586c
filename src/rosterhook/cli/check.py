"""`check`: would it work?"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from rosterhook.cli import EXIT_CONFIG, EXIT_FAILED
from rosterhook.cli.common import AsJson, ConfigPath, DryRun, hanging, load, lost_advice, out, plain, print_json
from rosterhook.cli.points import Point, State, points, problem
from rosterhook.config import Config
from rosterhook.errors import ConfigError
from rosterhook.targets.tutorial import TutorialTable

MARKS: dict[State, tuple[str, str]] = {
    "ok": ("✓", "green"),
    "warning": ("!", "yellow"),
    "problem": ("✗", "red"),
    "skipped": ("·", "dim"),
}


def check(
    *,
    config: ConfigPath = None,
    as_json: AsJson = False,
    merge_doubles: Annotated[
        bool, Parameter(negative="", help="Merge the doubled rows of a tutorial's database, the oldest stays.")
    ] = False,
    dry_run: DryRun = False,
) -> int:
    """Ask Okta and every target whether rosterhook could work, and say point by point what is wrong. Writes nothing
    unless --merge-doubles is given.
    """
    if merge_doubles:
        return asyncio.run(_merge(load(config), dry_run))
    return asyncio.run(_check_as_json(config) if as_json else _check(config))


async def _check(path: Path | None) -> int:
    failed = False
    async for point in _points(load(path)):
        _print(point)
        failed = failed or point.state == "problem"
    return EXIT_FAILED if failed else 0


async def _check_as_json(path: Path | None) -> int:
    """A program gets a list in every case; that there is no configuration to check is its one point."""
    try:
        config = load(path)
    except ConfigError as error:
        print_json([asdict(problem("config", error))])
        return EXIT_CONFIG
    found = [point async for point in _points(config)]
    print_json([asdict(point) for point in found])
    return EXIT_FAILED if any(point.state == "problem" for point in found) else 0


async def _points(config: Config) -> AsyncIterator[Point]:
    if advice := lost_advice():
        what, _, cure = advice.partition(": ")
        yield Point("config", "warning", what, cure[:1].upper() + cure[1:])
    async for point in points(config):
        yield point


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


def _print(point: Point) -> None:
    mark, colour = MARKS[point.state]
    line = Text.assemble((mark, colour), " ", (point.name, "bold"), plain(f"  {point.message}"))
    out.print(hanging(line), soft_wrap=True)
    if point.cure:
        out.print(hanging(plain(f"  {point.cure}")), soft_wrap=True)
