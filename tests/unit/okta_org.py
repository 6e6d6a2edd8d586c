"""A fake org for the tests of OktaClient: answers from a list or a function, on a clock that only waits move."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qs

import httpx2
from pydantic import SecretStr

from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient

ORG = "https://example.okta.com"
TOKEN = "00secret-token-of-the-org"
USER = {"id": "00u1", "status": "ACTIVE", "profile": {"login": "ann@example.com"}}
DATE = "Thu, 27 Aug 2020 18:19:48 GMT"
EPOCH = 1598552388

Handler = Callable[[httpx2.Request], httpx2.Response]


class Org:
    """Answers from a list or a function, and remembers the requests."""

    def __init__(self, *answers: httpx2.Response | Handler) -> None:
        self.answers = list(answers)
        self.requests: list[httpx2.Request] = []
        self.waits: list[float] = []
        self.now = 0.0
        self.budget = Budget(1.0, clock=lambda: self.now, sleep=self._sleep)
        self.client = OktaClient(
            ORG,
            SswsAuth(SecretStr(TOKEN)),
            self.budget,
            timeout_seconds=5.0,
            transport=httpx2.MockTransport(self._answer),
        )

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds

    async def _answer(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer if isinstance(answer, httpx2.Response) else answer(request)


def ok(body: Any, *links: str, **headers: str) -> httpx2.Response:
    return httpx2.Response(
        200, content=json.dumps(body), headers=[("link", link) for link in links] + list(headers.items())
    )


def limited(limit: int = 50, left: int = 20) -> httpx2.Response:
    headers = {
        "date": DATE,
        "x-rate-limit-limit": str(limit),
        "x-rate-limit-remaining": "0",
        "x-rate-limit-reset": str(EPOCH + left),
        "x-okta-request-id": "req-1",
    }
    return httpx2.Response(429, json={"errorCode": "E0000047", "errorSummary": "Too many."}, headers=headers)


def raising(error: Exception) -> Handler:
    def handler(_request: httpx2.Request) -> httpx2.Response:
        raise error

    return handler


async def pages(org: Org, **arguments: Any) -> list[list[dict[str, Any]]]:
    return [page async for page in org.client.list_users(**arguments)]


def search_of(request: httpx2.Request) -> str:
    return parse_qs(request.url.query.decode())["search"][0]


def rate_headers(limit: int, remaining: int, left: int, date: int = 1_600_000_000) -> dict[str, str]:
    return {
        "x-rate-limit-limit": str(limit),
        "x-rate-limit-remaining": str(remaining),
        "x-rate-limit-reset": str(date + left),
        "date": formatdate(date, usegmt=True),
    }
