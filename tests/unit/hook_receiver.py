"""The owner of a simulated event hook, for tests: it proves itself and keeps what comes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from rosterhook.simulator import Settings, Simulator, in_process

URL = "http://receiver.test/okta"
SECRET = "a secret"


class Receiver:
    """A hook's owner: proves itself, keeps what comes, answers from `answers` and then 200.

    An answer may be None, which never comes, and an exception, as if nobody was there.
    """

    def __init__(self) -> None:
        self.echo: Callable[[str], object] = lambda challenge: {"verification": challenge}
        self.answers: list[int | Exception | None] = []
        self.requests: list[tuple[dict[str, str], dict]] = []
        self.verifications: list[dict[str, str]] = []

    @property
    def uuids(self) -> list[str]:
        return [event["uuid"] for event in self.events]

    @property
    def events(self) -> list[dict]:
        return [event for _, body in self.requests for event in body["data"]["events"]]

    async def __call__(self, scope, receive, send) -> None:
        request = Request(scope, receive)
        headers = dict(request.headers)
        if request.method == "GET":
            self.verifications.append(headers)
            await JSONResponse(self.echo(headers["x-okta-verification-challenge"]))(scope, receive, send)
            return
        self.requests.append((headers, json.loads(await request.body())))
        status = self.answers.pop(0) if self.answers else 200
        if isinstance(status, Exception):
            raise status
        if status is None:
            await asyncio.Event().wait()
        await Response(status_code=status or 200)(scope, receive, send)


async def until(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    """Wait for a condition that other tasks bring about."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


@contextlib.asynccontextmanager
async def hooked(**settings: object) -> AsyncIterator[tuple[Simulator, httpx2.AsyncClient, Receiver]]:
    """A simulator whose hook is verified."""
    receiver = Receiver()
    chosen = {"batch_seconds": 0.01, "hook_timeout_seconds": 0.5, "hook_retry_seconds": 0.0, "users": 5, **settings}
    transport = httpx2.ASGITransport(receiver)
    async with in_process(Settings(**chosen), hook_transport=transport) as (simulator, okta):
        answer = await okta.post("/_sim/hook", json={"url": URL, "secret": SECRET})
        assert answer.status_code == 200, answer.text
        yield simulator, okta, receiver


async def settled(simulator: Simulator) -> dict[str, Any]:
    """Wait until every event was delivered or given up."""
    await until(lambda: not simulator.busy and not simulator.hooks.pending)
    return simulator.hooks.as_json()
