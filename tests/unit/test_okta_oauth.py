"""The login as a service app: what is asked, how long it is kept, and who renews it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, RSAKey
from okta_app import CLIENT_ID, NOW, ORG, SCOPE, TOKEN_URL, USER, App

from rosterhook.errors import OktaError, OktaForbidden, OktaRateLimited, OktaUnauthorized, OktaUnavailable
from rosterhook.okta.keys import load_signing_key
from rosterhook.okta.oauth import PAUSE


@pytest.fixture
async def app() -> AsyncIterator[App]:
    app = App()
    yield app
    await app.aclose()


KEYS = [
    *((RSAKey.generate_key(2048), algorithm) for algorithm in ("RS256", "RS384", "RS512")),
    (ECKey.generate_key("P-256"), "ES256"),
    (ECKey.generate_key("P-384"), "ES384"),
    (ECKey.generate_key("P-521"), "ES512"),
]


@pytest.mark.parametrize(("key", "algorithm"), KEYS, ids=[algorithm for _, algorithm in KEYS])
async def test_each_algorithm_of_okta_logs_in(key: RSAKey | ECKey, algorithm: str) -> None:
    """Every key and algorithm that Okta takes gets a token for an assertion that verifies."""
    app = App(load_signing_key(key.as_pem(private=True).decode(), algorithm=algorithm, key_id="kid-1"))
    assert await app.client.user("00u1") == USER
    [asked] = app.asked
    assert (asked["header"]["alg"], asked["header"]["kid"]) == (algorithm, "kid-1")
    await app.aclose()


async def test_an_assertion_says_who_asks_whom_and_for_how_long(app: App) -> None:
    """The claims are those of Okta's guide: iss and sub are the app, aud the address that is asked, exp is near."""
    await app.auth.headers("GET", f"{ORG}/api/v1/users")
    [asked] = app.asked
    claims = asked["claims"]
    assert claims.pop("jti")
    assert claims == {"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": TOKEN_URL, "iat": int(NOW), "exp": int(NOW) + 300}
    assert asked["scope"] == SCOPE
    assert "kid" not in asked["header"]


async def test_a_token_is_asked_for_once_and_kept(app: App) -> None:
    """Calls share one token until five minutes before its end."""
    await app.client.user("00u1")
    app.now = 3299.0
    await app.client.user("00u1")
    assert len(app.asked) == 1
    assert {call.headers["authorization"] for call in app.calls} == {"Bearer at-1"}
    app.now = 3301.0
    await app.client.user("00u1")
    assert len(app.asked) == 2
    assert app.calls[-1].headers["authorization"] == "Bearer at-2"


async def test_a_token_that_lives_shortly_is_used_for_half_its_life(app: App) -> None:
    """A short life, as in a test org, does not make every call ask for a token."""
    app.lives = 100
    for now in (0.0, 49.0, 51.0):
        app.now = now
        await app.client.user("00u1")
    assert len(app.asked) == 2


@pytest.mark.parametrize("lives", [None, "soon", -1, 0, True])
async def test_a_lifetime_that_is_none_is_taken_for_an_hour(app: App, lives: object) -> None:
    """What Okta says of a token's life is believed only where it is a time."""
    app.lives = lives
    await app.client.user("00u1")
    app.now = 3000.0
    await app.client.user("00u1")
    assert len(app.asked) == 1


async def test_every_request_for_a_token_has_a_jti_of_its_own(app: App) -> None:
    """Okta takes an assertion only once, also when it refused the request: each request has a new one."""
    app.outage = httpx2.Response(500)
    for _ in range(3):
        with pytest.raises(OktaUnavailable):
            await app.client.user("00u1")
        app.now += PAUSE
    app.outage = None
    await app.client.user("00u1")
    assert len({asked["claims"]["jti"] for asked in app.asked}) == 4


