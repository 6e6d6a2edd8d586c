"""Both stores of a data_dir, opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import apsw

from rosterhook.errors import ConfigError
from rosterhook.inbox import SqliteInbox
from rosterhook.model import ORG
from rosterhook.store.database import Database
from rosterhook.store.queries import value


@dataclass(frozen=True, slots=True)
class Stores:
    """The inbox, and the state made of it."""

    inbox: SqliteInbox
    state: Database


@asynccontextmanager
async def opened_stores(data_dir: Path) -> AsyncIterator[Stores]:
    """The stores, made when they are absent.

    Raises:
        StoreError: data_dir cannot be used.
    """
    async with AsyncExitStack() as stack:
        inbox = SqliteInbox(data_dir)
        stack.push_async_callback(inbox.close)
        state = Database(data_dir / "state.db", "state")
        stack.push_async_callback(state.close)
        yield Stores(inbox, state)


def org_of(db: apsw.Connection) -> str | None:
    """The org whose users the state store holds; None when it holds none yet."""
    known = value(db, "read_note", {"org": ORG, "name": "org_url"})
    return None if known is None else str(known)


def refuse_other_org(db: apsw.Connection, org_url: str | None) -> None:
    """Another org knows none of the users of a state store: each would be read as gone, and removed everywhere.

    Raises:
        ConfigError: the store holds the users of another org.
    """
    known = org_of(db)
    if org_url is not None and known not in (None, org_url):
        raise ConfigError(
            f"data_dir holds the users of {known}, but okta.org_url is {org_url}.",
            hint="Give the other org a data_dir of its own.",
        )
