"""Calls that are no read of users: event hooks, a user by login, a changed profile; and which of them are repeated."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest
from okta_org import ORG, USER, Org, limited, ok, raising

from rosterhook.errors import OktaError, OktaForbidden, OktaNotFound, OktaRateLimited, OktaUnavailable
from rosterhook.okta.event_hooks import EventHooks

HOOK = {"id": "who1", "status": "ACTIVE", "verificationStatus": "UNVERIFIED"}
BODY = {"name": "rosterhook", "events": {"type": "EVENT_TYPE", "items": []}, "channel": {"type": "HTTP"}}
Call = Callable[[EventHooks], Awaitable[Any]]

CALLS: list[tuple[Call, str, str, Any]] = [
    (lambda hooks: hooks.get("who1"), "GET", "/who1", None),
    (lambda hooks: hooks.create(BODY), "POST", "", BODY),
    (lambda hooks: hooks.replace("who1", BODY), "PUT", "/who1", BODY),
    (lambda hooks: hooks.activate("who1"), "POST", "/who1/lifecycle/activate", None),
    (lambda hooks: hooks.deactivate("who1"), "POST", "/who1/lifecycle/deactivate", None),
    (lambda hooks: hooks.verify("who1"), "POST", "/who1/lifecycle/verify", None),
]
every_call = pytest.mark.parametrize(
    ("call", "method", "path", "body"), CALLS, ids=[f"{m} {p}" for _, m, p, _ in CALLS]
)


@every_call
async def test_each_call_is_the_one_of_okta(call: Call, method: str, path: str, body: Any) -> None:
    """Method, path and body are those of Okta's API description; the answer comes back as it is."""
    org = Org(ok(HOOK))
    assert await call(EventHooks(org.client)) == HOOK
    [request] = org.requests
    assert (request.method, str(request.url)) == (method, f"{ORG}/api/v1/eventHooks{path}")
    assert request.headers["content-type"] == "application/json"
    assert (json.loads(request.content) if request.content else None) == body
    if method != "GET" and body is None:
        # Else Okta answers 411. (Its documentation of errors.)
        assert request.headers["content-length"] == "0"


async def test_deleting_has_no_answer() -> None:
    """204 without a body is success."""
    org = Org(httpx2.Response(204))
    await EventHooks(org.client).delete("who1")
    assert (org.requests[0].method, org.requests[0].url.path) == ("DELETE", "/api/v1/eventHooks/who1")


async def test_the_list_is_read_to_its_end() -> None:
    """Should Okta page the list, every page is read."""
    first = ok([HOOK], f'<{ORG}/api/v1/eventHooks?after=x>; rel="next"')
    assert await EventHooks(Org(first, ok([{"id": "who2"}])).client).list() == [HOOK, {"id": "who2"}]


@pytest.mark.parametrize("answer", [{}, [1], "text", None])
async def test_a_list_that_is_none_is_refused(answer: Any) -> None:
    """What is no list of hooks never passes for an org without hooks."""
    with pytest.raises(OktaError, match="no list"):
        await EventHooks(Org(ok(answer)).client).list()


async def test_an_answer_that_is_no_hook_is_refused() -> None:
    """What is no object never passes as a hook."""
    with pytest.raises(OktaError, match="no event hook"):
        await EventHooks(Org(ok([HOOK])).client).get("who1")


async def test_a_hook_that_is_gone_is_not_found() -> None:
    """Okta's own word that this hook does not exist (as recorded) is told apart from a wrong address."""
    body = {"errorCode": "E0000007", "errorSummary": "Not found: Resource not found: who1 (Webhook)"}
    with pytest.raises(OktaNotFound):
        await EventHooks(Org(httpx2.Response(404, json=body)).client).get("who1")
    with pytest.raises(OktaError) as caught:
        await EventHooks(Org(httpx2.Response(404, content=b"<html>")).client).get("who1")
    assert not isinstance(caught.value, OktaNotFound)


