"""OktaClient: what it asks, what it believes, and what it refuses."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx2
import pytest
from okta_org import ORG, TOKEN, USER, Org, limited, ok, pages, raising
from pydantic import SecretStr

from rosterhook.errors import (
    ConfigError,
    OktaError,
    OktaForbidden,
    OktaNotFound,
    OktaRateLimited,
    OktaUnauthorized,
    OktaUnavailable,
)
from rosterhook.okta import client as client_module
from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.budget import BUCKETS, Budget
from rosterhook.okta.client import OktaClient

GONE = {"errorCode": "E0000007", "errorSummary": "Not found: Resource not found: 00u1 (User)"}


async def test_user_is_asked_by_id_with_the_token_and_the_hint() -> None:
    """A read by id carries the token, a name of our own, and the hint that spares Okta work."""
    org = Org(ok(USER))
    assert await org.client.user("00u1") == USER
    [request] = org.requests
    assert str(request.url) == f"{ORG}/api/v1/users/00u1"
    assert request.headers["authorization"] == f"SSWS {TOKEN}"
    assert request.headers["user-agent"].startswith("rosterhook/")
    assert request.headers["accept"] == "application/json"
    for word in ("omitCredentials", "omitCredentialsLinks", "omitTransitioningToStatus"):
        assert word in request.headers["content-type"]


@pytest.mark.parametrize("asked", ["me", "ann@example.com", "00U1"])
async def test_another_user_in_the_answer_is_refused(asked: str) -> None:
    """Okta answers to logins and "me" as well: whoever was not asked for by id is not used."""
    with pytest.raises(OktaError) as caught:
        await Org(ok(USER)).client.user(asked)
    assert type(caught.value) is OktaError
    assert "ann@example.com" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "path"), [("a/b?c#d", b"/api/v1/users/a%2Fb%3Fc%23d"), ("a b%2F", b"/api/v1/users/a%20b%252F")]
)
async def test_a_strange_id_is_one_segment_of_the_path(asked: str, path: bytes) -> None:
    """Whatever an event calls an id, it cannot lead to another part of the API."""
    org = Org(ok({"id": asked}))
    await org.client.user(asked)
    assert org.requests[0].url.raw_path == path


@pytest.mark.parametrize("asked", ["", ".", "..", "\ud800"])
async def test_an_id_that_no_path_can_name_is_not_asked(asked: str) -> None:
    """An id that would become the list of all users, or no text at all, is refused before any call."""
    org = Org(ok(USER))
    with pytest.raises(OktaError):
        await org.client.user(asked)
    assert org.requests == []


async def test_only_oktas_own_not_found_says_that_a_user_is_gone() -> None:
    """A 404 with E0000007 about this user is OktaNotFound."""
    with pytest.raises(OktaNotFound):
        await Org(httpx2.Response(404, json=GONE)).client.user("00u1")


@pytest.mark.parametrize("body", [[], "text", None, [USER]])
async def test_an_answer_that_is_no_object_is_refused(body: Any) -> None:
    """JSON that is no user never passes as one."""
    with pytest.raises(OktaError, match="no user"):
        await Org(ok(body)).client.user("00u1")


async def test_a_429_waits_as_okta_asks_and_tries_again() -> None:
    """The wait is Reset - Date + 1 s by Okta's clock, and the repeat names the request it repeats."""
    org = Org(limited(left=20), ok(USER))
    assert await org.client.user("00u1") == USER
    assert sum(org.waits) == pytest.approx(21.0)
    assert "x-okta-retry-for" not in org.requests[0].headers
    assert org.requests[1].headers["x-okta-retry-for"] == "req-1"
    assert org.requests[1].headers["x-okta-retry-count"] == "1"