async def test_many_calls_at_once_ask_for_one_token(app: App) -> None:
    """Whoever comes while a token is asked for waits for that one."""
    app.gate = asyncio.Event()
    calls = [asyncio.create_task(app.auth.headers("GET", ORG)) for _ in range(50)]
    await asyncio.sleep(0)
    app.gate.set()
    assert {headers["Authorization"] for headers in await asyncio.gather(*calls)} == {"Bearer at-1"}
    assert len(app.asked) == 1


async def test_a_waiter_goes_on_when_the_one_who_asked_is_cancelled(app: App) -> None:
    """A call that is cancelled while it asks for the token leaves the others able to ask."""
    app.gate = asyncio.Event()
    first = asyncio.create_task(app.auth.headers("GET", ORG))
    second = asyncio.create_task(app.auth.headers("GET", ORG))
    await app.was_asked.wait()
    first.cancel()
    app.gate.set()
    assert await second == {"Authorization": "Bearer at-1"}


@settings(max_examples=30, deadline=None)
@given(calls=st.integers(1, 40), rounds=st.integers(1, 3))
async def test_a_revoked_token_is_renewed_once_however_many_calls_fail(calls: int, rounds: int) -> None:
    """N calls at once with a token that Okta has revoked cost one renewal, and each comes through with one repeat."""
    app = App()
    await app.client.user("00u1")
    for number in range(1, rounds + 1):
        app.tokens.clear()
        app.tokens.update({f"old-{count}": "" for count in range(number)})  # so that the next is a new one
        app.now += PAUSE
        before = len(app.calls)
        assert await asyncio.gather(*(app.client.user("00u1") for _ in range(calls))) == [USER] * calls
        assert len(app.asked) == 1 + number
        assert len(app.calls) - before == 2 * calls  # all were refused before the first had a new token
    await app.aclose()


async def test_a_late_refusal_of_the_old_token_does_not_drop_the_new_one(app: App) -> None:
    """Who learns late that its token was revoked takes the one that another call has got meanwhile."""
    old = await app.auth.headers("GET", ORG)
    app.now = PAUSE
    assert app.auth.learn(old, 401, httpx2.Headers(), b"")
    new = await app.auth.headers("GET", ORG)
    assert app.auth.learn(old, 401, httpx2.Headers(), b"")
    assert await app.auth.headers("GET", ORG) == new
    assert len(app.asked) == 2


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (401, b'{"errorCode": "E0000015"}', {}),
        (401, b"", {"www-authenticate": 'DPoP error="invalid_dpop_proof"'}),
        (403, b'{"errorCode": "E0000006"}', {}),
        (403, b"", {"www-authenticate": 'Bearer error="insufficient_scope"'}),
        (404, b"", {}),
        (429, b"", {"www-authenticate": 'Bearer error="invalid_token"'}),
        (500, b"", {"www-authenticate": 'Bearer error="invalid_token"'}),
        (200, b'{"error": "invalid_token"}', {}),
    ],
)
async def test_what_is_not_the_token_s_fault_renews_nothing(
    app: App, status: int, body: bytes, headers: dict[str, str]
) -> None:
    """A missing scope, a missing feature or an outage does not throw a good token away."""
    sent = await app.auth.headers("GET", ORG)
    app.now = PAUSE
    assert not app.auth.learn(sent, status, httpx2.Headers(headers), body)
    assert await app.auth.headers("GET", ORG) == sent
    assert len(app.asked) == 1


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_invalid_token_in_the_challenge_renews(app: App, status: int) -> None:
    """Okta's API tells of a bad token in WWW-Authenticate, not always with 401."""
    sent = await app.auth.headers("GET", ORG)
    app.now = PAUSE
    challenge = httpx2.Headers({"www-authenticate": 'DPoP realm="x", error="invalid_token"'})
    assert app.auth.learn(sent, status, challenge, b"")
    assert await app.auth.headers("GET", ORG) != sent


