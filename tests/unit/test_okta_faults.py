"""What an answer without success becomes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosterhook.errors import (
    OktaError,
    OktaForbidden,
    OktaNotFound,
    OktaRateLimited,
    OktaUnauthorized,
    OktaUnavailable,
)
from rosterhook.okta.cures import TRY_AGAIN, Login, cure
from rosterhook.okta.faults import fault

WHAT = "GET /api/v1/users/00u1"
HTML = b"<html><title>ann@example.com is not found</title></html>"


def of(status: int, body: Any = None, user_id: str = "00u1", **headers: str) -> OktaError:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return fault(WHAT, status, {"content-type": "application/json", **headers}, content, user_id=user_id)


def okta(code: str, summary: str = "Something", causes: Any = ()) -> dict[str, Any]:
    return {"errorCode": code, "errorSummary": summary, "errorCauses": causes, "errorId": "oae1"}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "E0000001", OktaError),
        (400, "E0000031", OktaError),
        (401, "E0000004", OktaUnauthorized),
        (401, "E0000011", OktaUnauthorized),
        (401, "E0000015", OktaForbidden),
        (403, "E0000005", OktaUnauthorized),
        (403, "E0000006", OktaForbidden),
        (403, "E0000038", OktaForbidden),
        (404, "E0000007", OktaNotFound),
        (405, "E0000022", OktaError),
        (429, "E0000047", OktaRateLimited),
        (500, "E0000009", OktaUnavailable),
        (501, "E0000060", OktaUnavailable),
        (503, "E0000010", OktaUnavailable),
        (599, "E9999999", OktaUnavailable),
        (418, "E9999999", OktaError),
    ],
)
def test_each_code_has_its_kind(status: int, code: str, kind: type[OktaError]) -> None:
    """Okta's code and status decide which of our errors it is; known codes bring their cure."""
    error = of(status, okta(code))
    assert type(error) is kind
    assert (error.status, error.code) == (status, code)
    assert error.hint == (cure([code], what=WHAT, login=None) or (TRY_AGAIN if status >= 500 else ""))


@pytest.mark.parametrize(
    "body",
    [
        okta("E0000008", "The requested path was not found"),
        {"status": 404, "message": "Resource not found"},
        {"errorCode": 7},
        okta("E0000007", "Not found: Resource not found: other (Org)"),
        okta("E0000007", "Not found: Resource not found: 00u2 (User)"),
        HTML,
        b"",
        [],
        None,
    ],
)
def test_a_weaker_404_deletes_nobody(body: Any) -> None:
    """A 404 of a proxy, of a wrong address, or about something else never says that the user is gone."""
    error = of(404, body)
    assert type(error) is OktaError
    assert "org_url" in error.hint


def test_a_404_of_a_list_deletes_nobody() -> None:
    """Without a user in the question, no answer is about a user."""
    assert type(of(404, okta("E0000007", "Not found"), user_id="")) is OktaError


def test_only_the_code_of_a_404_is_needed() -> None:
    """Okta's words are no contract: a 404 with its code and other words still says that the user is gone."""
    assert type(of(404, okta("E0000007", "Nicht gefunden"))) is OktaNotFound


def test_a_success_with_the_code_of_not_found_deletes_nobody() -> None:
    """The code alone, with another status, is not Okta's word that somebody is gone."""
    assert type(of(400, okta("E0000007"))) is OktaError


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_about_org_url(status: int) -> None:
    """A redirect is an error whose cure is the right address."""
    error = of(status, b"")
    assert type(error) is OktaError
    assert "okta.org_url" in error.hint


@pytest.mark.parametrize(
    ("body", "code", "kind"),
    [
        ({"error": "invalid_client", "error_description": "Used already."}, "invalid_client", OktaUnauthorized),
        ({"error": "insufficient_scope"}, "insufficient_scope", OktaForbidden),
    ],
)
def test_errors_in_the_shape_of_oauth_are_understood(body: Any, code: str, kind: type[OktaError]) -> None:
    """The other shape of Okta's errors has a code and a cure as well."""
    error = of(401, body)
    assert type(error) is kind
    assert error.code == code
    assert error.hint == cure([code], what=WHAT, login=None) != ""


@pytest.mark.parametrize(
    ("code", "login", "says", "says_not"),
    [
        ("E0000006", "token", "Give the token's admin a role that may read all users", "the app"),
        ("E0000006", "service_app", "Give the app a role that may read all users", "token"),
        ("E0000006", None, "As a service app: give the app a role", "event hook"),
        ("E0000011", "token", "The token is wrong, revoked, unused for 30 days", "okta.client_id"),
        ("E0000011", "service_app", "Check okta.client_id", "token"),
        ("E0000004", None, "With an API token: make a new one", "event hook"),
    ],
)
def test_a_cure_is_for_the_login_that_is_used(code: str, login: Login, says: str, says_not: str) -> None:
    """Who uses a token reads nothing about service apps, and the other way round; where it is not known, both."""
    hint = fault(WHAT, 403, {}, json.dumps(okta(code)).encode(), login=login).hint
    assert says in hint
    assert says_not not in hint


