"""Our client before `emulate`, a fake of Okta that others wrote: users and groups, as somebody else reads the API.

Where emulate is not like Okta, the client must still give a right result or an error that was foreseen.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any, NamedTuple

import httpx2
import pytest
from pydantic import SecretStr

from rosterhook.errors import OktaError, OktaNotFound, OktaUnauthorized
from rosterhook.okta.auth import SswsAuth
from rosterhook.okta.budget import Budget
from rosterhook.okta.client import OktaClient
from rosterhook.okta.event_hooks import EventHooks
from servers import emulate_server

_numbers = itertools.count(1)


class Nobody(SswsAuth):
    """A caller who proves nothing."""

    async def headers(self, method: str, url: str) -> dict[str, str]:
        return {}


@pytest.fixture(scope="module")
def emulate() -> Iterator[str]:
    """The address of a running emulate."""
    with emulate_server() as url:
        yield url


@pytest.fixture
async def okta(emulate: str) -> AsyncIterator[OktaClient]:
    """Our client, with a token that emulate knows."""
    client = client_of(emulate, SswsAuth(SecretStr("test_token_admin")))
    yield client
    await client.aclose()


def client_of(url: str, auth: SswsAuth) -> OktaClient:
    return OktaClient(url, auth, Budget(1.0), timeout_seconds=10.0)


async def created(okta: OktaClient, **more: Any) -> dict[str, Any]:
    """A user that nobody else has."""
    login = f"user{next(_numbers)}@example.com"
    profile = {"firstName": "Zoë", "lastName": "O'Connor", "login": login, "email": login, **more}
    user: dict[str, Any] = await okta.request("POST", "/api/v1/users", {"profile": profile})
    return user


async def test_every_page_of_users_is_read(okta):
    """The client goes from page to page by the Link header, until there is no next, and nobody comes twice."""
    users = [await created(okta) for _ in range(65)]
    pages = [page async for page in okta.list_users()]
    ids = [user["id"] for page in pages for user in page]
    assert len(pages) > 2
    assert len(ids) == len(set(ids))
    assert {user["id"] for user in users} <= set(ids)


async def test_a_user_is_read_by_id_and_by_login(okta):
    """Both ways lead to the user as it was made."""
    user = await created(okta)
    assert await okta.user(user["id"]) == await okta.find_user(user["profile"]["login"]) == user
    assert user["status"] == "ACTIVE"


async def test_who_is_unknown_is_not_found(okta):
    """A 404 with Okta's code says that there is no such user, whatever its words."""
    for asked in (okta.user("00uNobody"), okta.find_user("nobody@example.com")):
        with pytest.raises(OktaNotFound) as caught:
            await asked
        assert (caught.value.status, caught.value.code) == (404, "E0000007")


async def test_a_user_is_changed(okta):
    """A profile's update comes back and stays, a made-up attribute that emulate drops included."""
    user = await created(okta)
    changed = await okta.update_profile(user["id"], {"firstName": "Zoé", "costCenter": "R&D"})
    assert changed == await okta.user(user["id"])
    assert changed["profile"] == {**user["profile"], "firstName": "Zoé"}


async def test_a_user_leaves(okta):
    """Suspended, deactivated by the first DELETE, gone with the second: each is seen by the next read."""
    user = await created(okta)
    path = f"/api/v1/users/{user['id']}"
    seen = []
    for method, step in (("POST", "/lifecycle/suspend"), ("POST", "/lifecycle/unsuspend"), ("DELETE", "")):
        await okta.request(method, path + step, about=user["id"])
        seen.append((await okta.user(user["id"]))["status"])
    assert seen == ["SUSPENDED", "ACTIVE", "DEPROVISIONED"]
    left = [row["id"] async for page in okta.list_users(filter='status eq "DEPROVISIONED"') for row in page]
    assert user["id"] in left
    assert await okta.request("DELETE", path, about=user["id"]) is None
    with pytest.raises(OktaNotFound):
        await okta.user(user["id"])
    with pytest.raises(OktaNotFound):
        await okta.request("DELETE", path, about=user["id"])


async def test_a_refused_user_is_an_error_with_oktas_code(okta):
    """A login that is taken, and a profile without one, are errors with a code; never a wrong user."""
    user = await created(okta)
    for profile in (user["profile"], {"firstName": "A"}):
        with pytest.raises(OktaError) as caught:
            await okta.request("POST", "/api/v1/users", {"profile": profile})
        assert (caught.value.status, caught.value.code) == (400, "E0000001")
        assert user["profile"]["login"] not in str(caught.value)


async def test_memberships_are_read(okta):
    """The groups of a user and the users of a group are lists that the client reads whole."""
    user, name = await created(okta), f"group{next(_numbers)}"
    group = await okta.request("POST", "/api/v1/groups", {"profile": {"name": name}})
    member = f"/api/v1/groups/{group['id']}/users/{user['id']}"
    assert await okta.request("PUT", member) is None
    assert group in await okta.list_all("/api/v1/groups")
    assert [row["profile"]["name"] for row in await okta.list_all(f"/api/v1/users/{user['id']}/groups")] == [name]
    assert await okta.list_all(f"/api/v1/groups/{group['id']}/users") == [user]
    assert await okta.request("DELETE", member) is None
    assert await okta.list_all(f"/api/v1/groups/{group['id']}/users") == []


