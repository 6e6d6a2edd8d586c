"""The simulated org's login against recorded answers, Okta's API description and Okta's own Python SDK."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
import yaml
from joserfc.jwk import RSAKey
from okta.client import Client
from openapi import DESCRIPTION, Description

from oauth_caller import CLIENT, Caller, app, settings
from rosterhook.simulator import in_process, running

SAMPLES = Path(__file__).parents[3] / "shared" / "data" / "samples"
MISSING = SAMPLES / "sdk-python__TestDPoPBackwardCompatibility.test_private_key_auth_without_dpop.yaml"
BOUND = SAMPLES / "sdk-python__TestDPoPIntegration.test_dpop_api_request.yaml"

recorded_only = pytest.mark.skipif(not BOUND.exists(), reason=f"no recorded exchanges in {SAMPLES}")
described_only = pytest.mark.skipif(not DESCRIPTION.exists(), reason=f"Okta's API description is not at {DESCRIPTION}")

#: What Okta's web servers and browsers' consoles add; no client of the API reads them.
UNREAD = {
    "accept-ch", "connection", "content-security-policy", "p3p", "referrer-policy", "server", "set-cookie",
    "strict-transport-security", "transfer-encoding", "x-content-type-options", "x-xss-protection",
}  # fmt: skip


def recorded(path: Path, number: int) -> dict[str, Any]:
    """One recorded answer."""
    return dict(yaml.safe_load(path.read_text("utf-8"))["interactions"][number]["response"])


def assert_same(ours: httpx2.Response, theirs: dict[str, Any], *, varying: tuple[str, ...] = ()) -> None:
    """Status, body and headers are the recorded ones."""
    assert ours.status_code == theirs["status"]["code"]
    body, wanted = ours.json(), json.loads(theirs["body"]["string"])
    assert {**body, **{name: wanted[name] for name in varying}} == wanted
    names = {name.lower() for name in theirs["headers"]} - UNREAD
    assert names <= set(ours.headers), names - set(ours.headers)
    for name in ("cache-control", "pragma", "expires", "x-rate-limit-limit", "content-type"):
        told = {key.lower(): value for key, value in theirs["headers"].items()}[name]
        assert [ours.headers[name]] == told, name
    assert ("dpop-nonce" in ours.headers) == ("dpop-nonce" in names)


@recorded_only
async def test_the_dpop_dance_reads_as_recorded():
    """The missing proof, the missing nonce and the bound token are answered as a real org did, header by header."""
    scopes = "okta.users.read okta.apps.read okta.groups.read"
    async with in_process(settings(app={"dpop": True, "scopes": tuple(scopes.split())})) as (_, okta):
        caller = Caller(okta, clock=time.time)
        bare = await caller.ask(scope=scopes)
        first = await caller.ask(scope=scopes, proof=caller.proof())
        caller.nonce = first.headers["dpop-nonce"]
        good = await caller.ask(scope=scopes, proof=caller.proof())
    assert_same(bare, recorded(MISSING, 0))
    assert_same(first, recorded(BOUND, 0))
    assert_same(good, recorded(BOUND, 1), varying=("access_token",))
    spent = [int(each.headers["x-rate-limit-remaining"]) for each in (first, good)]
    assert spent[0] - spent[1] == 1


@described_only
async def test_refusals_for_a_role_are_as_described():
    """403 without the role, and 404 and the empty list without any, have the form of Okta's description."""
    description = Description()
    async with in_process(settings()) as (_, okta):
        users = {role: {"Authorization": f"SSWS {await token(okta, role)}"} for role in ("none", "read_only")}
        path = (await okta.get("/api/v1/users")).json()[0]["id"]
        changed = await okta.post(f"/api/v1/users/{path}", json={}, headers=users["read_only"])
        hidden = await okta.get(f"/api/v1/users/{path}", headers=users["none"])
        listed = await okta.get("/api/v1/users", headers=users["none"])
    assert [answer.status_code for answer in (changed, hidden, listed)] == [403, 404, 200]
    assert description.complaints(changed, "/api/v1/users/{id}") == []
    assert description.complaints(hidden, "/api/v1/users/{id}") == []
    assert description.complaints(listed, "/api/v1/users") == []


async def token(okta: httpx2.AsyncClient, role: str) -> str:
    return str((await okta.post("/_sim/tokens", json={"role": role})).json()["token"])


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("dpop", [False, True])
async def test_oktas_own_sdk_logs_in(monkeypatch, dpop):
    """Okta's SDK, which shares no code with this project, gets a token and lists users, with DPoP and without."""
    monkeypatch.setenv("OKTA_TESTING_TESTINGDISABLEHTTPSCHECK", "true")
    key = RSAKey.generate_key(2048)
    mine = app(keys=(key.as_dict(private=False),), dpop=dpop, scopes=("okta.users.read",))
    async with running(settings(apps=(mine,), users=3)) as simulator:
        config = {
            "orgUrl": simulator.url, "authorizationMode": "PrivateKey", "clientId": CLIENT, "dpopEnabled": dpop,
            "scopes": ["okta.users.read"], "privateKey": key.as_pem(private=True).decode(),
        }  # fmt: skip
        users, _, error = await Client(config).list_users()
        asked = simulator.calls_by_bucket["token"]
    assert error is None
    assert len(users) == 3
    assert asked == (2 if dpop else 1)