async def test_changing_a_user_has_a_limit_of_its_own() -> None:
    """Okta counts writes of users apart, so here too they spend nothing of the other limits."""
    org = Org(limited())
    with pytest.raises(OktaRateLimited):
        await org.client.update_profile("00u1", {"nickName": "x"})
    assert org.budget.free("user_write") == 0
    assert all(org.budget.free(bucket) > 0 for bucket in BUCKETS)


async def test_the_hint_that_spares_okta_work_is_for_reads_of_users_alone() -> None:
    """Hooks are read, and users changed, as plain JSON."""
    org = Org(ok([]), ok(USER), ok([USER]))
    await org.client.list_all("/api/v1/eventHooks")
    await org.client.update_profile("00u1", {"nickName": "x"})
    await org.client.users(["00u10000000000000001"])
    *plain, hinted = (request.headers["content-type"] for request in org.requests)
    assert plain == ["application/json"] * 2
    assert "omitCredentials" in hinted


async def test_after_two_repeats_a_429_is_an_error() -> None:
    """A call is sent three times at most; then the caller is told."""
    org = Org(limited())
    with pytest.raises(OktaRateLimited) as caught:
        await org.client.user("00u1")
    assert len(org.requests) == 3
    assert caught.value.request_id == "req-1"


async def test_too_many_calls_at_a_time_halve_the_calls_at_a_time() -> None:
    """A 429 with limit 0 is about parallel calls: fewer run from then on."""
    org = Org(limited(limit=0), ok(USER))
    await org.client.user("00u1")
    assert org.budget.parallel == 5
    assert org.waits
    assert all(wait > 0 for wait in org.waits)


async def test_a_call_that_was_cancelled_gives_its_place_back() -> None:
    """A cancelled read blocks nobody."""
    started = asyncio.Event()

    def answer(_request: httpx2.Request) -> httpx2.Response:
        started.set()
        raise asyncio.CancelledError

    org = Org(answer)
    for _ in range(20):
        with pytest.raises(asyncio.CancelledError):
            await org.client.user("00u1")
    assert org.budget.free("user") == 5


@pytest.mark.parametrize(
    "error",
    [
        httpx2.ConnectError("All connection attempts failed"),
        httpx2.ReadTimeout("late"),
        httpx2.PoolTimeout("late"),
        httpx2.RemoteProtocolError("peer closed connection without sending complete message body"),
        httpx2.DecodingError("bad gzip"),
        TimeoutError(),
    ],
)
async def test_no_answer_is_unavailable_at_once(error: Exception) -> None:
    """A call without an answer is not repeated here: its row in the store is due again."""
    org = Org(raising(error))
    with pytest.raises(OktaUnavailable, match="/api/v1/users/00u1"):
        await org.client.user("00u1")
    assert len(org.requests) == 1


@pytest.mark.parametrize(
    "body", [b"", b'{"id": "00u1"', b"<html>", b"\xff", b"[" * 100_000, b'{"id":NaN}', b'{"id":1e999}']
)
async def test_an_answer_that_is_no_whole_json_is_unavailable(body: bytes) -> None:
    """A body that was cut off, or is no JSON, never passes as an answer."""
    with pytest.raises(OktaUnavailable, match="no whole JSON"):
        await Org(httpx2.Response(200, content=body)).client.user("00u1")


async def test_half_of_a_surrogate_pair_does_not_cost_the_page() -> None:
    """JSON can say half a character, though UTF-8 cannot: the page is read, the odd user as Okta has it."""
    page = b'[{"id":"00u1","profile":{"lastName":"\\ud83d"}},{"id":"00u2","profile":{"lastName":"B"}}]'
    page_read = await Org(httpx2.Response(200, content=page)).client.user_page("/api/v1/users")
    assert [row["profile"]["lastName"] for row in page_read.rows] == ["\ud83d", "B"]


