"""How Okta's own SDK for Python signs in at a simulated org, and what it gets when it may not or not now.

An error without a body, which is how Okta refuses access tokens, is lost in SDK 3.4: the data and the error are both
None. Its users have to look at the answer's status, and so do these tests.
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest
from joserfc.jwk import RSAKey
from okta.errors.okta_api_error import OktaAPIError
from okta.models import CreateUserRequest, UserProfile
from okta.request_executor import RequestExecutor
from sdk import client, done, org

from rosterhook.simulator import Simulator
from rosterhook.simulator.auth.principals import App

CLIENT, KID = "0oatestapp0000000001", "app-key"
PROFILE = {"firstName": "Ada", "lastName": "Lovelace", "email": "ada@example.com", "login": "ada@example.com"}
NEW_USER = CreateUserRequest(profile=UserProfile.from_dict(PROFILE))
PROGRAM = """
import asyncio
from okta.client import Client

users, _, error = asyncio.run(Client().list_users())
print(*(user.profile.login for user in users or [error]))
"""
READ, MANAGE, LOGS = "okta.users.read", "okta.users.manage", "okta.logs.read"


@functools.cache
def key(kid: str) -> RSAKey:
    """A key pair; the SDK takes RSA alone."""
    return RSAKey.generate_key(2048, {"kid": kid})


def app(**changes: Any) -> App:
    """The app that the tests are."""
    public = (key(KID).as_dict(private=False),)
    return App(**{"client_id": CLIENT, "keys": public, "scopes": (READ, MANAGE, LOGS), **changes})


def signing_in(scopes: tuple[str, ...] = (READ, MANAGE), **changes: Any) -> dict[str, Any]:
    """The SDK's configuration for that app."""
    config = {"clientId": CLIENT, "scopes": list(scopes), "privateKey": key(KID).as_pem(private=True).decode()}
    return {"authorizationMode": "PrivateKey", "token": "", **config, **changes}


async def refused(call: Any) -> tuple[int, str, str]:
    """The status, code and summary with which the SDK comes back."""
    with pytest.raises(OktaAPIError) as error:
        await done(call)
    return error.value.status, error.value.error_code, error.value.error_summary


async def silently_refused(call: Any) -> tuple[int, str]:
    """The status of an answer without a body, and what its WWW-Authenticate has."""
    data, answer, error = await call
    assert (data, error, answer.raw_data) == (None, None, b"")
    return answer.status_code, answer.headers["WWW-Authenticate"]


async def test_a_program_needs_an_address_a_token_and_whom_to_trust():
    """The SDK as it is, in a process of its own, with nothing but three variables of the environment."""
    async with org(users=2) as (simulator, _):
        environment = {
            "OKTA_CLIENT_ORGURL": simulator.url,
            "OKTA_CLIENT_TOKEN": simulator.settings.token,
            "SSL_CERT_FILE": str(simulator.ca_file),
        }
        program = await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, env=environment, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await program.communicate()
        logins = [user["profile"]["login"] for user in simulator.truth("")["users"]]
    assert said.decode().split() == logins


@pytest.mark.parametrize("form", ["pem", "jwk", "jwk as text"])
async def test_an_app_signs_in_with_its_private_key(form):
    """With PEM, a JWK and a JWK as text the SDK gets one token, and all its calls go with that."""
    private = key(KID).as_dict(private=True)
    forms = {"pem": key(KID).as_pem(private=True).decode(), "jwk": private, "jwk as text": json.dumps(private)}
    async with (
        org(apps=(app(),), users=3) as (simulator, _),
        client(simulator, **signing_in(privateKey=forms[form])) as okta,
    ):
        assert len(await done(okta.list_users())) == 3
        user = await done(okta.create_user(NEW_USER))
        assert (await done(okta.get_user(user.id))).profile.login == "ada@example.com"
        asked = simulator.calls_by_bucket["token"]
    assert asked == 1


@pytest.mark.parametrize(
    ("config", "answer"),
    [
        ({"privateKey": "other key"}, "The client_assertion signature is invalid."),
        ({"privateKey": "other key", "kid": "nobody's"}, "The client_assertion JWT kid is invalid."),
        ({"clientId": "0oanobody"}, "The issuer claim for client_assertion is not a valid client_id."),
    ],
    ids=["key", "kid", "client"],
)
async def test_an_app_that_proves_nothing_gets_no_token(config, answer):
    """401 invalid_client in Okta's words, and no call goes out without a token."""
    if "privateKey" in config:
        config = {**config, "privateKey": key("other").as_pem(private=True).decode()}
    async with org(apps=(app(),)) as (simulator, _), client(simulator, **signing_in(**config)) as okta:
        assert await refused(okta.list_users()) == (401, "invalid_client", answer)
        assert simulator.calls_by_bucket["users"] == 0


