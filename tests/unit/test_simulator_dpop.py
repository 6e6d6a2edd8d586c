"""DPoP in the simulated org: tokens that are bound to a key, and the proofs that go with them."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from joserfc.jwk import OctKey, RSAKey

from oauth_caller import NOW, ORG, OTHER_KEY, PROOF_KEY, Caller, challenge, refusal, settings
from rosterhook.simulator import in_process
from rosterhook.simulator.auth.jose import ALGORITHMS, read

USERS = f"{ORG}/api/v1/users"


@pytest.fixture
async def caller():
    async with in_process(settings(app={"dpop": True}), clock=lambda: NOW) as (_, okta):
        yield Caller(okta)


async def test_a_bound_token_is_had_by_way_of_the_nonce(caller):
    """Without proof, then without nonce, the request is refused; with both there is a token bound to the key."""
    bare = await caller.ask()
    assert refusal(bare) == (400, "invalid_dpop_proof", "The DPoP proof JWT header is missing.")
    assert "dpop-nonce" not in bare.headers
    first = await caller.ask(proof=caller.proof())
    assert refusal(first) == (400, "use_dpop_nonce", "Authorization server requires nonce in DPoP proof.")
    caller.nonce = first.headers["dpop-nonce"]
    assert len(caller.nonce) == 32
    answer = await caller.ask(proof=caller.proof())
    assert (answer.status_code, answer.json()["token_type"]) == (200, "DPoP")
    assert answer.headers["dpop-nonce"] == caller.nonce
    assert read(answer.json()["access_token"]).claims["cnf"] == {"jkt": PROOF_KEY.thumbprint()}


async def test_the_client_is_checked_before_the_proof(caller):
    """Observed order: assertion, nonce, scope; and the assertion is used up each time."""
    assert refusal(await caller.ask(assertion=caller.assertion(exp=1)))[0] == 401
    assertion = caller.assertion()
    await caller.ask(assertion=assertion)
    again = await caller.ask(assertion=assertion, proof=caller.proof())
    assert refusal(again)[2] == "The client_assertion token has already been used."
    unproven = await caller.ask(scope="okta.apps.read", proof=caller.proof())
    assert refusal(unproven)[1] == "use_dpop_nonce"
    caller.nonce = unproven.headers["dpop-nonce"]
    assert refusal(await caller.ask(scope="okta.apps.read", proof=caller.proof()))[1] == "consent_required"


async def test_who_needs_no_proof_may_bring_one():
    """An app that isn't held to DPoP gets a bound token with a proof, and a plain one without."""
    async with in_process(settings(), clock=lambda: NOW) as (_, okta):
        caller = Caller(okta)
        assert read(await caller.token()).claims.get("cnf") is None
        assert "cnf" in read(await caller.dpop_token()).claims


@pytest.mark.parametrize("alg", ALGORITHMS[:2] + ALGORITHMS[3:4])
async def test_the_key_may_be_large(caller, alg):
    """A proof may carry an RSA key of 4,096 bits in its header, or a small one."""
    key = PROOF_KEY if alg.startswith("ES") else RSAKey.generate_key(4096)
    caller.nonce = (await caller.ask(proof=caller.proof())).headers["dpop-nonce"]
    answer = await caller.ask(proof=caller.proof(key=key, header={"alg": alg}))
    assert answer.status_code == 200, answer.text


WRONG_PROOFS = [
    ({"header": {"typ": "JWT"}}, "'typ' must be 'dpop+jwt' in the DPoP proof JWT."),
    (
        {"key": OctKey.generate_key(256), "header": {"alg": "HS256"}},
        "The DPoP proof JWT signature algorithm is invalid.",
    ),
    ({"header": {"jwk": OTHER_KEY.as_dict(private=False)}}, "The DPoP proof JWT signature is invalid."),
    ({"header": {"jwk": PROOF_KEY.as_dict(private=True)}}, "The DPoP proof JWT is invalid."),
    ({"header": {"jwk": None}}, "The DPoP proof JWT is invalid."),
    ({"header": {"jwk": {"kty": "EC"}}}, "The DPoP proof JWT is invalid."),
    ({"htm": "PUT"}, "'htm' claim in the DPoP proof JWT is invalid."),
    ({"htm": None}, "'htm' claim in the DPoP proof JWT is invalid."),
    ({"htu": "http://other.example/api/v1/users"}, "'htu' claim in the DPoP proof JWT is invalid."),
    ({"htu": ["x"]}, "'htu' claim in the DPoP proof JWT is invalid."),
    ({"htu": None}, "'htu' claim in the DPoP proof JWT is invalid."),
    ({"iat": None}, "'iat' claim in the DPoP proof JWT is invalid."),
    ({"iat": float("nan")}, "'iat' claim in the DPoP proof JWT is invalid."),
    ({"iat": "now"}, "'iat' claim in the DPoP proof JWT is invalid."),
    ({"iat": NOW + 6}, "The DPoP proof JWT is issued in the future."),
    ({"iat": NOW - 301}, "The DPoP proof JWT is issued more than five minutes in the past."),
    ({"exp": NOW - 1}, "The DPoP proof JWT is expired."),
    ({"jti": 5}, "'jti' claim in the DPoP proof JWT is invalid."),
]


