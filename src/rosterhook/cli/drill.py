"""`drill`: the whole service through a script of faults, and the proof that nothing is lost."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.text import Text

from rosterhook.cli import EXIT_FAILED
from rosterhook.cli.common import AsJson, hanging, out, plain, print_json
from rosterhook.cli.tables import add, table_of
from rosterhook.config import LogConfig
from rosterhook.drill.run import Drill, Moment, Result, Score, Tell, run
from rosterhook.drill.script import chosen
from rosterhook.errors import ConfigError
from rosterhook.observe import configure_logging
from rosterhook.service import run_until_signal


def drill(
    *,
    users: Annotated[int, Parameter(help="Size of the simulated org (300).")] = 300,
    changes: Annotated[int, Parameter(help="Changes in the org, over all steps (2000).")] = 2000,
    rate: Annotated[float, Parameter(help="Changes a second (100).")] = 100.0,
    seed: Annotated[int, Parameter(help="The same seed, the same users, changes and faults (1).")] = 1,
    target: Annotated[
        str | None, Parameter(help="Database for a table of the drill's own, as targets.url; else a file of SQLite.")
    ] = None,
    steps: Annotated[str, Parameter(help="Only these steps of the script, separated by commas.")] = "",
    keep: Annotated[Path | None, Parameter(help="Leave stores, logs and configuration in this new folder.")] = None,
    as_json: AsJson = False,
) -> int:
    """Run web, worker, a simulated Okta org and one target through a script of faults, and compare the target with the
    org after each. Exit code 1: somebody was lost or wrongly deleted, or the target did not come up in time.
    """
    # What the drill orders itself is told in its table.
    configure_logging(LogConfig(level="error"))
    wanted = chosen([name.strip() for name in steps.split(",") if name.strip()])
    if users < 1 or rate <= 0 or changes < len(wanted):
        raise ConfigError(
            f"Too few: {users} users, {changes} changes in {len(wanted)} steps, {rate:g} changes a second.",
            hint="There must be a user, and a change for each step.",
        )
    scores: list[Score] = []
    with _folder(keep) as folder, _telling(len(wanted), as_json) as tell:
        asked = Drill(users, changes, seed, rate, wanted, target, folder)
        run_until_signal(lambda stop: _until_stopped(asked, tell, stop, scores))
    if not scores:
        raise KeyboardInterrupt
    score = scores[0]
    if as_json:
        print_json(score.as_json())
    else:
        _print(score)
    return 0 if score.passed else EXIT_FAILED


async def _until_stopped(asked: Drill, tell: Tell, stop: asyncio.Event, scores: list[Score]) -> None:
    running = asyncio.create_task(run(asked, tell))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([running, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        running.cancel()
        await asyncio.wait([running])
        return
    stopping.cancel()
    scores.append(running.result())


@contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """A folder for the drill, which is removed afterwards unless somebody wants to look at it."""
    if keep is None:
        with tempfile.TemporaryDirectory(prefix="rosterhook-drill-", ignore_cleanup_errors=True) as name:
            yield Path(name)
        return
    folder = keep.absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise ConfigError(f"{keep} is not empty.", hint="Name a new folder with --keep.")
    except OSError as error:
        raise ConfigError(f"Cannot use {keep}: {error.strerror}.", hint="Name another with --keep.") from None
    yield folder


@contextmanager
def _telling(steps: int, as_json: bool) -> Iterator[Tell]:
    """How to tell how far it is: live in a terminal, a line for each step elsewhere, nothing beside JSON."""
    if as_json:
        yield lambda _told: None
    elif out.is_terminal:
        with out.status("") as status:
            yield lambda told: status.update(_live(told, steps)) if isinstance(told, Moment) else None
    else:
        yield lambda told: out.print(plain(_line(told))) if isinstance(told, Result) else None


def _live(moment: Moment, steps: int) -> Text:
    if not moment.step:
        return plain(moment.doing.capitalize())
    return plain(f"{moment.number} of {steps}: {moment.step}: {moment.changes:,} changes, {moment.doing}")


def _line(result: Result) -> str:
    if result.skipped:
        return f"{result.step.title}: {result.skipped}"
    return (
        f"{result.step.title}: {result.changes:,} changes, {result.lost:,} lost,"
        f" {result.wrongly_deleted:,} wrongly deleted, {_seconds(result)}"
    )


def _seconds(result: Result) -> str:
    return "not converged" if result.seconds is None else f"converged in {result.seconds:.1f} s"


def _print(score: Score) -> None:
    table = table_of("Step", "", "Changes", "Lost", "Wrongly deleted", "Converged in", "Okta calls")
    for result in score.results:
        if result.skipped:
            add(table, result.step.name, plain(result.skipped, "dim"), "", "", "", "", "")
            continue
        bad = (_number(result.lost), _number(result.wrongly_deleted))
        took = plain("not in time", "red") if result.seconds is None else f"{result.seconds:.1f} s"
        name, title = result.step.name, result.step.title
        add(table, name, title, f"{result.changes:,}", *bad, took, f"{result.calls:,}")
    total = score.as_json()["total"]
    bad = (_number(total["lost"]), _number(total["wrongly_deleted"]))
    calls = f"{score.calls_per_1000:,.0f} for 1,000 changes"
    add(table, "total", f"{score.drill.users:,} users, {score.product}", f"{score.changes:,}", *bad, "", calls)
    out.print(table)
    for result in score.results:
        _print_notes(result)


def _number(count: int) -> Text:
    return plain(f"{count:,}", "red" if count else "green")


def _print_notes(result: Result) -> None:
    for note in result.notes:
        out.print(hanging(plain(f"{result.step.name}: {note}", "dim")))
    if result.problem:
        out.print(hanging(plain(f"{result.step.name}: {result.problem}", "red")))
    for user, status in result.deleted.items():
        out.print(hanging(plain(f"{result.step.name}: {user}: was deleted in the target, is {status} in Okta", "red")))
    for user, fields in result.differing.items():
        told = ", ".join(f"{name} is {held!r}, not {wanted!r}" for name, (held, wanted) in fields.items())
        out.print(hanging(plain(f"{result.step.name}: {user}: {told}", "red")))
