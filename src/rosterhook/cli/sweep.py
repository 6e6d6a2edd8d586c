"""`backfill` and `reconcile`: ordered here, worked off by the worker; without one, by this command itself."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, nullcontext
from typing import Annotated, Any

from cyclopts import Parameter

from rosterhook import sweeps
from rosterhook.cli.common import AsJson, ConfigPath, DryRun, load, out, print_json
from rosterhook.cli.sweep_view import Progress, print_dry_run, print_outcome
from rosterhook.config import Config
from rosterhook.data_dir import is_running
from rosterhook.dry_run import opened_dry_run
from rosterhook.errors import ConfigError, RosterhookError
from rosterhook.model import now_ms
from rosterhook.okta.budget import Budget
from rosterhook.okta.connect import READ_USERS, connected
from rosterhook.status import read_status
from rosterhook.stores import Stores, opened_stores
from rosterhook.sweeps import Kind, Sweep
from rosterhook.targets import Target
from rosterhook.targets.registry import opened_targets
from rosterhook.worker import opened

LOOK_SECONDS = 0.25
#: An ended command leaves its order: the worker goes on with it.
NO_WAIT_HELP = "Only order it: the worker goes on by itself; `rosterhook status` shows how far it is."

AcceptMissing = Annotated[
    bool,
    Parameter(
        negative="",
        help="Whom Okta does not find by id either is deleted, however many: you have checked the login's role.",
    ),
]
NoWait = Annotated[bool, Parameter(name="--no-wait", negative="", help=NO_WAIT_HELP)]


def backfill(*, no_wait: NoWait = False, as_json: AsJson = False, config: ConfigPath = None) -> int:
    """Read every user of the org into the own store, and fill the targets. Goes on where it was after a crash."""
    loaded = _with_login(load(config))
    return _run(_order(loaded, "backfill", as_json, no_wait, {}))


def reconcile(
    *,
    dry_run: DryRun = False,
    target: Annotated[str | None, Parameter(help="Compare only this target.")] = None,
    accept_missing: AcceptMissing = False,
    no_wait: NoWait = False,
    as_json: AsJson = False,
    config: ConfigPath = None,
) -> int:
    """Compare Okta, the own store and every target; mend what differs, and end with a proof. Exit code 1: unequal."""
    loaded = _with_login(load(config))
    names = [each.name for each in loaded.targets]
    if target is not None and target not in names:
        raise RosterhookError(f'There is no target "{target}".', hint=f"There is: {', '.join(names)}.")
    options: dict[str, Any] = {"target": target, "accept_missing": accept_missing}
    chosen = {key: value for key, value in options.items() if value}
    if dry_run:
        return asyncio.run(_dry_run(loaded, as_json, chosen))
    return _run(_order(loaded, "reconcile", as_json, no_wait, chosen))


def _run(work: Coroutine[Any, Any, int]) -> int:
    try:
        return asyncio.run(work)
    except KeyboardInterrupt:
        out.print("Not watched any more. What was ordered goes on in the worker that runs, or starts next.")
        raise


def _with_login(config: Config) -> Config:
    if config.okta.login is None:
        raise ConfigError(
            "There is no login to Okta, so there is nothing to read users from.",
            hint="Set okta.org_url, and okta.token or okta.client_id with a key.",
        )
    return config


async def _order(config: Config, kind: Kind, as_json: bool, no_wait: bool, options: dict[str, Any]) -> int:
    async with opened_stores(config.data_dir) as stores:
        if no_wait:
            number = await _ordered(stores, kind, options)
            ordered = await stores.state.read(lambda db: sweeps.find(db, number))
            if as_json and ordered is not None:
                print_json(ordered.as_json())
            else:
                out.print(f"Ordered: {kind} {number}. `rosterhook status` shows how far it is.")
            return 0
        async with _worked_off(config) as is_over:
            number = await _ordered(stores, kind, options)
            sweep = await _watched(config, stores, number, is_over, quiet=as_json)
        found = await stores.state.read(lambda db: sweeps.findings(db, number))
    if as_json:
        print_json({**sweep.as_json(), "findings": found})
    else:
        print_outcome(sweep)
    return 1 if sweep.error or sweep.report.get("equal") is False else 0


async def _ordered(stores: Stores, kind: Kind, options: dict[str, Any]) -> int:
    return await stores.state.write(lambda db: sweeps.order(db, kind, "ordered by hand", now_ms(), **options))


async def _watched(config: Config, stores: Stores, number: int, is_over: Callable[[], bool], *, quiet: bool) -> Sweep:
    """Show the progress until the sweep is over.

    Args:
        is_over: whether the worker of this process has ended.
    """
    names = [target.name for target in config.targets]
    with Progress(config.okta.share, quiet=quiet) as progress:
        while True:
            sweep = await stores.state.read(lambda db: sweeps.find(db, number))
            assert sweep is not None  # noqa: S101 - it was ordered here
            status = await read_status(stores.inbox.database, stores.state, names, now_ms())
            progress.show(sweep, status)
            if sweep.finished_ms is not None:
                return sweep
            if is_over():
                raise RosterhookError("The worker has ended before its time.", hint="Look into its log, and try again.")
            await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def _worked_off(config: Config) -> AsyncIterator[Callable[[], bool]]:
    """A worker in this process, for as long as this is open, where none runs; gives whether it has ended."""
    if is_running(config.data_dir, "worker"):
        yield lambda: False
        return
    _quiet()
    stop = asyncio.Event()
    async with opened(config) as worker:
        working = asyncio.create_task(worker.run(stop))
        try:
            yield working.done
        finally:
            stop.set()
            await working


def _quiet() -> None:
    """What the flow tells step by step is for the log of a service: here the command itself tells it."""
    root = logging.getLogger()
    root.setLevel(max(root.level, logging.WARNING))


async def _dry_run(config: Config, as_json: bool, options: dict[str, Any]) -> int:
    _quiet()
    budget = Budget(config.okta.share)
    async with (
        _dry_parts(config, budget) as (client, targets),
        opened_dry_run(config.data_dir, client, budget, targets, **options) as dry,
    ):
        with out.status("Reading Okta and every target; nothing is changed.") if not as_json else nullcontext():
            sweep = await dry.run(lambda: asyncio.sleep(LOOK_SECONDS))
        found = await dry.state.read(lambda db: sweeps.findings(db, dry.number))
    if as_json:
        print_json({**sweep.as_json(), "findings": found})
    else:
        print_dry_run(sweep, found)
    return 1 if sweep.error or found else 0


@asynccontextmanager
async def _dry_parts(config: Config, budget: Budget) -> AsyncIterator[tuple[Any, list[Target]]]:
    async with connected(config.okta, [READ_USERS], budget=budget) as client, opened_targets(config.targets) as targets:
        yield client, targets