@pytest.mark.parametrize(
    ("changes", "description"),
    WRONG_PROOFS,
    ids=lambda value: " ".join(value) if isinstance(value, dict) else str(value)[:50],
)
async def test_a_wrong_proof_gets_no_token(caller, changes, description):
    """Each way in which a proof can be wrong is 400 invalid_dpop_proof, with its reason."""
    caller.nonce = (await caller.ask(proof=caller.proof())).headers["dpop-nonce"]
    answer = await caller.ask(proof=caller.proof(**changes))
    assert refusal(answer) == (400, "invalid_dpop_proof", description)


@pytest.mark.parametrize(
    ("changes", "description"),
    WRONG_PROOFS,
    ids=lambda value: " ".join(value) if isinstance(value, dict) else str(value)[:50],
)
async def test_a_wrong_proof_opens_nothing(caller, changes, description):
    """The same proofs at the API: 400 without a body, all in the header."""
    token = await caller.dpop_token()
    proof = caller.proof(**{"htm": "GET", "htu": USERS, "token": token, **changes})
    answer = await caller.get("/api/v1/users", token, scheme="DPoP", proof=proof)
    assert challenge(answer) == (400, "DPoP", "invalid_dpop_proof", description)


@pytest.mark.parametrize(
    ("proof", "description"),
    [
        ("nonsense", "The DPoP proof JWT cannot be parsed."),
        ("", "The DPoP proof JWT cannot be parsed."),
        ("eyJ0eXAiOiJkcG9wK2p3dCJ9.e30.c2ln", "The DPoP proof JWT cannot be parsed."),
    ],
)
async def test_what_is_no_proof_is_refused(caller, proof, description):
    """A header that holds no JWT is told so."""
    assert refusal(await caller.ask(proof=proof)) == (400, "invalid_dpop_proof", description)


async def test_one_proof_at_a_time(caller):
    """Two DPoP headers in one request are refused."""
    headers = [("DPoP", caller.proof()), ("DPoP", caller.proof()), ("Authorization", "")]
    form = {
        "grant_type": "client_credentials", "scope": "okta.users.read", "client_assertion": caller.assertion(),
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    }  # fmt: skip
    answer = await caller.okta.post("/oauth2/v1/token", data=form, headers=headers)
    assert refusal(answer)[2] == "Multiple DPoP proof JWT headers are not allowed."


async def test_the_first_proof_may_lack_a_jti(caller):
    """Seen at real orgs: before there is a nonce no jti is asked for; afterwards it is."""
    first = await caller.ask(proof=caller.proof(jti=None))
    assert refusal(first)[1] == "use_dpop_nonce"
    caller.nonce = first.headers["dpop-nonce"]
    assert refusal(await caller.ask(proof=caller.proof(jti=None)))[2] == "'jti' claim in the DPoP proof JWT is invalid."


async def test_a_proof_is_good_once(caller):
    """The same proof again is refused, at the token endpoint and at the API."""
    proof = caller.proof()
    caller.nonce = (await caller.ask(proof=proof)).headers["dpop-nonce"]
    assert refusal(await caller.ask(proof=proof))[2] == "The DPoP proof JWT has already been used."
    token = await caller.dpop_token()
    proof = caller.proof("GET", USERS, token=token)
    assert (await caller.get("/api/v1/users", token, scheme="DPoP", proof=proof)).status_code == 200
    again = await caller.get("/api/v1/users", token, scheme="DPoP", proof=proof)
    assert challenge(again) == (400, "DPoP", "invalid_dpop_proof", "The DPoP proof JWT has already been used.")


async def test_a_nonce_is_replaced_and_good_for_a_while_longer():
    """After its time a new nonce is handed out; the old one is accepted three times as long again, then no more."""
    now = [NOW]
    async with in_process(settings(app={"dpop": True}, dpop_nonce_seconds=100), clock=lambda: now[0]) as (_, okta):
        caller = Caller(okta, clock=lambda: now[0])
        await caller.dpop_token()
        old = caller.nonce
        now[0] += 399
        answer = await caller.ask(proof=caller.proof())
        assert answer.status_code == 200
        assert answer.headers["dpop-nonce"] != old
        now[0] += 1
        late = await caller.ask(proof=caller.proof())
        assert refusal(late)[1] == "use_dpop_nonce"
        assert late.headers["dpop-nonce"] == answer.headers["dpop-nonce"]


async def test_a_nonce_of_ones_own_is_no_nonce(caller):
    """A proof with a nonce that the org never gave is asked for a right one."""
    caller.nonce = "x" * 32
    assert refusal(await caller.ask(proof=caller.proof()))[1] == "use_dpop_nonce"


