"""The stores of a service that has run before, opened for one command."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from rosterhook.config import Config
from rosterhook.errors import StoreError
from rosterhook.stores import Stores, opened_stores

T = TypeVar("T")


@asynccontextmanager
async def stores(config: Config) -> AsyncIterator[Stores]:
    """The stores of a service that has run before.

    Raises:
        StoreError: none has.
    """
    if not (config.data_dir / "state.db").exists():
        raise StoreError(
            f"There is no store in {config.data_dir.absolute()}.",
            hint="Start `rosterhook serve` first, or check data_dir.",
        )
    async with opened_stores(config.data_dir) as opened:
        yield opened


def with_stores(config: Config, work: Callable[[Stores], Awaitable[T]]) -> T:
    """Open the stores, run `work`, close them."""

    async def run() -> T:
        async with stores(config) as opened:
            return await work(opened)

    return asyncio.run(run())
