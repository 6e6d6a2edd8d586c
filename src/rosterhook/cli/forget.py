"""`forget`: erase what is stored of one person."""

from __future__ import annotations

import sys
from typing import Annotated

from cyclopts import Parameter

from rosterhook.cli.common import ConfigPath, DryRun, load, out
from rosterhook.cli.opened import with_stores
from rosterhook.config import Config
from rosterhook.errors import RosterhookError
from rosterhook.forget import Forgotten, find_person
from rosterhook.forget import forget as erase
from rosterhook.scrub import Person
from rosterhook.stores import Stores


def forget(
    login: Annotated[str, Parameter(help="The person's login in Okta, or their Okta id.")],
    /,
    *,
    dry_run: DryRun = False,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask: it cannot be undone.")] = False,
    config: ConfigPath = None,
) -> None:
    """Erase what is stored of one person who is gone from Okta, raw deliveries too; a tombstone with the id stays."""
    loaded = load(config)

    async def work(stores: Stores) -> None:
        person = await find_person(stores.state, login)
        found = await erase(stores, person, dry_run=True)
        _tell(person, found, "would be erased" if dry_run else "will be erased")
        if dry_run:
            return
        if not yes:
            _ask()
        await erase(stores, person, dry_run=False)
        out.print("Erased.")
        _remind(loaded)

    with_stores(loaded, work)


def _tell(person: Person, found: Forgotten, what: str) -> None:
    out.print(
        f"{', '.join(sorted(person.ids))}: the profile, and the person in {found.events:,} events,"
        f" {found.deliveries:,} deliveries and {found.quarantined:,} quarantined ones, {what}.",
        markup=False,
    )


def _ask() -> None:
    if not sys.stdin.isatty():
        raise RosterhookError("Nothing was erased.", hint="Give --yes: it cannot be undone, and nobody can be asked.")
    if out.input("This cannot be undone. Erase? [y/N] ", markup=False).strip().lower() not in ("y", "yes"):
        raise RosterhookError("Nothing was erased.")


def _remind(config: Config) -> None:
    kept = [target.name for target in config.targets if target.deleted != "delete"]
    if kept:
        out.print(f"Not touched: the rows in {', '.join(kept)}, which keep who is deleted; backups; and logs.")
    else:
        out.print("Not touched: backups and logs.")
