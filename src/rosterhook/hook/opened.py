"""Okta's side of a configuration, put together: the login, the inbox that shows arrivals, the diagnosis."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from rosterhook.config import Config
from rosterhook.hook.arrival import Arrivals, Canary, Proof
from rosterhook.hook.diagnosis import Diagnosis, diagnose
from rosterhook.hook.okta_side import OktaSide
from rosterhook.okta.connect import MANAGE_USERS, READ_USERS, connected
from rosterhook.okta.event_hooks import EventHooks
from rosterhook.stores import opened_stores


@asynccontextmanager
async def opened_side(
    config: Config, *scopes: str, url: str | None = None, canary: str | None = None, wait_seconds: float = 0.0
) -> AsyncIterator[OktaSide]:
    """Okta's event hooks, as far as the service of this configuration has to do with them.

    Args:
        scopes: what the calls need of a service app.
        url: as of `OktaSide`.
        canary: login of the user who is touched for the proof.
        wait_seconds: how long the proof waits for a delivery.

    Raises:
        ConfigError: there is no way to log in to Okta.
        StoreError: data_dir cannot be read.
    """
    if canary is not None:
        scopes = (*scopes, READ_USERS, MANAGE_USERS)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(connected(config.okta, scopes))
        arrivals = None
        # Both, or one would be made: not every command may write.
        if all((config.data_dir / name).exists() for name in ("inbox.db", "state.db")):
            stores = await stack.enter_async_context(opened_stores(config.data_dir))
            arrivals = Arrivals(stores)
        proof = Proof(arrivals, Canary(client, canary) if canary else None, wait_seconds)

        async def why(address: str, header: str, secret: str) -> Diagnosis:
            return await diagnose(address, header, secret, config.okta.ca_file)

        yield OktaSide(EventHooks(client), config.hook, config.data_dir, proof, why, url=url)
