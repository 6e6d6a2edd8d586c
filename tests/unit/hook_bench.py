"""A simulated org and a real receiver in one event loop, with the hook doctor between them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
from pydantic import SecretStr

from rosterhook.config import HookConfig
from rosterhook.hook import doctor
from rosterhook.hook.arrival import Arrivals, Canary, Proof
from rosterhook.hook.okta_side import OktaSide, Step
from rosterhook.hook.rotation import rotate
from rosterhook.hook_secrets import HookSecrets
from rosterhook.inbox import SqliteInbox
from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.okta.event_hooks import EventHooks
from rosterhook.receiver import Receiver
from rosterhook.simulator import Settings, Simulator, create_app

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

    def __init__(self, simulator: Simulator, client: OktaClient, inbox: SqliteInbox, data_dir: Path) -> None:
        self.simulator = simulator
        self.client = client
        self.inbox = inbox
        self.data_dir = data_dir
        self.config = HookConfig(secret=SECRET, url=URL)
        self.wrap: Callable[[Any], Any] = lambda api: api

    def side(self, *, canary: bool = True, seconds: float = 20.0, config: HookConfig | None = None) -> OktaSide:
        """Okta's side as a command sees it at its start."""
        proof = Proof(Arrivals(self.inbox), Canary(self.client, CANARY) if canary else None, seconds)
        api = self.wrap(EventHooks(self.client))
        return OktaSide(api, config or self.config, self.data_dir, proof, _no_diagnosis)

    async def create(self) -> str:
        """The hook, proved; its id."""
        side = self.side()
        await take(await doctor.create(side))
        return side.hook_id

    async def rotate(self, **options: Any) -> OktaSide:
        """A whole rotation."""
        side = self.side()
        await take(await rotate(side, **options))
        return side

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


async def _no_diagnosis(_url: str, _header: str, _secret: str) -> str:
    return "looked at from here"


@contextlib.asynccontextmanager
async def opened_bench(data_dir: Path, **settings: Any) -> AsyncIterator[Bench]:
    """An org with one user, the canary."""
    inbox = SqliteInbox(data_dir)
    hook = HookConfig(secret=SECRET)
    receiver = Receiver(hook, HookSecrets(hook, data_dir), inbox, nowhere)
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
        try:
            await client.request(
                "POST",
                "/api/v1/users?activate=true",
                {
                    "profile": {"firstName": "Ann", "lastName": "Ary", "email": CANARY, "login": CANARY},
                    "credentials": {"password": {"value": "Correct-horse-4711"}},
                },
            )
            yield Bench(simulator, client, inbox, data_dir)
        finally:
            await client.aclose()
            await inbox.close()
