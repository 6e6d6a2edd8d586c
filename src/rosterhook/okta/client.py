"""Okta's API, as far as rosterhook calls it."""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

import httpx2
import msgspec

from rosterhook.errors import OktaError, OktaStalePlace
from rosterhook.okta import wire
from rosterhook.okta.auth import Auth
from rosterhook.okta.budget import PARALLEL, Budget
from rosterhook.okta.cures import Login
from rosterhook.okta.faults import fault, request_id_of
from rosterhook.okta.pages import LOGS, Page, User, place_of
from rosterhook.okta.paging import next_link
from rosterhook.okta.users import (
    MAX_IDS,
    USERS,
    by_id,
    in_words,
    list_path,
    one_user,
    page_of_users,
    path_of,
    searches,
)
from rosterhook.okta.wire import Answer, clock_skew, json_of, raw_list_of

#: Repeats after a 429, as in Okta's own SDK.
MAX_REPEATS = 2
#: The largest answer that is read, in bytes; a page of 200 users has 240 kB.
MAX_BODY_BYTES = 32 * 1024 * 1024

#: It spares Okta work that we do not use, and works only with all three. (Okta's API description, listUsers.)
READ_USERS = 'application/json; okta-response="omitCredentials,omitCredentialsLinks, omitTransitioningToStatus"'
JSON = "application/json"
_CONTENT_TYPES = {"users": READ_USERS, "user": READ_USERS}


