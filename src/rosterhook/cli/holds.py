"""`holds`, `approve` and `reject`: batches that would remove too many users at once."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from rosterhook import holds as batches
from rosterhook.cli.common import AsJson, ConfigPath, load, out, print_json
from rosterhook.cli.opened import with_stores
from rosterhook.cli.tables import add, print_under, table_of
from rosterhook.holds import Hold
from rosterhook.model import iso, now_ms

SHOWN = 20

HoldId = Annotated[str, Parameter(help="As `rosterhook holds` shows it.")]


def holds(*, as_json: AsJson = False, config: ConfigPath = None) -> None:
    """List the removals that wait for a person: who would be removed, and from where."""
    found = with_stores(load(config), lambda s: s.state.read(batches.list_holds))
    if as_json:
        print_json([_as_json(hold) for hold in found])
    elif not found:
        out.print("Nothing is held.")
    for hold in () if as_json else found:
        _print(hold)


def approve(hold_id: HoldId, /, *, config: ConfigPath = None) -> None:
    """Let exactly this batch happen. Refused if it has changed since you looked."""
    hold = with_stores(load(config), lambda s: s.state.write(lambda db: batches.approve(db, hold_id, now_ms())))
    out.print(f"Approved: {_users(hold)} will be removed from {hold.target}.")


def reject(hold_id: HoldId, /, *, config: ConfigPath = None) -> None:
    """Leave exactly this batch undone: the target keeps these users as they are."""
    hold = with_stores(load(config), lambda s: s.state.write(lambda db: batches.reject(db, hold_id, now_ms())))
    out.print(f"Rejected: {hold.target} keeps {_users(hold)}. `rosterhook parked` lists them.")


def _users(hold: Hold) -> str:
    return f"{len(hold.users):,} {'user' if len(hold.users) == 1 else 'users'}"


def _as_json(hold: Hold) -> dict[str, object]:
    return {"id": hold.id, "target": hold.target, "since": iso(hold.since_ms), "users": list(hold.users)}


def _print(hold: Hold) -> None:
    title = f"Hold {hold.id}: {_users(hold)} would be removed from {hold.target}"
    table = table_of("User", "Status in Okta", "Login")
    for user in hold.users[:SHOWN]:
        add(table, user["id"], user["status"], user["login"])
    print_under(title, table)
    if len(hold.users) > SHOWN:
        out.print(f"... and {len(hold.users) - SHOWN:,} more: --json lists all.")
    out.print(f"rosterhook approve {hold.id}   or   rosterhook reject {hold.id}", markup=False)
