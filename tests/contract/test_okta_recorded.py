"""Real exchanges with Okta, recorded by others, played through the client."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from pydantic import SecretStr

from rosterhook.errors import OktaError, OktaForbidden, OktaNotFound, OktaUnauthorized
from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.okta.faults import fault
from rosterhook.okta.rates import read_rates

DATA = Path(__file__).parents[3] / "shared" / "data" / "users"
Exchange = dict[str, Any]


def _load() -> list[Exchange]:
    files = sorted(DATA.glob("*.exchanges.ndjson"))
    return [json.loads(line) for file in files for line in file.read_text("utf-8").splitlines()]


EXCHANGES = _load()
pytestmark = pytest.mark.skipif(not EXCHANGES, reason=f"no recorded exchanges in {DATA}")


def _path(exchange: Exchange) -> str:
    return urlsplit(exchange["url"]).path


def _reads(path: str, *, status: int = 200) -> list[Exchange]:
    return [
        exchange
        for exchange in EXCHANGES
        if exchange["method"] == "GET" and exchange["status"] == status and path in _path(exchange) + "$"
    ]


def _lists() -> list[Exchange]:
    return _reads("/api/v1/users$")


def _singles(status: int) -> list[Exchange]:
    return [exchange for exchange in _reads("/api/v1/users/", status=status) if _path(exchange).count("/") == 4]


def _answer(exchange: Exchange) -> httpx2.Response:
    body = exchange["body"]
    return httpx2.Response(
        exchange["status"],
        headers=[(name, value) for name, values in exchange["headers"].items() for value in values],
        content=b"" if body is None else json.dumps(body).encode(),
    )


def _client(exchange: Exchange, handler: Any) -> OktaClient:
    parts = urlsplit(exchange["url"])
    return OktaClient(
        f"{parts.scheme}://{parts.netloc}",
        SswsAuth(SecretStr("recorded")),
        Budget(1.0),
        timeout_seconds=5.0,
        transport=httpx2.MockTransport(handler),
    )


async def test_recorded_users_are_read_whole() -> None:
    """Every user that Okta once answered by id comes back as it was, unknown fields and all."""
    assert _singles(200)
    for exchange in _singles(200):
        client = _client(exchange, lambda _request, exchange=exchange: _answer(exchange))
        assert await client.user(exchange["body"]["id"]) == exchange["body"]


async def test_recorded_not_found_is_not_found() -> None:
    """Every 404 that Okta once gave for a user by id says that this user is gone."""
    assert _singles(404)
    for exchange in _singles(404):
        client = _client(exchange, lambda _request, exchange=exchange: _answer(exchange))
        with pytest.raises(OktaNotFound) as caught:
            await client.user(_path(exchange).rsplit("/", 1)[1])
        assert caught.value.code == "E0000007"


async def test_recorded_errors_never_say_that_a_user_is_gone() -> None:
    """Every other error has its kind; a 404 about anything but a user deletes nobody."""
    kinds = {"E0000015": OktaForbidden, "E0000011": OktaUnauthorized, "E0000004": OktaUnauthorized}
    errors = [exchange for exchange in EXCHANGES if exchange["status"] >= 400]
    assert errors
    for exchange in errors:
        answer = _answer(exchange)
        error = fault("GET /api/v1/x", answer.status_code, answer.headers, answer.content, user_id="00uNobody")
        assert not isinstance(error, OktaNotFound)
        assert isinstance(error, kinds.get(error.code, OktaForbidden if answer.status_code == 403 else OktaError))
        assert error.code == exchange["body"].get("errorCode", "")


async def test_recorded_first_pages_are_read() -> None:
    """Every list that Okta once answered is a page, and its Link header leads on exactly where it says "next"."""
    assert _lists()
    for exchange in _lists():
        asked: list[httpx2.Request] = []

        def handler(request: httpx2.Request, exchange: Exchange = exchange, asked: Any = asked) -> httpx2.Response:
            asked.append(request)
            return _answer(exchange) if len(asked) == 1 else httpx2.Response(200, json=[])

        pages = [page async for page in _client(exchange, handler).list_users()]
        leads_on = any('rel="next"' in value for value in exchange["headers"].get("link", []))
        assert pages == [exchange["body"], []][: 1 + leads_on]


async def test_a_recorded_walk_is_walked_again() -> None:
    """From page to page, the client asks for exactly the addresses that were recorded."""
    by_query = {urlsplit(exchange["url"]).query: exchange for exchange in _lists()}
    walks = [query for query in by_query if "after=" in query]
    assert walks
    for query in walks:
        asked: list[str] = []

        def handler(request: httpx2.Request, query: str = query, asked: Any = asked) -> httpx2.Response:
            asked.append(request.url.query.decode())
            if len(asked) > 2:
                return httpx2.Response(200, json=[])
            return _answer(_before(query) if len(asked) == 1 else by_query[query])

        pages = [page async for page in _client(by_query[query], handler).list_users(limit=1)]
        assert asked[1] == query
        assert pages[1] == by_query[query]["body"]


def _before(query: str) -> Exchange:
    return next(e for e in _lists() if any(query in link for link in e["headers"].get("link", [])))


def test_recorded_rate_limits_are_understood() -> None:
    """Every recorded answer tells its limit, what remains, and a window that ends within 61 s."""
    seen = 0
    for exchange in EXCHANGES:
        headers = _answer(exchange).headers
        if "x-rate-limit-limit" not in headers:
            continue
        rates = read_rates(headers)
        assert rates.limit is not None
        assert rates.remaining is not None
        assert rates.limit >= rates.remaining
        assert rates.seconds_left is not None
        assert -1 <= rates.seconds_left <= 61
        seen += 1
    assert seen > 100
