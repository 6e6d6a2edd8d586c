"""Who may do what in the simulated org: tokens, scopes, roles, and what faults take away."""

from __future__ import annotations

import json

import pytest
from joserfc.jwk import ECKey

from oauth_caller import APP_KEY, CLIENT, NOW, Caller, challenge, refusal, settings
from rosterhook.simulator import Settings, in_process
from rosterhook.simulator.auth.access import Access
from rosterhook.simulator.auth.access_tokens import Unusable

FORBIDDEN = "You do not have permission to perform the requested action"
PERSON = {"profile": {"firstName": "A", "lastName": "B", "email": "a@example.com", "login": "a@example.com"}}
ALL = "okta.users.read okta.users.manage okta.groups.read okta.logs.read okta.eventHooks.manage"


@pytest.fixture
async def org():
    async with in_process(settings(app={"scopes": tuple(ALL.split())}), clock=lambda: NOW) as (_, okta):
        yield okta


@pytest.fixture
def caller(org):
    return Caller(org)


async def ssws(okta, role: str) -> dict[str, str]:
    """The header with a new API token of this role."""
    made = (await okta.post("/_sim/tokens", json={"role": role})).json()
    return {"Authorization": f"SSWS {made['token']}"}


def assert_forbidden(answer) -> None:
    assert answer.status_code == 403
    body = answer.json()
    assert (body["errorCode"], body["errorSummary"], body["errorCauses"]) == ("E0000006", FORBIDDEN, [])
    assert "www-authenticate" not in answer.headers


async def test_without_credentials_there_is_no_session(org):
    """A call that doesn't say who makes it is 403 E0000005."""
    answer = await org.get("/api/v1/users", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()["errorCode"]) == (403, "E0000005")
    assert answer.json()["errorSummary"] == "Invalid session"


async def test_tokens_come_and_go(org):
    """A new API token opens the API until it is revoked; lists never show a value."""
    made = (await org.post("/_sim/tokens", json={})).json()
    headers = {"Authorization": f"SSWS {made['token']}"}
    assert (await org.get("/api/v1/users", headers=headers)).status_code == 200
    shown = (await org.get("/_sim/tokens")).json()
    assert {"id": made["id"], "role": "super"} in shown
    assert all(set(each) == {"id", "role"} for each in shown)
    assert (await org.delete(f"/_sim/tokens/{made['id']}")).status_code == 204
    assert (await org.delete(f"/_sim/tokens/{made['id']}")).status_code == 404
    assert (await org.get("/api/v1/users", headers=headers)).status_code == 401


async def test_read_only_reads_and_changes_nothing(org):
    """A Read-only Admin may read users, and neither change them nor see event hooks."""
    headers = await ssws(org, "read_only")
    listed = await org.get("/api/v1/users", headers=headers)
    assert len(listed.json()) == 2
    path = f"/api/v1/users/{listed.json()[0]['id']}"
    assert (await org.get(path, headers=headers)).status_code == 200
    assert_forbidden(await org.post("/api/v1/users", json=PERSON, headers=headers))
    assert_forbidden(await org.delete(path, headers=headers))
    assert_forbidden(await org.post(f"{path}/lifecycle/suspend", headers=headers))
    assert_forbidden(await org.get("/api/v1/eventHooks", headers=headers))


async def test_without_a_role_the_org_looks_empty(org):
    """Lists are empty 200s, a user by id is 404, and changes and the log are forbidden: no list proves an absence."""
    headers = await ssws(org, "none")
    user = (await org.get("/api/v1/users")).json()[0]["id"]
    for path in ("/api/v1/users", "/api/v1/users?search=id pr", "/api/v1/groups"):
        answer = await org.get(path, headers=headers)
        assert (answer.status_code, answer.json()) == (200, [])
        assert list(answer.links) == ["self"]
    hidden = await org.get(f"/api/v1/users/{user}", headers=headers)
    assert hidden.status_code == 404
    assert hidden.json()["errorSummary"] == f"Not found: Resource not found: {user} (User)"
    assert_forbidden(await org.post("/api/v1/users", json=PERSON, headers=headers))
    assert_forbidden(await org.get("/api/v1/logs", headers=headers))


async def test_without_a_role_lists_can_be_forbidden_too():
    """The other answer that was seen at real orgs: 403 for lists as well."""
    async with in_process(Settings(users=1, roleless="forbidden")) as (_, org):
        headers = await ssws(org, "none")
        assert_forbidden(await org.get("/api/v1/users", headers=headers))


async def test_a_lost_role_is_lost_for_everybody_until_it_is_back(org):
    """The fault turns every caller into one without a role."""
    await org.post("/_sim/faults", json={"lost_role": True})
    assert (await org.get("/api/v1/users")).json() == []
    await org.delete("/_sim/faults")
    assert len((await org.get("/api/v1/users")).json()) == 2


