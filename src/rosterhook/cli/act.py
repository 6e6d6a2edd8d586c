"""`replay`: try again, by hand."""

from __future__ import annotations

from typing import Annotated

import apsw
from cyclopts import Parameter

from rosterhook.cli.common import ConfigPath, DryRun, load, out
from rosterhook.cli.moments import moment_ms
from rosterhook.cli.opened import with_stores
from rosterhook.config import Config
from rosterhook.errors import RosterhookError
from rosterhook.model import now_ms
from rosterhook.replay import Order, Replayed, carry_out
from rosterhook.stores import Stores


class _DryRun(Exception):
    """Undoes a transaction whose effect is only to be told."""

    def __init__(self, replayed: Replayed) -> None:
        self.replayed = replayed


def replay(
    *users: Annotated[str, Parameter(help="Okta ids of users to read and write again.")],
    target: Annotated[str | None, Parameter(help="Only this target.")] = None,
    parked: Annotated[bool, Parameter(negative="", help="Everything that is parked.")] = False,
    reason: Annotated[str | None, Parameter(help="With --parked: only reasons with this text.")] = None,
    since: Annotated[
        str | None, Parameter(help="With --parked: only what failed since then; 2h, 7d, or a stamp.")
    ] = None,
    quarantined: Annotated[bool, Parameter(negative="", help="Deliveries that were not understood.")] = False,
    everybody: Annotated[bool, Parameter(name="--all", negative="", help="Write every user again.")] = False,
    gone: Annotated[
        bool,
        Parameter(
            negative="",
            help="Take the named users for deleted, or with --parked all whom Okta does not find: you have looked.",
        ),
    ] = False,
    dry_run: DryRun = False,
    config: ConfigPath = None,
) -> None:
    """Try again: some users, all that is parked, the quarantine, or a whole target. Repeating harms nothing."""
    loaded = load(config)
    since_ms = None if since is None else moment_ms(since, now_ms())
    order = Order(users, gone, target, parked, reason, since_ms, quarantined, everybody)
    _sensible(loaded, order)

    def work(db: apsw.Connection) -> Replayed:
        done = carry_out(db, order, [each.name for each in loaded.targets], now_ms())
        if dry_run:
            raise _DryRun(done)
        return done

    async def run(stores: Stores) -> Replayed:
        try:
            return await stores.state.write(work)
        except _DryRun as undone:
            return undone.replayed

    _print(with_stores(loaded, run), dry_run)


def _sensible(config: Config, order: Order) -> None:
    if not (order.users or order.parked or order.quarantined or order.everybody):
        raise RosterhookError(
            "Nothing was chosen to replay.", hint="Name Okta ids of users, or --parked, --quarantined or --all."
        )
    if (order.reason is not None or order.since_ms is not None) and not order.parked:
        raise RosterhookError("--reason and --since choose among what is parked.", hint="Add --parked.")
    if order.gone and not (order.users or order.parked):
        raise RosterhookError("--gone needs Okta ids of users, or --parked.", hint="`rosterhook parked` lists them.")
    chosen = order.target or order.quarantined or order.everybody or order.reason or order.since_ms is not None
    if order.gone and chosen:
        raise RosterhookError(
            "--gone goes with Okta ids or --parked alone: it holds for every target, and replays nothing else.",
            hint="Leave out --target, --reason, --since, --quarantined and --all, or give them in another command.",
        )
    names = [each.name for each in config.targets]
    if order.target is not None and order.target not in names:
        raise RosterhookError(f'There is no target "{order.target}".', hint=f"There is: {', '.join(names)}.")


def _print(done: Replayed, dry_run: bool) -> None:
    would = "would be" if dry_run else "will be"
    out.print(f"{_counted(done.reads, 'user')} {would} read from Okta again, {done.writes:,} {would} written again.")
    if done.deliveries or done.still_quarantined:
        out.print(
            f"{_counted(done.deliveries, 'delivery', 'deliveries')} {'would leave' if dry_run else 'left'} the"
            f" quarantine, {done.still_quarantined:,} still {'is' if done.still_quarantined == 1 else 'are'} no event"
            " hook."
        )


def _counted(number: int, one: str, more: str = "") -> str:
    return f"{number:,} {one if number == 1 else more or f'{one}s'}"
