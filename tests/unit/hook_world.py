"""A simulated org with several event hooks, their owners, and a clock that a test sets."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import httpx2
from hook_receiver import Receiver, until
from starlette.requests import Request

from rosterhook.simulator import Settings, Simulator, in_process

HOOKS = "/api/v1/eventHooks"
PERSON = {"firstName": "A", "lastName": "B", "login": "a@x.com", "email": "a@x.com"}


class Receivers:
    """Owners of several hooks, by host name."""

    def __init__(self) -> None:
        self.by_host: dict[str, Receiver] = {}

    def __getitem__(self, host: str) -> Receiver:
        return self.by_host.setdefault(host, Receiver())

    async def __call__(self, scope, receive, send) -> None:
        await self[Request(scope).url.hostname or ""](scope, receive, send)


class World:
    """A simulated org with a clock that is set by hand."""

    def __init__(
        self, simulator: Simulator, okta: httpx2.AsyncClient, receivers: Receivers, clock: list[float]
    ) -> None:
        self.simulator, self.okta, self.receivers, self.clock = simulator, okta, receivers, clock
        self.log: list[dict[str, Any]] = []
        keep = simulator.org.on_event

        def on_event(event: dict[str, Any]) -> None:
            self.log.append(event)
            keep(event)

        simulator.org.on_event = on_event

    async def hook(self, host: str, *items: str, expression: str | None = None) -> str:
        """A verified hook's id."""
        body: dict[str, Any] = {
            "name": host,
            "events": {"type": "EVENT_TYPE", "items": list(items)},
            "channel": {"type": "HTTP", "version": "1.0.0", "config": {"uri": f"https://{host}/"}},
        }
        if expression:
            conditions = [{"event": item, "condition": {"expression": expression}} for item in items]
            body["events"]["filter"] = {"type": "EXPRESSION_LANGUAGE", "eventFilterMap": conditions}
        made = await self.okta.post(HOOKS, json=body)
        assert made.status_code == 200, made.text
        await self.okta.post(f"{HOOKS}/{made.json()['id']}/lifecycle/verify")
        return str(made.json()["id"])

    def person(self, login: str = "a@x.com", **profile: str) -> str:
        return str(self.simulator.org.create({**PERSON, "login": login, **profile}, password=True)["id"])

    async def settled(self) -> dict[str, Any]:
        await until(lambda: not self.simulator.hooks.pending)
        return self.simulator.hooks.as_json()

    def types(self, host: str) -> list[str]:
        return [event["eventType"] for event in self.receivers[host].events]

    def logged(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.log if event["eventType"] == event_type]


@contextlib.asynccontextmanager
async def org(**chosen: Any) -> AsyncIterator[World]:
    receivers, clock = Receivers(), [1_000_000.0]
    wanted = Settings(**{"batch_seconds": 0, "hook_timeout_seconds": 0.5, "hook_retry_seconds": 0, **chosen})
    transport = httpx2.ASGITransport(receivers)
    async with in_process(wanted, clock=lambda: clock[0], hook_transport=transport) as (simulator, okta):
        yield World(simulator, okta, receivers, clock)