async def test_one_of_several_keys_is_told_by_its_kid():
    """With two keys a PEM needs the SDK's `kid`, as a JWK has it by itself."""
    keys = tuple(key(kid).as_dict(private=False) for kid in (KID, "other"))
    async with org(apps=(app(keys=keys),)) as (simulator, _):
        for config, good in (({}, False), ({"kid": KID}, True), ({"privateKey": key(KID).as_dict(private=True)}, True)):
            async with client(simulator, **signing_in(**config)) as okta:
                data, _, error = await okta.list_users()
                assert (data is not None, error is None) == (good, good)


async def test_a_token_has_the_scopes_that_are_granted():
    """Of the scopes asked for the granted ones are enough for a token; without any of them there is none."""
    async with org(apps=(app(scopes=(READ,)),), users=2) as (simulator, _):
        async with client(simulator, **signing_in((READ, "okta.groups.read"))) as okta:
            assert len(await done(okta.list_users())) == 2
            status, why = await silently_refused(okta.list_groups())
            assert status == 403
            assert 'error="insufficient_scope"' in why
            assert 'scope="okta.groups.read"' in why
        async with client(simulator, **signing_in(("okta.groups.read",))) as okta:
            assert (await refused(okta.list_users()))[:2] == (400, "consent_required")


async def test_reading_is_not_writing():
    """An app with the scope to read gets 403 without a body for a new user, and there is none."""
    async with org(apps=(app(),)) as (simulator, _), client(simulator, **signing_in((READ,))) as okta:
        status, why = await silently_refused(okta.create_user(NEW_USER))
        assert simulator.truth("")["users"] == []
    assert status == 403
    assert why.startswith("Bearer ")
    assert 'error_description="The access token provided does not contain the required scopes."' in why


async def test_tokens_end():
    """A revoked token is 401 without a body; an SDK that knows of the end asks for a new one before."""
    async with org(apps=(app(),), token_seconds=200) as (simulator, _), client(simulator, **signing_in()) as okta:
        for calls in (1, 2, 3):
            # The SDK renews five minutes before the end that the token endpoint tells: here, each time.
            await done(okta.list_users())
            assert simulator.calls_by_bucket["token"] == calls
    async with org(apps=(app(),)) as (simulator, _), client(simulator, **signing_in()) as okta:
        await done(okta.list_users())
        simulator.faults.merge({"revoke_tokens": True})
        status, why = await silently_refused(okta.list_users())
    assert status == 401
    assert 'error="invalid_token"' in why


async def test_dpop_binds_the_token():
    """The nonce, the bound token and a proof for each call: reads with a query, writes, and the log.

    A login in the path is refused, as at Okta (okta-sdk-python#541): the proof has %40 where the org sees @.
    """
    config = signing_in((READ, MANAGE, LOGS), dpopEnabled=True)
    async with org(apps=(app(dpop=True),), users=2) as (simulator, _), client(simulator, **config) as okta:
        assert len(await done(okta.list_users(search="profile.login pr", limit=5))) == 2
        user = await done(okta.create_user(NEW_USER))
        await done(okta.deactivate_user(user.id))
        events = await done(okta.list_log_events(filter=f'target.id eq "{user.id}"'))
        status, why = await silently_refused(okta.get_user("ada@example.com"))
        asked = simulator.calls_by_bucket["token"]
    assert [event.event_type for event in events][-1] == "user.lifecycle.deactivate"
    assert asked == 2
    assert status == 400
    assert "'htu' claim in the DPoP proof JWT is invalid." in why


async def test_an_app_with_dpop_refuses_who_does_not_use_it():
    """400 invalid_dpop_proof, as recorded from a real org."""
    async with org(apps=(app(dpop=True),)) as (simulator, _), client(simulator, **signing_in()) as okta:
        answer = await refused(okta.list_users())
    assert answer == (400, "invalid_dpop_proof", "The DPoP proof JWT header is missing.")


async def test_an_app_without_a_role_sees_nothing():
    """Empty lists and 404; 403 E0000006 where the org is set so, and for all that isn't a list."""
    for roleless, answer in (("empty", None), ("forbidden", (403, "E0000006"))):
        async with org(apps=(app(role="none"),), users=2, roleless=roleless) as (simulator, _):
            somebody = simulator.truth("")["users"][0]["id"]
            async with client(simulator, **signing_in((READ, MANAGE, LOGS))) as okta:
                if answer is None:
                    assert await done(okta.list_users()) == []
                    assert (await refused(okta.get_user(somebody)))[:2] == (404, "E0000007")
                else:
                    assert (await refused(okta.list_users()))[:2] == answer
                assert (await refused(okta.create_user(NEW_USER)))[:2] == (403, "E0000006")
                assert (await refused(okta.list_log_events()))[:2] == (403, "E0000006")