async def test_unknown_paths_are_no_question_of_rights(org):
    """What doesn't exist is 404 and a wrong method 405, whoever asks."""
    headers = await ssws(org, "none")
    assert (await org.get("/api/v1/nothing", headers=headers)).status_code == 404
    assert (await org.delete("/api/v1/users", headers=headers)).status_code == 405


async def test_a_missing_scope_is_told_in_the_header_alone(caller):
    """403 without a body; the header names the scope and the path, with http:// as recorded."""
    token = await caller.token(scope="okta.users.read")
    answer = await caller.get("/api/v1/logs?limit=1", token)
    assert (answer.status_code, answer.content) == (403, b"")
    assert answer.headers["www-authenticate"] == (
        'Bearer authorization_uri="http://simulated.okta.example/oauth2/v1/authorize", '
        'realm="http://simulated.okta.example", scope="okta.logs.read", error="insufficient_scope", '
        'error_description="The access token provided does not contain the required scopes.", resource="/api/v1/logs"'
    )


async def test_managing_includes_reading(caller):
    """okta.users.manage reads users; okta.users.read doesn't change them."""
    manage, read = await caller.token(scope="okta.users.manage"), await caller.token(scope="okta.users.read")
    assert (await caller.get("/api/v1/users", manage)).status_code == 200
    made = await caller.okta.post("/api/v1/users", json=PERSON, headers={"Authorization": f"Bearer {read}"})
    assert challenge(made)[:3] == (403, "Bearer", "insufficient_scope")


async def test_a_scope_without_a_role_is_not_enough(caller):
    """An app needs both: with the scope but only a reader's role it may not create users."""
    token = await caller.token(scope="okta.users.manage")
    await caller.okta.post("/_sim/apps", json={"client_id": CLIENT, "role": "read_only"})
    assert (await caller.get("/api/v1/users", token)).status_code == 200
    made = await caller.okta.post("/api/v1/users", json=PERSON, headers={"Authorization": f"Bearer {token}"})
    assert_forbidden(made)


async def test_a_lost_scope_closes_what_it_opened(caller):
    """The fault works on tokens that exist, and ends with it."""
    token = await caller.token(scope="okta.users.read okta.logs.read")
    await caller.okta.post("/_sim/faults", json={"lost_scope": "okta.users.read okta.groups.read"})
    assert challenge(await caller.get("/api/v1/users", token))[2] == "insufficient_scope"
    await caller.okta.delete("/_sim/faults")
    assert (await caller.get("/api/v1/users", token)).status_code == 200


async def test_a_token_expires():
    """From its last second on a token is 401 "The token has expired.", without a body."""
    now = [NOW]
    async with in_process(settings(token_seconds=60), clock=lambda: now[0]) as (_, okta):
        caller = Caller(okta)
        answer = await caller.ask()
        assert answer.json()["expires_in"] == 60
        token = answer.json()["access_token"]
        now[0] += 59
        assert (await caller.get("/api/v1/users", token)).status_code == 200
        now[0] += 1
        late = challenge(await caller.get("/api/v1/users", token))
    assert late == (401, "Bearer", "invalid_token", "The token has expired.")


async def test_all_tokens_can_be_revoked_at_once(caller):
    """The fault ends the tokens of that moment, once: the next one is good."""
    token = await caller.token()
    plan = (await caller.okta.post("/_sim/faults", json={"revoke_tokens": True})).json()
    assert "revoke_tokens" not in plan
    told = challenge(await caller.get("/api/v1/users", token))
    assert told == (401, "Bearer", "invalid_token", "The access token has been revoked.")
    assert (await caller.get("/api/v1/users", await caller.token())).status_code == 200


@pytest.mark.parametrize("token", ["x", "", "a.b.c", "sim-token", "é"])
async def test_what_is_no_token_is_invalid(caller, token):
    """Garbage as an access token is 401 with a challenge and no body."""
    answer = await caller.okta.get("/api/v1/users", headers=[(b"Authorization", f"Bearer {token}".encode("latin-1"))])
    assert challenge(answer) == (401, "Bearer", "invalid_token", "The access token is invalid.")


async def test_a_token_that_the_org_did_not_sign_is_invalid(caller):
    """A JWT by the app's own key, with all the right claims, opens nothing."""
    await caller.token()
    forged = caller.assertion(scp=["okta.users.read"], cid=CLIENT)
    assert challenge(await caller.get("/api/v1/users", forged))[3] == "The access token is invalid."


async def test_an_apps_end_is_its_tokens_end(caller):
    """Deactivated or deleted, an app's tokens are invalid at once."""
    token = await caller.token()
    await caller.okta.post("/_sim/apps", json={"client_id": CLIENT, "active": False})
    assert challenge(await caller.get("/api/v1/users", token))[0] == 401
    await caller.okta.post("/_sim/apps", json={"client_id": CLIENT, "active": True})
    assert (await caller.get("/api/v1/users", token)).status_code == 200
    assert (await caller.okta.delete(f"/_sim/apps/{CLIENT}")).status_code == 204
    assert (await caller.okta.delete(f"/_sim/apps/{CLIENT}")).status_code == 404
    assert challenge(await caller.get("/api/v1/users", token))[0] == 401
    assert refusal(await caller.ask())[1] == "invalid_client"


