"""Both stores of a data_dir, opened and closed together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from rosterhook.inbox import SqliteInbox
from rosterhook.store.database import Database


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
