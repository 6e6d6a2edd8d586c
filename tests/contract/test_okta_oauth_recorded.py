"""Real exchanges of a service app with Okta's token endpoint, recorded by others, played to the client."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx2
import pytest
import yaml
from joserfc.jwk import RSAKey

from rosterhook.errors import OktaUnauthorized
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.okta.keys import load_signing_key
from rosterhook.okta.oauth import OAuthAuth
from rosterhook.okta.rates import read_rates
from rosterhook.okta.token_endpoint import TokenEndpoint

DATA = Path(__file__).parents[3] / "shared" / "data" / "samples"
FILES = sorted(DATA.glob("sdk-python__TestDPoP*.yaml"))
pytestmark = pytest.mark.skipif(not FILES, reason=f"no recorded exchanges in {DATA}")

ORG = "https://test.okta.com"
SCOPES = ("okta.users.read", "okta.apps.read", "okta.groups.read")
PEM = RSAKey.generate_key(2048).as_pem(private=True).decode()
Exchange = dict[str, Any]


def _exchanges(name: str) -> list[Exchange]:
    [path] = [path for path in FILES if name in path.name]
    return list(yaml.safe_load(path.read_text("utf-8"))["interactions"])


def _answer(exchange: Exchange) -> httpx2.Response:
    response = exchange["response"]
    told = {name: values if isinstance(values, list) else [values] for name, values in response["headers"].items()}
    # The recorder has unpacked the bodies.
    dropped = ("content-encoding", "transfer-encoding")
    headers = [(name, value) for name, values in told.items() for value in values if name.lower() not in dropped]
    # What stands for the token in the recording, "<jwt>", may stand in a header.
    return httpx2.Response(response["status"]["code"], headers=headers, content=response["body"]["string"].encode())


class Replay:
    """The org as recorded: each request must be the recorded one, by method, address, scheme and proof."""

    def __init__(self, exchanges: list[Exchange]) -> None:
        self.left = list(exchanges)
        self.sent: list[httpx2.Request] = []
        transport = httpx2.MockTransport(self._next)
        self.http = httpx2.AsyncClient(transport=transport)
        self.tokens = TokenEndpoint(ORG, "0oa1", load_signing_key(PEM), self.http, timeout_seconds=5)
        self.client = OktaClient(
            ORG, OAuthAuth(self.tokens, SCOPES), Budget(1.0), timeout_seconds=5, transport=transport
        )

    def _next(self, request: httpx2.Request) -> httpx2.Response:
        exchange = self.left.pop(0)
        recorded = exchange["request"]
        assert (request.method, str(request.url)) == (recorded["method"], recorded["uri"])
        assert ("dpop" in request.headers) == ("DPoP" in recorded["headers"])
        if request.method == "POST":
            form, wanted = dict(parse_qsl(request.content.decode())), dict(recorded["body"])
            assert form.pop("client_assertion").count(".") == 2
            wanted.pop("client_assertion")
            assert form == wanted
        else:
            scheme = recorded["headers"]["Authorization"][0].split()[0]
            assert request.headers["authorization"].split()[0] == scheme
        self.sent.append(request)
        return _answer(exchange)


async def test_the_recorded_dpop_login_is_walked_again() -> None:
    """Nonce demanded, nonce given, token of type DPoP, API call with a proof: Okta's own answers lead through."""
    exchanges = _exchanges("test_dpop_api_request")
    plain = _exchanges("without_dpop")  # the SDK was told of DPoP; this client finds out by the answer to that one
    replay = Replay([plain[0], *exchanges[:3]])
    assert [page async for page in replay.client.list_users(limit=1)] == [[]]
    assert replay.left == []
    assert replay.sent[-1].headers["authorization"] == "DPoP <jwt>"
    assertions = {dict(parse_qsl(request.content.decode())).get("client_assertion") for request in replay.sent[:3]}
    assert len(assertions) == 3


async def test_every_recorded_refusal_is_one_of_the_login() -> None:
    """A refusal that comes again and again is an error about the login; its code and request id are Okta's."""
    refusals = [e for path in FILES for e in _exchanges(path.name) if e["response"]["status"]["code"] == 400]
    assert {_answer(refusal).json()["error"] for refusal in refusals} == {"use_dpop_nonce", "invalid_dpop_proof"}
    for refusal in refusals:
        transport = httpx2.MockTransport(lambda _request, refusal=refusal: _answer(refusal))
        async with httpx2.AsyncClient(transport=transport) as http:
            tokens = TokenEndpoint(ORG, "0oa1", load_signing_key(PEM), http, timeout_seconds=5)
            with pytest.raises(OktaUnauthorized) as caught:
                await tokens.ask(SCOPES)
        assert caught.value.code == _answer(refusal).json()["error"]
        assert caught.value.request_id == _answer(refusal).headers["x-okta-request-id"]


async def test_every_recorded_token_is_understood() -> None:
    """Each answer with a token, as Okta gave it: type, scopes and the hour it lives."""
    tokens = [
        exchange
        for path in FILES
        for exchange in _exchanges(path.name)
        if "/token" in exchange["request"]["uri"] and exchange["response"]["status"]["code"] == 200
    ]
    assert tokens
    for exchange in tokens:
        replay = Replay([_exchanges("without_dpop")[0], exchange])
        token = await replay.tokens.ask(SCOPES)
        assert (token.scheme, token.lifetime, token.scopes) == ("DPoP", 3600.0, frozenset(SCOPES))
        assert read_rates(_answer(exchange).headers).limit == 150
