"""The simulated org's token endpoint: what it checks, in Okta's words."""

from __future__ import annotations

import time

import httpx2
import pytest
from joserfc.jwk import ECKey, OctKey, RSAKey

from oauth_caller import APP_KEY, CLIENT, NOW, OTHER_KEY, TOKEN_URL, Caller, refusal, settings
from rosterhook.simulator import in_process
from rosterhook.simulator.auth.jose import ALGORITHMS, public_jwks, read

BOTH = "okta.users.read okta.groups.read"


@pytest.fixture
async def caller():
    async with in_process(settings(), clock=lambda: NOW) as (_, okta):
        yield Caller(okta)


async def test_an_app_gets_a_token(caller):
    """A right request is answered with a Bearer token for an hour, and with the scopes that it is good for."""
    answer = await caller.ask(scope=BOTH)
    assert answer.status_code == 200
    body = answer.json()
    token = body.pop("access_token")
    assert body == {"token_type": "Bearer", "expires_in": 3600, "scope": BOTH}
    assert (await caller.get("/api/v1/users", token)).status_code == 200


async def test_a_token_is_a_jwt_like_oktas(caller):
    """The token is signed by the org's own key and tells issuer, client, scopes and times."""
    signed = read(await caller.token(scope=BOTH))
    assert signed.header["alg"] == "RS256"
    org = str(caller.okta.base_url).rstrip("/")
    claims = signed.claims
    assert (claims["iss"], claims["sub"], claims["cid"]) == (org, CLIENT, CLIENT)
    assert claims["scp"] == BOTH.split()
    assert (claims["iat"], claims["exp"]) == (int(NOW), int(NOW) + 3600)


async def test_the_answer_carries_recorded_headers(caller):
    """Good and bad answers may not be cached, and tell the caller's limit of the token endpoint."""
    for answer in (await caller.ask(), await caller.ask(assertion="x")):
        assert answer.headers["cache-control"] == "no-cache, no-store"
        assert answer.headers["pragma"] == "no-cache"
        assert {"x-okta-request-id", "x-rate-limit-reset", "date"} <= set(answer.headers)
    assert (await caller.ask()).headers["x-rate-limit-limit"] == "150"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"grant_type": None}, (400, "invalid_request", "The token request must specify a 'grant_type'.")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type", "The authorization grant type is not supported")),
        ({"client_assertion_type": "x"}, (400, "invalid_request", "The client_assertion_type is invalid.")),
        ({"client_assertion_type": None}, (400, "invalid_request", "The client_assertion_type is invalid.")),
        ({"client_assertion": None}, (401, "invalid_client", "No client credentials found.")),
        ({"client_id": "0oaOther"}, (401, "invalid_client", "Invalid value for 'client_id' parameter.")),
        ({"client_secret": "s"}, (401, "invalid_request", "Cannot supply multiple client credentials.")),
        (
            {"client_assertion": None, "client_secret": "s"},
            (401, "invalid_client", "Client Credentials requests to the Org Authorization Server must use the private"),
        ),
        ({"scope": None}, (400, "invalid_scope", "The authorization server resource does not have any configured")),
        ({"scope": " "}, (400, "invalid_scope", "No scopes were requested.")),
        ({"scope": "okta.users.fly"}, (400, "invalid_scope", "One or more scopes are not configured")),
        ({"scope": "pets"}, (400, "invalid_scope", "Custom scopes are not allowed for this request.")),
        ({"scope": "openid"}, (400, "invalid_scope", "Cannot request 'openid' scopes using client credentials.")),
        (
            {"scope": "okta.users.read.self"},
            (400, "client_credentials_self_scope_requested", "The 'client_credentials' grant type may not request"),
        ),
        (
            {"scope": "okta.apps.read okta.policies.read"},
            (400, "consent_required", "You are not allowed any of the requested scopes."),
        ),
        (
            {"params": {"client_id": CLIENT}},
            (400, "invalid_request", "Client credentials cannot be supplied via query"),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else str(value)[:50],
)
async def test_a_wrong_form_is_refused(caller, form, expected):
    """Each mistake in the form has its own status, error and description."""
    status, error, description = refusal(await caller.ask(**form))
    assert (status, error) == expected[:2]
    assert description.startswith(expected[2])


async def test_a_name_may_come_once(caller):
    """A form that names something twice is refused."""
    content = "grant_type=client_credentials&grant_type=client_credentials"
    answer = await caller.okta.post("/oauth2/v1/token", content=content)
    assert refusal(answer) == (400, "invalid_request", "The request contained multiple parameters with the same name.")