class OktaClient:
    """Calls the API of one org.

    Every call waits for the budget. It is repeated after a 429, as Okta asks, and once with new authorization where
    Okta asks for that: in both cases Okta did not carry it out. Nothing else is repeated: a read that failed is due
    again by its row in the store, which outlives this process.

    Every call raises OktaUnauthorized, OktaForbidden, OktaRateLimited or OktaUnavailable (5xx, no answer, a broken
    one), and OktaError for anything else that is no good answer.

    Args:
        org_url: origin of the org, such as "https://example.okta.com".
        auth: authorizes each request.
        budget: shared by all who read this org.
        timeout_seconds: for one whole answer; waiting for the budget is not in it.
        transport: in place of the network, for tests.
        tls: whom to trust; the system's authorities when None.
        login: how `auth` does it, for the cures in errors.
        now: seconds since 1970 by this machine's clock; only `check` looks at it.
    """

    def __init__(
        self,
        org_url: str,
        auth: Auth,
        budget: Budget,
        *,
        timeout_seconds: float,
        transport: httpx2.AsyncBaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
        login: Login = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._org_url = org_url.rstrip("/")
        self._auth = auth
        self._login: Login = login
        self._budget = budget
        self._timeout = timeout_seconds
        self._now = now
        self._http = wire.open_http(timeout_seconds=timeout_seconds, connections=PARALLEL, transport=transport, tls=tls)

    async def user(self, user_id: str) -> dict[str, Any]:
        """One user as Okta holds it now; a read by id is never stale. (Okta's API description, listUsers.)

        Args:
            user_id: Okta's id of the user.

        Raises:
            OktaNotFound: Okta itself said that this user does not exist.
            OktaError: as every call; also when the answer is somebody else.
        """
        what = f"GET {in_words(user_id)}"
        answer = await self._get("user", self._org_url + path_of(user_id), what, user_id=user_id)
        return one_user(json_of(answer, what), user_id)

    async def find_user(self, login: str) -> dict[str, Any]:
        """The user with a login, in any case of letters.

        Raises:
            OktaNotFound: nobody has this login.
            OktaError: as every call; also when the answer is somebody else.
        """
        what = f"GET {in_words(login)}"
        # With DPoP, Okta refuses some addresses that have something escaped; an "@" needs no escape.
        path = path_of(login).replace("%40", "@")
        answer = await self._get("user", self._org_url + path, what, user_id=login)
        return _user_of_login(json_of(answer, what), login)

    async def update_profile(self, user_id: str, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Change some attributes of a user's profile; those that are not named stay.

        It needs the scope okta.users.manage, and a role that may edit users.

        Returns:
            The user as Okta holds it now.

        Raises:
            OktaNotFound: Okta itself said that this user does not exist.
            OktaError: as every call; its message tells which attribute Okta refuses.
        """
        path = path_of(user_id)
        what = f"POST {in_words(user_id)}"
        found = await self.request(
            "POST", path, {"profile": dict(changes)}, what=what, about=user_id, bucket="user_write"
        )
        return one_user(found, user_id)

    async def users(self, ids: Sequence[str]) -> dict[str, dict[str, Any]]:
        """Many users by id, in one call for every 200.

        It is a search: the answer may be seconds old, and a missing user may be deleted, too new, or hidden.

        Args:
            ids: Okta's ids. What does not look like one is not sent, and so is missing in the answer.

        Returns:
            The users that Okta found, by id.
        """
        found: dict[str, dict[str, Any]] = {}
        for asked, search in searches(ids):
            async for page in self.list_users(search=search):
                found |= by_id(page, asked)
        return found

    async def list_users(
        self, *, filter: str | None = None, search: str | None = None, limit: int = MAX_IDS
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Page after page of users. Without `filter` and `search`, Okta leaves out DEPROVISIONED users.

        Args:
            filter: SCIM expression over status, lastUpdated, id and four profile attributes.
            search: SCIM expression over any attribute; eventually consistent.
            limit: users a page, 1 to 200.

        Raises:
            OktaError: as every call; also when the way to the next page leads elsewhere or in a circle.
        """
        url = self._org_url + list_path(filter=filter, search=search, limit=limit)
        what = f"GET {USERS}"
        async for answer in self._pages("users", url, what):
            yield page_of_users(json_of(answer, what))

    async def user_page(self, place: str) -> Page[User]:
        """One page of users.

        Args:
            place: `users_place(...)`, or the `next` of the page before.

        Raises:
            OktaStalePlace: Okta does not know the place any more.
            OktaError: as every call.
        """
        answer, following = await self._page("users", place, f"GET {USERS}")
        return Page(page_of_users(json_of(answer, f"GET {USERS}")), following)

    async def log_page(self, place: str) -> Page[bytes]:
        """One page of the System Log, each event still as it came.

        Args:
            place: `log_place(...)`, or the `next` of the page before. A log that is followed never ends: its last
                page has a `next` too, for the events to come.

        Raises:
            OktaStalePlace: Okta does not know the place any more.
            OktaError: as every call; also when the answer is no list, or tells no place to go on from.
        """
        what = f"GET {LOGS}"
        answer, following = await self._page("logs", place, what)
        if following is None:
            raise OktaError(
                f"Okta's answer to {what} names no next page.",
                hint="Look for a proxy that takes Link headers away.",
                status=answer.status,
            )
        return Page(raw_list_of(answer, what), following)

    async def _page(self, bucket: str, place: str, what: str) -> tuple[Answer, str | None]:
        url = self._org_url + place
        answer = await self._call(bucket, "GET", url, what)
        if answer.status != 200:
            error = fault(what, answer.status, answer.headers, answer.body, login=self._login)
            if answer.status == 400 and "after=" in place and type(error) is OktaError:
                raise OktaStalePlace(error.message, status=400, code=error.code, request_id=error.request_id)
            raise error
        following = next_link(answer.headers.get_list("link"), url)
        return answer, None if following is None else place_of(following)

    async def list_all(self, path: str) -> list[dict[str, Any]]:
        """Every row of a short list of anything but users, such as "/api/v1/eventHooks".

        Raises:
            OktaError: as every call; also when the answer is no list.
        """
        what = f"GET {path}"
        found: list[dict[str, Any]] = []
        async for answer in self._pages("other", self._org_url + path, what):
            page = json_of(answer, what)
            if not isinstance(page, list) or not all(isinstance(row, dict) for row in page):
                raise OktaError(f"Okta answered {what} with something that is no list.", status=answer.status)
            found += page
        return found

    async def request(
        self, method: str, path: str, body: Any = None, *, what: str = "", about: str = "", bucket: str = "other"
    ) -> Any:
        """Make one call that is no read of users.

        Args:
            method: the HTTP method.
            path: from "/api/v1/" on, already quoted.
            body: sent as JSON; None sends none.
            what: the call in words, if the path holds what nobody may read in a message.
            about: the id of what the path names; then Okta's word that it does not exist is OktaNotFound.
            bucket: the rate limit that counts it.

        Returns:
            The answer's JSON; None when the answer has no body.

        Raises:
            OktaError: as every call; a status of 300 or above is no good answer.
        """
        what = what or f"{method} {path}"
        content = None if body is None else msgspec.json.encode(body)
        answer = await self._call(bucket, method, self._org_url + path, what, content)
        if not 200 <= answer.status < 300:
            raise fault(what, answer.status, answer.headers, answer.body, user_id=about, login=self._login)
        return json_of(answer, what) if answer.body else None

    async def check(self) -> dict[str, Any]:
        """Make one cheap call, to see whether the org can be read.

        Returns:
            `org_url`, `request_id`, `sees_users`: False is a scope or role that shows nobody, or an empty org; and
            `clock_skew_seconds`: by how much this machine's clock is ahead of Okta's, negative when it is behind,
            None when Okta did not tell the time.
        """
        what = f"GET {USERS}"
        answer = await self._get("users", self._org_url + list_path(limit=1), what)
        users = page_of_users(json_of(answer, what))
        return {
            "org_url": self._org_url,
            "request_id": request_id_of(answer.headers),
            "sees_users": bool(users),
            "clock_skew_seconds": clock_skew(answer, self._now()),
        }

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _pages(self, bucket: str, url: str, what: str) -> AsyncIterator[Answer]:
        """Page after page of a list."""
        following: str | None = url
        seen: set[str] = set()
        while following is not None:
            seen.add(str(httpx2.URL(following)))
            answer = await self._get(bucket, following, what)
            following = next_link(answer.headers.get_list("link"), following)
            if following in seen:
                raise OktaError(
                    f"Okta's next page after {what} is one that was read before: the list would never end.",
                    hint="Try again later; if it stays, report it to Okta with the request id.",
                    status=answer.status,
                    request_id=request_id_of(answer.headers),
                )
            yield answer

    async def _get(self, bucket: str, url: str, what: str, *, user_id: str = "") -> Answer:
        answer = await self._call(bucket, "GET", url, what)
        if answer.status != 200:
            raise fault(what, answer.status, answer.headers, answer.body, user_id=user_id, login=self._login)
        return answer

    async def _call(self, bucket: str, method: str, url: str, what: str, content: bytes | None = None) -> Answer:
        """One call with its repeats. Each is made anew: a DPoP proof is good for one request."""
        trace: dict[str, str] = {}
        repeats, authorized_anew = 0, False
        first = ""
        while True:
            headers = {"Content-Type": _CONTENT_TYPES.get(bucket, JSON), **trace}
            answer, mendable = await self._once(bucket, method, url, what, headers, content)
            first = first or request_id_of(answer.headers)
            if answer.status == 429 and repeats < MAX_REPEATS:
                repeats += 1
                # Okta's way to tell a repeat from a new call; its SDKs send the same.
                trace = {"X-Okta-Retry-For": first, "X-Okta-Retry-Count": str(repeats)} if first else {}
            elif mendable and not authorized_anew:
                authorized_anew = True
            else:
                return answer

    async def _once(
        self, bucket: str, method: str, url: str, what: str, headers: Mapping[str, str], content: bytes | None
    ) -> tuple[Answer, bool]:
        """One request, and whether new authorization may mend its answer."""
        await self._budget.acquire(bucket)
        status, told = 0, httpx2.Headers()
        try:
            proof = await self._auth.headers(method, url)
            async with wire.asked(
                self._http,
                method,
                url,
                what,
                timeout_seconds=self._timeout,
                headers={**headers, **proof},
                content=content,
            ) as response:
                status, told = response.status_code, response.headers
                body = await wire.read(response, what, max_bytes=MAX_BODY_BYTES)
        finally:
            self._budget.release(bucket, status, told)
        return Answer(status, told, body), self._auth.learn(proof, status, told, body)


def _user_of_login(value: Any, login: str) -> dict[str, Any]:
    """`value`, if it has the login: Okta also answers to an id, to a login's part before the "@", and to "me"."""
    profile = value.get("profile") if isinstance(value, dict) else None
    found = profile.get("login") if isinstance(profile, dict) else None
    if not isinstance(found, str) or found.casefold() != login.casefold():
        raise OktaError(
            "Okta answered the question for a login with another user, so the answer was not used.",
            hint="Give the whole login, with what follows the @.",
            status=200,
        )
    return dict(value)