async def test_the_cause_that_okta_names_is_in_the_error() -> None:
    """What Okta saw when it verified the hook is what the operator reads."""
    causes = [{"errorSummary": "Invalid response received from the endpoint"}]
    body = {"errorCode": "E0000001", "errorSummary": "Api validation failed: verify", "errorCauses": causes}
    with pytest.raises(OktaError, match="Invalid response received from the endpoint") as caught:
        await EventHooks(Org(httpx2.Response(400, json=body)).client).verify("who1")
    assert (caught.value.code, caught.value.status) == ("E0000001", 400)
    assert "POST /api/v1/eventHooks/who1/lifecycle/verify" in caught.value.message


async def test_an_id_is_one_segment_of_the_path() -> None:
    """Whatever is given as an id, it cannot lead to another part of the API."""
    org = Org(ok(HOOK))
    await EventHooks(org.client).get("../users")
    assert org.requests[0].url.raw_path == b"/api/v1/eventHooks/..%2Fusers"


@every_call
async def test_what_was_not_carried_out_is_repeated(call: Call, method: str, path: str, body: Any) -> None:
    """After a 429 Okta has done nothing: any method is sent again, with the same body."""
    org = Org(limited(), ok(HOOK))
    assert await call(EventHooks(org.client)) == HOOK
    assert [request.method for request in org.requests] == [method, method]
    assert org.requests[0].content == org.requests[1].content
    assert org.requests[1].headers["x-okta-retry-for"] == "req-1"


@every_call
@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx2.Response(500), OktaUnavailable),
        (raising(httpx2.ReadTimeout("late")), OktaUnavailable),
        (httpx2.Response(403, json={"errorCode": "E0000006"}), OktaForbidden),
        (httpx2.Response(302, headers={"location": "https://evil.example.com"}), OktaError),
    ],
    ids=["500", "timeout", "403", "302"],
)
async def test_what_may_have_been_carried_out_is_not_repeated(
    call: Call, method: str, path: str, body: Any, answer: Any, kind: type[OktaError]
) -> None:
    """A hook is never made twice: whatever but a 429 comes, the call is sent once."""
    org = Org(answer)
    with pytest.raises(kind):
        await call(EventHooks(org.client))
    assert len(org.requests) == 1


async def test_calls_count_in_a_bucket_of_their_own() -> None:
    """Event hooks spend nothing of the limits for users."""
    org = Org(limited())
    with pytest.raises(OktaRateLimited):
        await EventHooks(org.client).verify("who1")
    assert org.budget.free("other") == 0
    assert org.budget.free("user") > 0
    assert org.budget.free("users") > 0


async def test_a_user_is_found_by_login() -> None:
    """The login is one segment of the path, and letters count in any case."""
    org = Org(ok(USER))
    assert await org.client.find_user("Ann@Example.com") == USER
    assert str(org.requests[0].url) == f"{ORG}/api/v1/users/Ann@Example.com"


@pytest.mark.parametrize("login", ["me", "00u1", "ann"])
async def test_another_user_than_that_login_is_refused(login: str) -> None:
    """Okta also answers to ids, short names and "me": who has not this login is not used, and not shown."""
    with pytest.raises(OktaError, match="another user") as caught:
        await Org(ok(USER)).client.find_user(login)
    assert "ann@example.com" not in str(caught.value)


async def test_a_login_that_nobody_has_is_not_found() -> None:
    """Okta's own word about this login is OktaNotFound, and the message does not show the login."""
    body = {"errorCode": "E0000007", "errorSummary": "Not found: Resource not found: bob@example.com (User)"}
    with pytest.raises(OktaNotFound) as caught:
        await Org(httpx2.Response(404, json=body)).client.find_user("bob@example.com")
    assert "bob" not in str(caught.value)


async def test_a_profile_is_changed_in_part() -> None:
    """Only what is named is sent, as POST, which leaves the other attributes alone."""
    org = Org(ok(USER))
    assert await org.client.update_profile("00u1", {"nickName": "x", "title": None}) == USER
    [request] = org.requests
    assert (request.method, str(request.url)) == ("POST", f"{ORG}/api/v1/users/00u1")
    assert json.loads(request.content) == {"profile": {"nickName": "x", "title": None}}
