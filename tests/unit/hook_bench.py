"""A simulated org and a real receiver in one event loop, with the hook doctor between them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import httpx2
import pytest
from pydantic import SecretStr

from rosterhook.config import HookConfig
from rosterhook.data_dir import only_one
from rosterhook.hook import arrival, doctor
from rosterhook.hook.arrival import Arrivals, Canary, Proof
from rosterhook.hook.diagnosis import Diagnosis
from rosterhook.hook.okta_side import OktaSide, Step
from rosterhook.hook.rotation import Haste, plan_rotation
from rosterhook.hook_secrets import HookSecrets
from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.okta.event_hooks import EventHooks
from rosterhook.receiver import Receiver
from rosterhook.simulator import Settings, Simulator, create_app
from rosterhook.stores import Stores, opened_stores

URL = "https://hooks.example.com/okta/events"
SECRET = "the-configured-secret"
CANARY = "canary@example.com"


async def nowhere(_scope: Any, _receive: Any, send: Any) -> None:
    """What is not the hook's path."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b""})


class Bench:
    """The org, the receiver's inbox, and commands of the doctor.

    Attributes:
        wrap: put around Okta's API, to count or to break calls.
    """

    def __init__(
        self, simulator: Simulator, client: OktaClient, stores: Stores, data_dir: Path, receiver: Receiver
    ) -> None:
        self.simulator = simulator
        self.client = client
        self.stores = stores
        self.inbox = stores.inbox
        self.data_dir = data_dir
        self.receiver = receiver
        self.config = HookConfig(secret=SECRET, url=URL)
        self.wrap: Callable[[Any], Any] = lambda api: api

    def side(self, *, canary: bool = True, seconds: float = 20.0, config: HookConfig | None = None) -> OktaSide:
        """Okta's side as a command sees it at its start."""
        proof = Proof(Arrivals(self.stores), Canary(self.client, CANARY) if canary else None, seconds)
        api = self.wrap(EventHooks(self.client))
        return OktaSide(api, config or self.config, self.data_dir, proof, self._diagnosis)

    async def create(self) -> str:
        """The hook, proved; its id."""
        side = self.side()
        await take(await doctor.plan_create(side))
        return str(side.record.hook_id)

    async def rotate(self, **options: Any) -> OktaSide:
        """A whole rotation."""
        side = self.side()
        await take(await plan_rotation(side, haste=Haste(drain_seconds=0.0), **options))
        return side

    async def _diagnosis(self, url: str, header: str, secret: str) -> Diagnosis:
        """The address asked as from this machine."""
        headers = {header: secret, "X-Okta-Verification-Challenge": "x"}
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(self.receiver)) as client:
            answer = await client.get(url, headers=headers)
        return Diagnosis(answer.status_code == 200, f"looked at from here: {answer.status_code}")

    def change(self, **changes: Any) -> None:
        """Somebody changes the hook by hand in the Admin Console."""
        (hook,) = self.simulator.hooks
        self.simulator.hooks._keep(replace(hook, **changes))

    async def quiet(self) -> None:
        """Wait until every delivery is settled."""
        async with asyncio.timeout(20):
            while self.simulator.hooks.pending:  # noqa: ASYNC110 - the simulator tells nobody
                await asyncio.sleep(0.01)

    def secrets_sent(self) -> set[str]:
        """The secrets of all hooks to which the org sends events now."""
        return {hook.channel.secret for hook in self.simulator.hooks if hook.listens}

    def secrets_taken(self) -> set[str]:
        """Those that the receiver accepts now."""
        return {secret.decode() for secret in HookSecrets(self.config, self.data_dir).valid}


async def take(steps: list[Step]) -> None:
    """Carry all steps out."""
    for step in steps:
        await step.act()


@contextlib.asynccontextmanager
async def opened_bench(data_dir: Path, **settings: Any) -> AsyncIterator[Bench]:
    """An org with one user, the canary."""
    with mock.patch.object(arrival, "POLL_SECONDS", 0.01):  # the tests are less patient than a person
        async with _opened(data_dir, **settings) as found:
            yield found


@contextlib.asynccontextmanager
async def _opened(data_dir: Path, **settings: Any) -> AsyncIterator[Bench]:
    hook = HookConfig(secret=SECRET)
    async with only_one(data_dir, "web"), opened_stores(data_dir) as stores:
        receiver = Receiver(hook, HookSecrets(hook, data_dir), stores.inbox, nowhere)
        app = create_app(Settings(batch_seconds=0.0, **settings), hook_transport=httpx2.ASGITransport(receiver))
        simulator: Simulator = app.state.simulator
        simulator.url = "https://org.example.com"
        client = OktaClient(
            simulator.url,
            SswsAuth(SecretStr(simulator.settings.token)),
            Budget(1.0),
            timeout_seconds=10.0,
            transport=httpx2.ASGITransport(app),
        )
        async with simulator.alive():
            profile = {"firstName": "Ann", "lastName": "Ary", "email": CANARY, "login": CANARY}
            credentials = {"password": {"value": "Correct-horse-4711"}}
            await client.request("POST", "/api/v1/users", {"profile": profile, "credentials": credentials})
            try:
                yield Bench(simulator, client, stores, data_dir, receiver)
            finally:
                await client.aclose()


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """An org without a hook."""
    async with opened_bench(tmp_path) as found:
        yield found