async def test_an_answer_that_is_too_large_is_not_kept_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading stops at the cap, also when the body does not tell its length."""
    monkeypatch.setattr(client_module, "MAX_BODY_BYTES", 1024 * 1024)
    sent = 0

    async def large() -> Any:
        nonlocal sent
        while sent < 100:
            sent += 1
            yield b" " * 65536

    with pytest.raises(OktaError, match="larger than 1 MiB"):
        await Org(httpx2.Response(200, content=large())).client.user("00u1")
    assert sent == 17


async def test_an_answer_that_drips_is_cut_off() -> None:
    """The timeout is for the whole answer, not for each piece of it."""

    async def stuck() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    org = Org(httpx2.Response(200, content=stuck()))
    org.client._timeout = 0.01
    with pytest.raises(OktaUnavailable, match="did not answer"):
        await org.client.user("00u1")


async def test_a_redirect_is_not_followed() -> None:
    """A redirect says that org_url is wrong; the token does not follow it."""
    org = Org(httpx2.Response(302, headers={"location": "https://evil.example.com/"}))
    with pytest.raises(OktaError, match=r"okta\.org_url"):
        await org.client.user("00u1")
    assert len(org.requests) == 1


async def test_cookies_of_okta_are_not_sent_back() -> None:
    """A session that Okta opens is never used: the token alone says who asks."""
    org = Org(ok(USER, **{"set-cookie": "sid=abc; Path=/"}))
    await org.client.user("00u1")
    await org.client.user("00u1")
    assert "cookie" not in org.requests[1].headers


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable meant for other programs cannot send the token elsewhere."""
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    client = OktaClient(ORG, SswsAuth(SecretStr(TOKEN)), Budget(1.0), timeout_seconds=5.0)
    assert client._http._mounts == {}
    await client.aclose()


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"errorCode": "E0000011", "errorSummary": "Invalid token provided"}, OktaUnauthorized),
        (403, {"errorCode": "E0000006", "errorSummary": "You do not have permission"}, OktaForbidden),
        (503, {"errorCode": "E0000010", "errorSummary": "Read only"}, OktaUnavailable),
    ],
)
async def test_errors_of_okta_become_ours(status: int, body: dict[str, str], kind: type[OktaError]) -> None:
    """The kind of an error, its code and Okta's request id reach the caller; the token does not."""
    answer = httpx2.Response(status, json=body, headers={"x-okta-request-id": "req-7"})
    with pytest.raises(kind) as caught:
        await pages(Org(answer))
    assert (caught.value.status, caught.value.code) == (status, body["errorCode"])
    assert caught.value.request_id == "req-7"
    assert TOKEN not in str(caught.value)


async def test_check_is_one_cheap_call() -> None:
    """check() reads one user and tells whether anybody can be seen, without telling whom."""
    org = Org(ok([USER], **{"x-okta-request-id": "req-1"}))
    found = await org.client.check()
    assert found == {"org_url": ORG, "request_id": "req-1", "sees_users": True, "clock_skew_seconds": None}
    assert dict(org.requests[0].url.params) == {"limit": "1"}
    assert "ann@example.com" not in json.dumps(found)


async def test_check_tells_an_empty_list_from_users() -> None:
    """A token that sees nobody is told apart: a role may be missing."""
    assert (await Org(ok([])).client.check())["sees_users"] is False


async def test_the_token_is_never_printed() -> None:
    """Neither the client nor its auth shows the token."""
    org = Org(ok(USER))
    assert TOKEN not in f"{org.client!r} {org.client._auth!r} {vars(org.client)!r} {vars(org.client._auth)!r}"


@pytest.mark.parametrize("token", ["", "two words", "line\n", "tö"])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    """A broken token is refused before a library can quote it in an error."""
    with pytest.raises(ConfigError) as caught:
        SswsAuth(SecretStr(token))
    assert not token or token not in str(caught.value)


async def test_aclose_closes_the_connections() -> None:
    """After aclose nothing is sent any more."""
    org = Org(ok(USER))
    await org.client.aclose()
    with pytest.raises(RuntimeError):
        await org.client.user("00u1")