async def test_a_search_that_is_not_understood_finds_nobody_wrong(okta):
    """emulate takes a search for words: of many ids none is found, so that each is read by id; nobody else comes."""
    users = [await created(okta) for _ in range(3)]
    assert await okta.users([user["id"] for user in users]) == {}
    assert await okta.users([]) == {}


async def test_what_emulate_lacks_is_an_error(okta):
    """The log and event hooks answer 404 without Okta's code: an error that names the address, and nobody is gone."""
    for asked in (okta.list_all("/api/v1/logs"), EventHooks(okta).list(), EventHooks(okta).get("whoNobody")):
        with pytest.raises(OktaError, match="answer is not from Okta's API") as caught:
            await asked
        assert not isinstance(caught.value, OktaNotFound)
        assert (caught.value.status, caught.value.code) == (404, "")


async def test_without_credentials_nobody_gets_in(emulate):
    """A refusal by another code than Okta's own for this is still one of the login."""
    stranger = client_of(emulate, Nobody(SecretStr("unused")))
    with pytest.raises(OktaUnauthorized) as caught:
        await stranger.user("00uNobody")
    await stranger.aclose()
    assert caught.value.code == "E0000004"


async def test_the_check_says_what_it_can(okta):
    """The cheap call for `rosterhook check` works without a request id, and compares clocks by the Date header."""
    await created(okta)
    found = await okta.check()
    assert (found["sees_users"], found["request_id"]) == (True, "")
    assert abs(found["clock_skew_seconds"]) < 60


class Difference(NamedTuple):
    """Something that emulate does otherwise than Okta.

    Attributes:
        request: method, path, and body.
        shows: whether emulate's answer still does so.
    """

    request: tuple[str, str, Mapping[str, Any] | None]
    shows: Callable[[httpx2.Response], bool]


ONE = "one@example.com"
#: What Okta does, and a call by which emulate shows that it does otherwise.
DIFFERENCES = {
    "a new user is 200": Difference(
        ("POST", "/api/v1/users", {"profile": {"login": "two@example.com"}}), lambda answer: answer.status_code == 201
    ),
    "a user without names is refused": Difference(
        ("GET", f"/api/v1/users/{ONE}", None), lambda answer: answer.json()["profile"]["firstName"] == "Test"
    ),
    "attributes of any name are kept": Difference(
        ("GET", f"/api/v1/users/{ONE}", None), lambda answer: "badge" not in answer.json()["profile"]
    ),
    "users have a type and credentials": Difference(
        ("GET", f"/api/v1/users/{ONE}", None), lambda answer: not {"type", "credentials"} & set(answer.json())
    ),
    "stamps have whole seconds": Difference(
        ("GET", "/api/v1/groups/00g_everyone", None), lambda answer: not answer.json()["created"].endswith(".000Z")
    ),
    "`limit` is heeded, up to 200": Difference(
        ("GET", "/api/v1/users?limit=200", None), lambda answer: len(answer.json()) == 30
    ),
    "pages have a cursor and a link to themselves": Difference(
        ("GET", "/api/v1/users", None), lambda answer: set(answer.links) == {"next", "last"}
    ),
    "`search` is an expression": Difference(
        ("GET", "/api/v1/users?search=one", None), lambda answer: len(answer.json()) == 1
    ),
    "a plain list leaves out the deactivated": Difference(
        ("GET", "/api/v1/users", None), lambda answer: answer.json()[0]["status"] == "DEPROVISIONED"
    ),
    "a login is found in any case": Difference(
        ("GET", f"/api/v1/users/{ONE.upper()}", None), lambda answer: answer.status_code == 404
    ),
    "a missing user is named": Difference(
        ("GET", "/api/v1/users/00uNobody", None), lambda answer: answer.json()["errorSummary"] == "Not found: user"
    ),
    "an unknown path is E0000008": Difference(
        ("GET", "/api/v1/logs", None), lambda answer: "errorCode" not in answer.json()
    ),
    "every answer tells the rate limit and its id": Difference(
        ("GET", "/api/v1/users", None),
        lambda answer: not {"x-rate-limit-limit", "x-okta-request-id"} & set(answer.headers),
    ),
    "a token has to be known": Difference(("GET", "/api/v1/users", None), lambda answer: answer.status_code == 200),
    "a step that the status doesn't allow is refused": Difference(
        ("POST", f"/api/v1/users/{ONE}/lifecycle/unsuspend", None), lambda answer: answer.status_code == 200
    ),
    "everybody is in Everyone": Difference(
        ("GET", f"/api/v1/users/{ONE}/groups", None), lambda answer: answer.json() == []
    ),
}


@pytest.fixture(scope="module")
def crowd(emulate: str) -> Iterator[httpx2.Client]:
    """An emulate with more users than it has on a page, and one that is known; the token is made up."""
    headers = {"Authorization": "SSWS made-up"}
    with httpx2.Client(base_url=emulate, headers=headers, trust_env=False) as client:
        for login in (ONE, *(f"crowd{number}@example.org" for number in range(30))):
            client.post("/api/v1/users", json={"profile": {"login": login, "badge": 7}})
        first = client.get("/api/v1/users").json()[0]
        client.post(f"/api/v1/users/{first['id']}/lifecycle/deactivate")
        yield client


@pytest.mark.parametrize("name", DIFFERENCES)
def test_emulate_still_differs(crowd: httpx2.Client, name: str) -> None:
    """Each difference that is listed is one, so that the tests above are known to have met it."""
    method, path, body = DIFFERENCES[name].request
    assert DIFFERENCES[name].shows(crowd.request(method, path, json=body))