@pytest.mark.parametrize(
    ("what", "role"),
    [
        ("GET /api/v1/eventHooks", "Super Administrator, or a custom role with the event hook permissions"),
        ("POST /api/v1/eventHooks/who1/lifecycle/verify", "Super Administrator"),
        ("GET /api/v1/users", "Read-only Administrator"),
        ("POST /api/v1/users/00u1", "may edit this user"),
    ],
)
def test_a_missing_role_is_that_of_the_call(what: str, role: str) -> None:
    """Okta's E0000006 tells of a missing role: the one for this call is named, and no scope, which has other words."""
    hint = fault(what, 403, {}, json.dumps(okta("E0000006")).encode(), login="service_app").hint
    assert role in hint
    assert "scope" not in hint.lower()


@pytest.mark.parametrize(
    ("named", "told"),
    [
        ("okta.eventHooks.manage", "Grant the app okta.eventHooks.manage: Applications > the app > Okta API Scopes."),
        ("okta.a.read okta.a.manage", "Grant the app okta.a.read or okta.a.manage: "),
        ("", "Grant the app the scope that this call needs: "),
        ("<script>", "Grant the app the scope that this call needs: "),
    ],
)
def test_a_missing_scope_is_the_one_that_okta_names(named: str, told: str) -> None:
    """Okta tells in `WWW-Authenticate` which scope a call needs, with an empty body; that one is in the cure."""
    challenge = f'Bearer realm="http://x", scope="{named}", error="insufficient_scope", error_description="Why."'
    error = fault("POST /api/v1/eventHooks", 403, {"www-authenticate": challenge}, b"", login="service_app")
    assert type(error) is OktaForbidden
    assert error.hint.startswith(told)


@pytest.mark.parametrize("causes", [[{"errorSummary": "The reason"}], {"errorSummary": "The reason"}])
def test_causes_may_be_a_list_or_an_object(causes: Any) -> None:
    """What Okta gives as the cause is in the message, in both shapes that it has."""
    assert "The reason" in str(of(400, okta("E0000001", "Api validation failed", causes)))


def test_a_message_names_the_request_the_status_and_the_request_id() -> None:
    """Whoever reads an error can ask Okta's support about it."""
    error = of(403, okta("E0000006", "No permission."), **{"x-okta-request-id": "YHcZrC3z-AAA_I"})
    assert error.message == (
        f"Okta answered 403 to {WHAT}: E0000006 No permission (X-Okta-Request-Id: YHcZrC3z-AAA_I)."
    )
    assert error.request_id == "YHcZrC3z-AAA_I"


def test_a_login_is_not_in_a_message() -> None:
    """Okta repeats a login in some errors: it is taken out, also from the cause."""
    error = of(400, okta("E0000001", "login: ann@example.com", [{"errorSummary": "bob+x@example.com exists"}]))
    assert "@" not in str(error)
    assert "[redacted] exists" in str(error)


def test_the_page_of_a_proxy_is_not_quoted() -> None:
    """A body that is not Okta's is told by its size and type alone."""
    error = of(403, HTML, **{"content-type": "text/html; charset=utf-8"})
    assert "text/html" in str(error)
    assert "ann" not in str(error)
    assert "proxy" in error.hint


def test_a_request_id_that_is_none_is_left_out() -> None:
    """What a header claims to be is not printed unless it looks like it."""
    assert of(500, b"", **{"x-okta-request-id": "a b\x1b[31m"}).request_id == ""


@given(status=st.integers(300, 599), body=st.binary(max_size=60), name=st.text(max_size=20))
def test_no_answer_breaks_it(status: int, body: bytes, name: str) -> None:
    """Whatever the body is, it becomes one of our errors, on one printable line."""
    error = fault(WHAT, status, {"content-type": name}, body, user_id="00u1")
    assert not isinstance(error, OktaNotFound)
    assert str(error).isprintable()


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
_KEYS = ["errorCode", "errorSummary", "errorCauses", "error", "error_description"]


@given(status=st.integers(300, 599), body=st.dictionaries(st.sampled_from(_KEYS), _JSON))
def test_no_shape_of_an_error_breaks_it(status: int, body: dict[str, Any]) -> None:
    """Every key may hold anything."""
    error = of(status, body)
    assert not isinstance(error, OktaNotFound)
    assert str(error).isprintable()