async def test_a_get_gives_no_token(caller):
    """The endpoint takes POST only."""
    answer = await caller.okta.get("/oauth2/v1/token")
    assert (answer.status_code, answer.json()["errorCode"]) == (405, "E0000022")


@pytest.mark.parametrize(
    ("claims", "description"),
    [
        ({"iss": "0oaOther"}, "The issuer claim for client_assertion is not a valid client_id."),
        ({"iss": None}, "The issuer claim for client_assertion is not a valid client_id."),
        ({"sub": "0oaOther"}, "The subject claim for client_assertion is not a valid client_id."),
        ({"aud": TOKEN_URL + "/"}, "The audience claim for client_assertion must be the endpoint invoked for the"),
        ({"aud": "http://simulated.okta.example"}, "The audience claim for client_assertion must be the endpoint"),
        ({"exp": None}, "The client_assertion must contain the 'exp' claim as seconds since epoch."),
        ({"exp": "soon"}, "The client_assertion must contain the 'exp' claim as seconds since epoch."),
        ({"exp": NOW - 6}, "The client_assertion token is expired."),
        ({"exp": NOW + 3606}, "The client_assertion token has an expiration too far into the future."),
        ({"iat": NOW + 6}, "The client_assertion token must be issued before the current time."),
        ({"key": OTHER_KEY}, "The client_assertion signature is invalid."),
        ({"key": RSAKey.generate_key(2048), "alg": "RS256"}, "The client_assertion signature is invalid."),
        ({"kid": "nobody"}, "The client_assertion JWT kid is invalid."),
        (
            {"key": OctKey.generate_key(256), "alg": "HS256"},
            "The client_assertion JWT signature algorithm is invalid.",
        ),
        (
            {"key": RSAKey.generate_key(2048), "alg": "PS256"},
            "The client_assertion JWT signature algorithm is invalid.",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else str(value)[:50],
)
async def test_a_wrong_assertion_is_refused(caller, claims, description):
    """Whoever is not the app, not now or not for this endpoint is 401 invalid_client, with the reason."""
    status, error, told = refusal(await caller.ask(assertion=caller.assertion(**claims)))
    assert (status, error) == (401, "invalid_client")
    assert told.startswith(description)


@pytest.mark.parametrize("assertion", ["x", "a.b.c", "eyJhbGciOiJFUzI1NiJ9.bm90anNvbg.c2ln", "é.é.é"])
async def test_what_is_no_jwt_is_refused(caller, assertion):
    """An assertion that cannot be read is told so."""
    answer = await caller.ask(assertion=assertion)
    assert refusal(answer) == (401, "invalid_client", "The parsing of the client_assertion failed.")


@pytest.mark.parametrize(
    "claims",
    [{"exp": NOW - 4}, {"exp": NOW + 3604}, {"iat": NOW + 4}, {"jti": None}, {"iat": None}, {"kid": None}],
    ids=str,
)
async def test_what_okta_tolerates_is_taken(caller, claims):
    """Clocks may differ a little; jti and iat are optional, and the one key of an app needs no kid."""
    assert (await caller.ask(assertion=caller.assertion(**claims))).status_code == 200


async def test_an_assertion_is_good_once(caller):
    """An assertion is used up by the first request, even by one that failed for its scope."""
    for scope, status in (("okta.users.read", 200), ("okta.apps.read", 400)):
        assertion = caller.assertion()
        assert (await caller.ask(assertion=assertion, scope=scope)).status_code == status
        again = await caller.ask(assertion=assertion)
        assert refusal(again) == (401, "invalid_client", "The client_assertion token has already been used.")


@pytest.mark.parametrize("alg", ALGORITHMS)
async def test_six_algorithms_are_taken(alg):
    """RS and ES with 256, 384 and 512 bits all sign assertions."""
    curves = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
    key = ECKey.generate_key(curves[alg]) if alg in curves else RSAKey.generate_key(2048)
    mine = {"keys": (key.as_dict(private=False),)}
    async with in_process(settings(app=mine), clock=lambda: NOW) as (_, okta):
        caller = Caller(okta)
        answer = await caller.ask(assertion=caller.assertion(key=key, alg=alg, kid=None))
        assert answer.status_code == 200, answer.text


async def test_keys_are_rotated_by_their_ids():
    """While an app has two keys each signs under its own kid, and a kid must be named."""
    keys = tuple(key.as_dict(private=False) for key in (APP_KEY, OTHER_KEY))
    async with in_process(settings(app={"keys": keys}), clock=lambda: NOW) as (_, okta):
        caller = Caller(okta)
        assert (await caller.ask()).status_code == 200
        assert (await caller.ask(assertion=caller.assertion(key=OTHER_KEY, kid="other-key"))).status_code == 200
        nameless = await caller.ask(assertion=caller.assertion(kid=None))
    assert refusal(nameless)[2] == "The client_assertion JWT kid is invalid."


@pytest.mark.parametrize(
    ("mine", "description"),
    [
        ({"keys": ()}, "The client does not have a JWKSet configured, but the client_assertion requires one."),
        ({"active": False}, "Client authentication failed. Either the client or the client credentials are invalid."),
    ],
    ids=str,
)
async def test_an_app_that_cannot_sign_in(mine, description):
    """Without keys, or deactivated, an app gets no token."""
    async with in_process(settings(app=mine), clock=lambda: NOW) as (_, okta):
        assert refusal(await Caller(okta).ask()) == (401, "invalid_client", description)


async def test_a_token_has_what_is_granted_of_what_was_asked():
    """Scopes that nobody granted are left out without a word (seen at real orgs)."""
    async with in_process(settings(app={"scopes": ("okta.logs.read", "okta.users.read")})) as (_, okta):
        caller = Caller(okta, clock=time.time)
        answer = await caller.ask(scope="okta.groups.read okta.users.read okta.logs.read")
    assert answer.json()["scope"] == "okta.users.read okta.logs.read"


async def test_a_lost_scope_is_as_if_never_granted(caller):
    """The fault takes a scope out of new tokens, down to none."""
    await caller.okta.post("/_sim/faults", json={"lost_scope": ["okta.users.read"]})
    assert (await caller.ask(scope=BOTH)).json()["scope"] == "okta.groups.read"
    assert refusal(await caller.ask())[:2] == (400, "consent_required")


async def test_the_token_endpoint_has_a_limit_of_its_own():
    """Asking too often is 429 E0000047 and leaves the assertion unused."""
    async with in_process(settings(rate_limits={"token": 2}), clock=lambda: NOW) as (_, okta):
        caller = Caller(okta)
        first, second = await caller.ask(), await caller.ask()
        assert (first.status_code, first.headers["x-rate-limit-remaining"]) == (200, "0")
        assert (second.status_code, second.json()["errorCode"]) == (429, "E0000047")
        assert (await caller.okta.get("/_sim/calls")).json()["by_bucket"] == {"token": 2}


@pytest.mark.parametrize(
    ("fault", "status"), [({"outage": True}, 503), ({"status_500": 1}, 500), ({"status_429": 1}, 429)], ids=str
)
async def test_faults_reach_the_token_endpoint(caller, fault, status):
    """What breaks the API breaks the token endpoint too."""
    await caller.okta.post("/_sim/faults", json=fault)
    assert (await caller.ask()).status_code == status


async def test_both_names_of_an_org_are_its_audience():
    """An org that is called by another name than its own takes that one as the endpoint invoked."""
    async with in_process(settings(), clock=lambda: NOW) as (simulator, okta):
        simulator.url = "https://proxied.example"
        caller = Caller(okta)
        for audience in (TOKEN_URL, "https://proxied.example/oauth2/v1/token"):
            assert (await caller.ask(assertion=caller.assertion(aud=audience))).status_code == 200


def test_keys_are_read_from_what_people_have():
    """PEM, JWK and JWKS all hold a public key; of a private PEM only the public half is taken."""
    rsa = RSAKey.generate_key(2048)
    texts = [key.as_pem(private=private).decode() for key in (rsa, APP_KEY) for private in (False, True)]
    assert all("d" not in jwk for text in texts for jwk in public_jwks(text))
    jwk = httpx2.Response(200, json=APP_KEY.as_dict(private=False)).text
    assert public_jwks(jwk) == public_jwks(f'{{"keys": [{jwk}]}}')
    assert public_jwks(jwk)[0]["kid"] == "app-key"


@pytest.mark.parametrize("text", ["", "secret", '{"kty": "oct", "k": "c2VjcmV0"}', '{"kty": "RSA"}', '{"kty": "EC"'])
def test_what_is_no_public_key_is_refused(text):
    """Anything else is told as such, without being repeated."""
    with pytest.raises(ValueError, match=r"no RSA or EC key|a key is a JWK|cannot be read") as told:
        public_jwks(text)
    assert "secret" not in str(told.value)
    assert "c2VjcmV0" not in str(told.value)