async def test_a_bound_token_opens_the_api(caller):
    """With the scheme DPoP and a fresh proof for each call, query or not, the API answers; it asks for no nonce."""
    token = await caller.dpop_token()
    for path in ("/api/v1/users", "/api/v1/users?limit=1"):
        answer = await caller.get(path, token, scheme="DPoP", proof=caller.proof("GET", USERS, token=token))
        assert answer.status_code == 200, answer.headers


@pytest.mark.parametrize(
    ("url", "status"),
    [
        (f"{USERS}/zoe@example.com", 404),
        (f"{USERS}/zoe%40example.com", 400),
        (f"{USERS}/zoe@example.com?fields=id", 400),
        (f"{ORG}//api/v1/users/zoe@example.com", 400),
    ],
)
async def test_the_url_is_compared_decoded(caller, url, status):
    """The proof names the URL without query and with its path decoded, or it names another URL."""
    token = await caller.dpop_token()
    proof = caller.proof("GET", url, token=token)
    answer = await caller.get("/api/v1/users/zoe%40example.com?fields=id", token, scheme="DPoP", proof=proof)
    assert answer.status_code == status


async def test_a_bound_token_alone_opens_nothing(caller):
    """Whoever has found the token but not the key is refused in each of the ways that may be tried."""
    token = await caller.dpop_token()

    async def told(scheme: str, proof: str | None) -> tuple[int, str, str, str]:
        return challenge(await caller.get("/api/v1/users", token, scheme=scheme, proof=proof))

    needs = "The resource request requires a DPoP proof."
    assert await told("Bearer", None) == (400, "Bearer", "invalid_request", needs)
    assert await told("DPoP", None) == (400, "DPoP", "invalid_request", needs)
    right = caller.proof("GET", USERS, token=token)
    scheme = "The resource request must use the DPoP authentication scheme when using a DPoP bound token."
    assert await told("Bearer", right) == (400, "Bearer", "invalid_request", scheme)
    ath = "'ath' claim in the DPoP proof does not match the presented access_token."
    for proof in (caller.proof("GET", USERS), caller.proof("GET", USERS, token="other")):
        assert await told("DPoP", proof) == (400, "DPoP", "invalid_dpop_proof", ath)
    foreign = caller.proof("GET", USERS, token=token, key=OTHER_KEY)
    bound = "The access_token is not bound to the provided DPoP proof."
    assert await told("DPoP", foreign) == (400, "DPoP", "invalid_dpop_proof", bound)


async def test_a_plain_token_is_no_dpop_token():
    """A Bearer token under the scheme DPoP is 401."""
    async with in_process(settings(), clock=lambda: NOW) as (_, okta):
        caller = Caller(okta)
        token = await caller.token()
        proof = caller.proof("GET", USERS, token=token)
        answer = await caller.get("/api/v1/users", token, scheme="DPoP", proof=proof)
    assert challenge(answer) == (401, "DPoP", "invalid_token", "The presented access_token is not DPoP bound.")


async def test_dpop_can_be_switched_on_while_running():
    """From the moment an app is held to DPoP it gets no plain token any more."""
    async with in_process(settings(), clock=lambda: NOW) as (_, okta):
        caller = Caller(okta)
        await caller.token()
        await okta.post("/_sim/apps", json={"client_id": "0oatestapp0000000001", "dpop": True})
        assert refusal(await caller.ask())[2] == "The DPoP proof JWT header is missing."


async def test_the_challenge_reads_as_recorded(caller):
    """The header names algorithms, addresses with http://, the scope and the path without its query, in this order."""
    token = await caller.dpop_token()
    answer = await caller.get("/api/v1/users?limit=1", token, scheme="DPoP", proof="x")
    assert answer.headers["www-authenticate"] == (
        'DPoP algs="RS256 RS384 RS512 ES256 ES384 ES512", '
        'authorization_uri="http://simulated.okta.example/oauth2/v1/authorize", '
        'realm="http://simulated.okta.example", scope="okta.users.read", error="invalid_dpop_proof", '
        'error_description="The DPoP proof JWT cannot be parsed.", resource="/api/v1/users"'
    )


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(["htm", "htu", "iat", "exp", "jti", "nonce", "iss", "sub", "aud", "ath"])


@given(
    claims=st.dictionaries(NAMES, JSON, max_size=4),
    header=st.dictionaries(st.sampled_from(["jwk", "kid", "typ"]), JSON),
)
@hypothesis_settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_whatever_a_token_holds_is_answered_in_order(caller, claims, header):
    """No claim and no header, of whatever type, makes the org answer anything but a refusal or a token."""
    assertion = caller.assertion(**claims)
    proof = caller.proof(**{**claims, "header": header})
    answers = [await caller.ask(assertion=assertion, proof=proof), await caller.ask(proof=proof)]
    answers.append(await caller.get("/api/v1/users", assertion, scheme="DPoP", proof=proof))
    assert {answer.status_code for answer in answers} <= {200, 400, 401}
