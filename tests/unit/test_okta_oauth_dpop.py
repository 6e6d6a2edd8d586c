"""DPoP: found out by itself, with a fresh assertion at each repeat and a fresh proof for each call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from okta_app import NOW, ORG, USER, App, Refused, unverified

from rosterhook.errors import OktaUnauthorized
from rosterhook.okta.dpop import ProofKey
from rosterhook.okta.oauth import PAUSE


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App(dpop=True)
    yield app
    await app.aclose()


async def test_dpop_is_used_when_the_app_demands_it(app: App) -> None:
    """The first refusal brings a proof, the second the nonce; each request has an assertion of its own."""
    assert await app.client.user("00u1") == USER
    assert len({asked["claims"]["jti"] for asked in app.asked}) == 3
    [call] = app.calls
    assert call.headers["authorization"] == "DPoP at-1"
    header, claims = unverified(call.headers["dpop"])
    assert set(header) == {"typ", "alg", "jwk"}
    assert set(header["jwk"]) == {"kty", "crv", "x", "y"}
    assert (claims["htm"], claims["htu"]) == ("GET", f"{ORG}/api/v1/users/00u1")
    assert "nonce" not in claims


async def test_what_was_learnt_spares_the_detour_next_time(app: App) -> None:
    """The demand and the nonce are remembered: the next token costs one request."""
    await app.client.user("00u1")
    app.now = 3500.0
    await app.client.user("00u1")
    assert len(app.asked) == 4
    assert app.calls[-1].headers["authorization"] == "DPoP at-2"


async def test_a_nonce_that_changed_costs_one_more_request(app: App) -> None:
    """Okta's nonce rotates: the refusal brings the new one."""
    await app.client.user("00u1")
    app.nonce, app.now = "nonce-2", 3500.0
    await app.client.user("00u1")
    assert len(app.asked) == 5


async def test_an_app_without_dpop_gets_no_proof() -> None:
    """Nothing is proved to who does not ask for it."""
    app = App()
    await app.client.user("00u1")
    assert app.endpoint.proofs is None
    assert "dpop" not in app.calls[0].headers
    await app.aclose()


async def test_each_call_and_each_repeat_has_a_proof_of_its_own(app: App) -> None:
    """A proof is good for one request: Okta counts even one that it answered with 429."""
    tired = httpx2.Response(429, headers={"x-rate-limit-limit": "0"})
    admit = app._admit

    async def answer(request: httpx2.Request) -> httpx2.Response:
        app.calls.append(request)
        admit(request)
        return tired if len(app.calls) == 1 else httpx2.Response(200, json=USER)

    app.client._http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    assert await app.client.user("00u1") == USER
    await app.client.user("00u1")
    assert len({unverified(call.headers["dpop"])[1]["jti"] for call in app.calls}) == 3


async def test_the_api_may_ask_for_a_nonce_as_well(app: App) -> None:
    """The API's nonce is taken from its refusal, the call repeated once, and the nonce kept."""
    app.api_nonce = "api-1"
    assert await app.client.user("00u1") == USER
    assert len(app.calls) == 2
    await app.client.user("00u1")
    assert len(app.calls) == 3
    assert unverified(app.calls[-1].headers["dpop"])[1]["nonce"] == "api-1"


async def test_a_nonce_in_a_good_answer_is_kept(app: App) -> None:
    """The next call carries the nonce that the last answer brought."""
    sent = await app.auth.headers("GET", ORG)
    assert not app.auth.learn(sent, 200, httpx2.Headers({"DPoP-Nonce": "api-7"}), b"{}")
    assert unverified((await app.auth.headers("GET", ORG))["DPoP"])[1]["nonce"] == "api-7"


async def test_many_calls_that_are_asked_for_a_nonce_repeat_once_each(app: App) -> None:
    """Each of several calls that run at once gets its own repeat, with one token for all."""
    await app.client.user("00u1")
    app.api_nonce = "api-1"
    before = len(app.calls)
    assert await asyncio.gather(*(app.client.user("00u1") for _ in range(20))) == [USER] * 20
    assert len(app.calls) - before <= 40
    assert len(app.tokens) == 1


async def test_a_revoked_token_is_renewed_with_dpop_too(app: App) -> None:
    """A 401 renews the token and repeats the call with a proof for the new one."""
    await app.client.user("00u1")
    app.tokens, app.now = {"old": ""}, PAUSE
    assert await app.client.user("00u1") == USER
    assert app.calls[-1].headers["authorization"] == "DPoP at-2"


async def test_demanding_the_same_nonce_again_ends(app: App) -> None:
    """An org that is never content with a proof is an error, not an endless loop."""
    app.outage = httpx2.Response(400, json={"error": "use_dpop_nonce"}, headers={"dpop-nonce": "n"})
    with pytest.raises(OktaUnauthorized):
        await app.client.user("00u1")
    assert len(app.asked) <= 4


async def test_a_nonce_that_never_arrives_ends(app: App) -> None:
    """A proxy that takes the header away is named as the likely reason."""
    app.outage = httpx2.Response(400, json={"error": "use_dpop_nonce"})
    with pytest.raises(OktaUnauthorized, match="DPoP-Nonce"):
        await app.client.user("00u1")
    assert len(app.asked) == 2


async def test_a_proof_that_is_refused_is_no_fault_of_a_user(app: App) -> None:
    """Okta's API tells of a bad proof with 400 in WWW-Authenticate: that is about the login."""
    challenge = 'DPoP algs="RS256 ES256", error="invalid_dpop_proof", error_description="\'htu\' claim is invalid."'

    async def answer(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(400, headers={"www-authenticate": challenge})

    app.client._http = httpx2.AsyncClient(transport=httpx2.MockTransport(answer))
    with pytest.raises(OktaUnauthorized, match="invalid_dpop_proof 'htu' claim is invalid") as caught:
        await app.client.user("00u1")
    assert caught.value.code == "invalid_dpop_proof"


async def test_a_user_is_found_by_login_with_dpop_too(app: App) -> None:
    """The address of a login is the same to Okta, escaped or not."""
    assert await app.client.find_user("ann@example.com") == USER
    assert app.calls[-1].url.raw_path == b"/api/v1/users/ann@example.com"


async def test_a_call_that_lacks_its_proof_is_no_fault_of_a_user(app: App) -> None:
    """Whatever a challenge says with 400, it is about the login: nobody is parked for it."""

    def refuse(_request: httpx2.Request) -> None:
        raise Refused(400, "invalid_request", "The resource request requires a DPoP proof.")

    app._admit = refuse  # type: ignore[method-assign]
    with pytest.raises(OktaUnauthorized, match="requires a DPoP proof"):
        await app.client.user("00u1")


@pytest.mark.parametrize(
    ("url", "htu"),
    [
        (f"{ORG}/api/v1/users?limit=1&search=id+eq+%22a%22", f"{ORG}/api/v1/users"),
        (f"{ORG}/api/v1/users/a%20b?x=1#y", f"{ORG}/api/v1/users/a b"),
        ("http://127.0.0.1:8080/oauth2/v1/token", "http://127.0.0.1:8080/oauth2/v1/token"),
    ],
)
def test_htu_is_the_address_without_query_and_fragment(url: str, htu: str) -> None:
    """RFC 9449, 4.2: the address of the request without query and fragment; the path decoded, as Okta compares it."""
    _, claims = unverified(ProofKey(lambda: NOW).proof("GET", url))
    assert (claims["htu"], claims["iat"]) == (htu, int(NOW))
    assert not {"ath", "nonce"} & set(claims)