async def test_a_renewal_that_fails_leaves_the_old_token_at_work(app: App) -> None:
    """While the old token lives, a token endpoint that is down stops nobody, and is not asked at every call."""
    await app.client.user("00u1")
    app.outage = httpx2.Response(503)
    for now in (3400.0, 3401.0, 3400.0 + PAUSE + 1):
        app.now = now
        assert await app.client.user("00u1") == USER
    assert len(app.asked) == 3
    app.now = 3601.0
    with pytest.raises(OktaUnavailable):
        await app.client.user("00u1")


async def test_nobody_waits_for_a_renewal_while_the_old_token_lives(app: App) -> None:
    """One call asks for the next token; the others go on with the one there is."""
    await app.client.user("00u1")
    app.now, app.gate = 3400.0, asyncio.Event()
    app.was_asked.clear()
    renewing = asyncio.create_task(app.client.user("00u1"))
    await app.was_asked.wait()
    assert await app.client.user("00u1") == USER
    assert app.calls[-1].headers["authorization"] == "Bearer at-1"
    app.gate.set()
    await renewing
    assert app.calls[-1].headers["authorization"] == "Bearer at-2"


_LIMITED = httpx2.Response(429, json={"errorCode": "E0000047", "errorSummary": "API call exceeded rate limit"})


@pytest.mark.parametrize(
    ("outage", "kind"),
    [
        (_LIMITED, OktaRateLimited),
        (httpx2.Response(429, json={"error": "invalid_grant"}), OktaRateLimited),
        (httpx2.Response(500), OktaUnavailable),
        (httpx2.Response(503, json={"errorCode": "E0000010"}), OktaUnavailable),
        (httpx2.Response(400, json={"error": "temporarily_unavailable"}), OktaUnavailable),
        (httpx2.ReadTimeout("late"), OktaUnavailable),
        (httpx2.ConnectError("refused"), OktaUnavailable),
        (httpx2.Response(200, content=b"<html>"), OktaUnavailable),
        (httpx2.Response(200, json=[]), OktaUnavailable),
        (httpx2.Response(200, json={"access_token": "a b", "token_type": "Bearer"}), OktaUnavailable),
        (httpx2.Response(200, json={"access_token": "ä", "token_type": "Bearer"}), OktaUnavailable),
        (httpx2.Response(200, json={"access_token": "x", "token_type": "mac"}), OktaUnavailable),
        (httpx2.Response(200, json={"access_token": "x", "token_type": "DPoP"}), OktaUnavailable),
        (httpx2.Response(200, content=b" " * 2_000_000), OktaUnavailable),
        (httpx2.Response(400, json={"error": "invalid_scope"}), OktaForbidden),
        (httpx2.Response(403, json={"error": "access_denied"}), OktaForbidden),
        (httpx2.Response(400, json={"error": "something_new"}), OktaUnauthorized),
        (httpx2.Response(401, json={"error": "invalid_client"}), OktaUnauthorized),
        (httpx2.Response(404, content=b"<html>"), OktaUnauthorized),
        (httpx2.Response(302, headers={"location": "https://evil.example.com"}), OktaUnauthorized),
    ],
)
async def test_no_answer_of_the_token_endpoint_is_blamed_on_a_user(
    app: App, outage: httpx2.Response | Exception, kind: type[OktaError]
) -> None:
    """Whatever comes instead of a token is a fault that all users share: nobody would be parked for it."""
    app.outage = outage
    with pytest.raises(kind):
        await app.client.user("00u1")
    assert app.calls == []


async def test_neither_key_nor_token_is_ever_printed(app: App) -> None:
    """No repr shows the private key, an assertion or an access token."""
    await app.client.user("00u1")
    things = (app.auth, vars(app.auth), app.endpoint, vars(app.endpoint), app.signing, app.client)
    shown = " ".join(repr(thing) for thing in things)
    assert "at-1" not in shown
    for part in app.signing.key.as_dict(private=True).values():
        assert str(part) not in shown or len(str(part)) < 10