async def test_api_tokens_have_the_role_of_their_admin():
    """A read-only token reads, and gets 403 E0000006 for a write; a revoked or unknown one 401 E0000011."""
    async with org(users=2) as (simulator, _):
        tokens = simulator.access.principals
        made = tokens.add_token("read_only")
        async with client(simulator, token=made.value) as okta:
            assert len(await done(okta.list_users())) == 2
            assert (await refused(okta.create_user(NEW_USER)))[:2] == (403, "E0000006")
            tokens.remove_token(made.id)
            assert await refused(okta.list_users()) == (401, "E0000011", "Invalid token provided")
        async with client(simulator, token="nobody's") as okta:
            assert await refused(okta.list_users()) == (401, "E0000011", "Invalid token provided")


def waiting(
    simulator: Simulator, then: Callable[[], object] = lambda: None
) -> tuple[type[RequestExecutor], list[float]]:
    """An SDK's executor that lets the org's time pass instead of waiting, and how long it would have waited."""
    pauses: list[float] = []

    class Waiting(RequestExecutor):
        async def pause_for_backoff(self, backoff_time: float) -> None:
            pauses.append(backoff_time)
            ahead = simulator.faults.plan.clock_skew_seconds
            simulator.faults.merge({"clock_skew_seconds": ahead + backoff_time})
            then()

    return Waiting, pauses


async def test_every_answer_tells_what_is_left():
    """The caller's half of the limit, one less at each call, and the end of the window; a refusal tells 0."""
    async with org(rate_multiplier=1, rate_limits={"users": 4}) as (simulator, _):
        async with client(simulator, rateLimit={"maxRetries": 0}) as okta:
            answers = [(await okta.list_users())[1].headers for _ in range(3)]
        now = int(simulator.clock())
    told = [{name.lower(): value for name, value in headers.items()} for headers in answers]
    left = [(each["x-rate-limit-limit"], each["x-rate-limit-remaining"]) for each in told]
    assert left == [("2", "1"), ("2", "0"), ("2", "0")]
    assert {int(each["x-rate-limit-reset"]) - now for each in told} <= set(range(30, 62))
    assert len({each["x-okta-request-id"] for each in told}) == 3


async def test_the_sdk_waits_until_the_limit_is_over():
    """With three calls a minute ten come through: each pause, from Date and X-Rate-Limit-Reset, is just long enough."""
    async with org(rate_multiplier=1, rate_limits={"users": 6}, users=1) as (simulator, _):
        executor, pauses = waiting(simulator)
        async with client(simulator, requestExecutor=executor) as okta:
            for _ in range(10):
                assert len(await done(okta.list_users())) == 1
        refusals = simulator.calls_by_status["429"]
    assert refusals == len(pauses) == 3
    assert all(0 < pause <= 62 for pause in pauses)


async def test_the_sdk_gives_up_on_a_limit_that_does_not_end():
    """After two more tries it comes back with 429 E0000047."""
    async with org() as (simulator, _):
        executor, pauses = waiting(simulator)
        simulator.faults.merge({"status_429": 1.0})
        async with client(simulator, requestExecutor=executor) as okta:
            assert (await refused(okta.list_users()))[:2] == (429, "E0000047")
        assert simulator.calls_by_status["429"] == 3
    assert len(pauses) == 2


async def test_too_many_calls_at_a_time_are_tried_again():
    """A concurrency 429, whose limit and remaining are 0, has a reset that the SDK can go by."""
    async with org() as (simulator, _):
        executor, pauses = waiting(simulator, then=lambda: simulator.faults.merge({"concurrency_429": 0.0}))
        simulator.faults.merge({"concurrency_429": 1.0})
        async with client(simulator, requestExecutor=executor) as okta:
            assert await done(okta.list_users()) == []
    assert len(pauses) == 1
    assert 0 < pauses[0] < 5


async def test_what_is_okta_s_own_trouble_is_told():
    """503 E0000010 after two more tries, and 500 E0000009 at once."""
    async with org() as (simulator, okta):
        simulator.faults.merge({"outage": True})
        assert (await refused(okta.list_users()))[:2] == (503, "E0000010")
        assert simulator.calls_by_status["503"] == 3
        simulator.faults.merge({"outage": False, "status_500": 1.0})
        assert (await refused(okta.list_users()))[:2] == (500, "E0000009")
        assert simulator.calls_by_status["500"] == 1
