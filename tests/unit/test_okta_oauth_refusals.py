"""Why Okta gave no token: each known reason has a cure of its own, and unknown words a general one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from httpx2 import Headers
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import RSAKey
from okta_app import NOW, App, date

from rosterhook.errors import OktaError, OktaForbidden, OktaRateLimited, OktaUnauthorized, OktaUnavailable
from rosterhook.okta.refusals import refusal
from rosterhook.okta.wire import Answer

SCOPES = ["okta.users.read", "okta.logs.read"]


def of(error: str, why: str = "", *, status: int = 401, ahead: float | None = 0) -> OktaError:
    body = f'{{"error":"{error}","error_description":"{why}"}}'.encode()
    headers = {} if ahead is None else {"date": date(NOW - ahead)}
    return refusal("POST /oauth2/v1/token", Answer(status, Headers(headers), body), SCOPES, NOW)


@pytest.mark.parametrize(
    ("why", "cure"),
    [
        ("The client_assertion signature is invalid.", "okta.private_key is not of this app"),
        ("The client_assertion JWT kid is invalid.", "okta.key_id"),
        ("The client_assertion JWT signature algorithm is invalid.", "okta.algorithm"),
        ("The client does not have a JWKSet configured, but the client_assertion requires one.", "save the public key"),
        ("The issuer claim for client_assertion is not a valid client_id.", "okta.client_id"),
        ("The subject claim for client_assertion is not a valid client_id.", "okta.org_url is the org of the app"),
        ("Invalid value for 'client_id' parameter.", "okta.client_id"),
        ("Client authentication failed. Either the client or the client credentials are invalid.", "active"),
        (
            "Client Credentials requests to the Org Authorization Server must use the private_key_jwt"
            " token_endpoint_auth_method.",
            "Public key / Private key",
        ),
        (
            "Only clients with 'application_type' of 'service' may use the client_credentials 'grant_type' with the"
            " Org Authorization Server.",
            "API Services",
        ),
        ("The audience claim for client_assertion must be the endpoint invoked for the request.", "okta.org_url"),
        ("The client_assertion token has already been used.", "twice"),
        ("The client_assertion token is expired.", "clock"),
        ("The client_assertion token must be issued before the current time.", "clock"),
        ("Something that Okta never said before.", "okta.client_id"),
        ("", "okta.client_id"),
    ],
)
def test_each_known_reason_has_its_cure(why: str, cure: str) -> None:
    """Okta's own words decide what to look at; without known words there is still something to look at."""
    error = of("invalid_client", why)
    assert type(error) is OktaUnauthorized
    assert cure in error.hint
    assert error.code == "invalid_client"


@pytest.mark.parametrize(
    ("ahead", "said"), [(420, "420 s ahead of Okta's"), (-3600, "3600 s behind Okta's"), (61, "61 s ahead")]
)
@pytest.mark.parametrize(
    ("error", "why"),
    [
        ("invalid_client", "The client_assertion token is expired."),
        ("invalid_client", "New words."),
        ("invalid_dpop_proof", "The DPoP proof JWT is issued in the future."),
    ],
)
def test_a_clock_that_is_off_is_told_with_its_seconds(ahead: float, said: str, error: str, why: str) -> None:
    """When this machine's clock and Okta's differ by more than a minute, the hint says by how much and which way."""
    assert said in of(error, why, ahead=ahead).hint
    assert "NTP" in of(error, why, ahead=ahead).hint


@pytest.mark.parametrize("ahead", [0, 60, -60, None])
def test_a_clock_that_is_right_is_not_blamed(ahead: float | None) -> None:
    """Within a minute, or when Okta does not tell the time, no seconds are claimed."""
    assert " s ahead" not in of("invalid_client", "New words.", ahead=ahead).hint
    assert "clock" not in of("invalid_client", "New words.", ahead=ahead).hint


def test_a_wrong_key_is_not_hidden_behind_a_clock() -> None:
    """What Okta names for sure counts more than a clock that is off as well."""
    assert "okta.private_key" in of("invalid_client", "The client_assertion signature is invalid.", ahead=900).hint


@pytest.mark.parametrize(
    ("error", "why", "status"),
    [
        ("invalid_scope", "One or more scopes are not configured for the authorization server resource.", 400),
        ("invalid_scope", "", 400),
        ("consent_required", "You are not allowed any of the requested scopes.", 400),
        ("access_denied", "Policy evaluation succeeded, but all the requested scopes were rejected.", 400),
    ],
)
def test_a_scope_that_was_not_granted_is_named_with_its_page(error: str, why: str, status: int) -> None:
    """The hint names what was asked for, and where to grant it."""
    refused = of(error, why, status=status)
    assert type(refused) is OktaForbidden
    assert refused.hint == "Grant the app okta.users.read and okta.logs.read: Applications > the app > Okta API Scopes."


@pytest.mark.parametrize(
    ("error", "why", "cure"),
    [
        ("access_denied", "The request is made from outside the client's permitted network zones.", "network zones"),
        ("access_denied", "Policy evaluation failed for this request.", "System Log"),
        ("unauthorized_client", "The client is not authorized to use the provided grant type.", "API Services"),
        ("invalid_dpop_proof", "'htu' claim in the DPoP proof JWT is invalid.", "okta.org_url"),
    ],
)
def test_other_refusals_say_where_to_look(error: str, why: str, cure: str) -> None:
    """A policy, a network zone and a wrong kind of app are told apart."""
    assert cure in of(error, why, status=400).hint


async def test_a_wrong_key_is_told_when_it_logs_in() -> None:
    """An app that knows another key: the real refusal, through the client."""
    app = App()
    app.key = RSAKey.generate_key(2048)
    with pytest.raises(OktaUnauthorized, match="is not of this app"):
        await app.client.user("00u1")
    await app.aclose()


async def test_a_slow_clock_is_told_when_it_logs_in() -> None:
    """An assertion that has expired before it arrived: the hint tells the seconds."""
    app = App()
    app.wall = NOW - 1200
    with pytest.raises(OktaUnauthorized, match="1200 s behind"):
        await app.client.user("00u1")
    await app.aclose()


async def test_a_scope_that_is_missing_is_told_when_it_logs_in() -> None:
    """An app without the scope: OktaForbidden, which names it."""
    app = App()
    app.granted = set()
    with pytest.raises(OktaForbidden, match=r"Grant the app okta\.users\.read"):
        await app.client.user("00u1")
    await app.aclose()


_JSON: Any = st.none() | st.integers() | st.text(max_size=12) | st.lists(st.text(max_size=3), max_size=2)


@settings(deadline=None)
@given(
    status=st.integers(201, 599),
    headers=st.dictionaries(st.sampled_from(["date", "www-authenticate"]), st.text("\"=, Zabc:1'", max_size=20)),
    body=st.binary(max_size=40) | st.dictionaries(st.sampled_from(["error", "error_description", "errorCode"]), _JSON),
)
def test_no_answer_breaks_it(status: int, headers: dict[str, str], body: Any) -> None:
    """Whatever comes, it becomes one of the four errors that are no fault of a user, on one printable line."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    error = refusal("POST /oauth2/v1/token", Answer(status, Headers(headers), content), SCOPES, NOW)
    assert isinstance(error, OktaUnauthorized | OktaForbidden | OktaRateLimited | OktaUnavailable)
    assert str(error).isprintable()