async def test_a_newcomer_gets_an_app_in_one_call(org):
    """`generate` makes the keys and shows the private one once; the app can ask for tokens with it at once."""
    made = (await org.post("/_sim/apps", json={"generate": True, "scopes": "okta.users.read"})).json()
    key = ECKey.import_key(made["private_key_pem"])
    assert made["private_key_jwk"]["d"]
    shown = (await org.get("/_sim/apps")).json()
    assert made["client_id"] in [each["client_id"] for each in shown]
    assert "private" not in json.dumps(shown)
    assert all("d" not in jwk for each in shown for jwk in each["keys"])
    caller = Caller(org)
    client = {"iss": made["client_id"], "sub": made["client_id"]}
    token = await caller.token(assertion=caller.assertion(key=key, kid=made["keys"][0]["kid"], **client))
    assert (await caller.get("/api/v1/users", token)).status_code == 200


async def test_a_scope_can_be_granted_while_running(caller):
    """A new grant shows in the next token; what isn't named stays as it is."""
    assert refusal(await caller.ask(scope="okta.apps.read"))[1] == "consent_required"
    body = {"client_id": CLIENT, "scopes": ["okta.apps.read"]}
    changed = (await caller.okta.post("/_sim/apps", json=body)).json()
    assert (changed["scopes"], changed["role"]) == (["okta.apps.read"], "super")
    assert (await caller.ask(scope="okta.apps.read")).status_code == 200


@pytest.mark.parametrize(
    ("path", "body", "reason"),
    [
        ("apps", {"role": "king"}, "no such role: king; there are super"),
        ("apps", {"scopes": "okta.users.fly"}, "no such scope: okta.users.fly"),
        ("apps", {"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}, 'a key is a JWK with "kty"'),
        ("apps", {"keys": [APP_KEY.as_dict(private=True)]}, "this JWK is a private key"),
        ("apps", {"keys": 5}, "keys is a PEM"),
        ("apps", {"dpop": "yes"}, "dpop is true or false"),
        ("apps", {"colour": "red"}, "an app has no colour; it has"),
        ("tokens", {"role": "king"}, "no such role"),
        ("tokens", {"name": "x"}, "no such key: name"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else str(value)[:50],
)
async def test_an_impossible_caller_is_refused(org, path, body, reason):
    """What an app or a token can't have is 400 with the reason, and never repeats a key."""
    answer = await org.post(f"/_sim/{path}", json=body)
    assert (answer.status_code, answer.json()["error"][: len(reason)]) == (400, reason)
    assert "c2VjcmV0" not in answer.text
    assert APP_KEY.as_dict(private=True)["d"] not in answer.text


async def test_the_orgs_clock_can_be_wrong(caller):
    """With a skew the org dates its answers so, and judges assertions by that clock."""
    await caller.okta.post("/_sim/faults", json={"clock_skew_seconds": 19800})
    answer = await caller.ask()
    assert refusal(answer)[2] == "The client_assertion token is expired."
    assert answer.headers["date"] == "Fri, 15 Jan 2027 13:30:00 GMT"
    caller.clock = lambda: NOW + 19800
    assert (await caller.get("/api/v1/users", await caller.token())).status_code == 200
    await caller.okta.delete("/_sim/faults")
    assert (await caller.ask()).status_code == 401


async def test_a_restart_knows_every_caller(caller):
    """What is dumped makes an org that knows tokens, apps, nonces, and what was used up."""
    async with in_process(settings(app={"dpop": True}), clock=lambda: NOW) as (simulator, okta):
        caller = Caller(okta)
        token = await caller.dpop_token()
        made = (await okta.post("/_sim/tokens", json={"role": "none"})).json()
        held = json.loads(json.dumps(simulator.access.dump()))
        assert held == simulator.access.dump()
    again = Access(Settings(seed=2, token="other"), lambda: NOW)
    again.load(held)
    assert again.dump()["access_tokens"] == held["access_tokens"]
    assert again.access_tokens.read(token).client_id == CLIENT
    assert again.principals.app(CLIENT) == simulator.access.principals.app(CLIENT)
    assert {value: again.principals.token(value) is not None for value in (made["token"], "other", "sim-token")} == {
        made["token"]: True, "other": True, "sim-token": True,
    }  # fmt: skip
    assert again.nonces.accepts(caller.nonce)
    assert not again.assertions.used.first(next(iter(held["assertions"])), 0)
    assert not again.proofs.used.first(next(iter(held["proofs"])), 0)


def test_a_foreign_org_knows_no_token():
    """Another org's key signs other tokens."""
    one, other = (Access(Settings(), lambda: NOW) for _ in range(2))
    token = one.access_tokens.issue(CLIENT, ["okta.users.read"], "http://one.example", None)
    with pytest.raises(Unusable, match="invalid"):
        other.access_tokens.read(token)
    assert "sim-token" not in repr(one.principals.tokens)
