"""Okta's API, as far as rosterhook reads it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any

import httpx2
import msgspec

from rosterhook import __version__
from rosterhook.errors import OktaError, OktaUnavailable
from rosterhook.okta.auth import Auth
from rosterhook.okta.budget import PARALLEL, Budget
from rosterhook.okta.faults import fault, request_id_of
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

#: Repeats after a 429, as in Okta's own SDK.
MAX_REPEATS = 2
#: The largest answer that is read, in bytes; a page of 200 users has 240 kB.
MAX_BODY_BYTES = 32 * 1024 * 1024

HEADERS = {
    # Okta asks for a User-Agent of one's own.
    "User-Agent": f"rosterhook/{__version__} (+okta event hook sync)",
    "Accept": "application/json",
    # It spares Okta work that we do not use, and works only with all three. (Okta's API description, listUsers.)
    "Content-Type": 'application/json; okta-response="omitCredentials,omitCredentialsLinks, omitTransitioningToStatus"',
}


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    headers: httpx2.Headers
    body: bytes


class OktaClient:
    """Reads users from one org.

    Every call waits for the budget, repeats a 429 as Okta asks, and repeats nothing else: a read that failed is due
    again by its row in the store, which outlives this process.

    Every call raises OktaUnauthorized, OktaForbidden, OktaRateLimited or OktaUnavailable (5xx, no answer, a broken
    one), and OktaError for anything else that is no good answer.

    Args:
        org_url: origin of the org, such as "https://example.okta.com".
        auth: authorizes each request.
        budget: shared by all who read this org.
        timeout_seconds: for one whole answer; waiting for the budget is not in it.
        transport: in place of the network, for tests.
    """

    def __init__(
        self,
        org_url: str,
        auth: Auth,
        budget: Budget,
        *,
        timeout_seconds: float,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._org_url = org_url.rstrip("/")
        self._auth = auth
        self._budget = budget
        self._timeout = timeout_seconds
        self._http = httpx2.AsyncClient(
            headers=HEADERS,
            # A session cookie of Okta's would be a second identity beside the token.
            cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
            follow_redirects=False,
            limits=httpx2.Limits(max_connections=PARALLEL, max_keepalive_connections=PARALLEL),
            timeout=timeout_seconds,
            transport=transport,
            trust_env=False,
        )

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
        return one_user(_json(answer, what), user_id)

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
        url: str | None = self._org_url + list_path(filter=filter, search=search, limit=limit)
        what = f"GET {USERS}"
        seen: set[str] = set()
        while url is not None:
            seen.add(str(httpx2.URL(url)))
            answer = await self._get("users", url, what)
            url = next_link(answer.headers.get_list("link"), url)
            if url in seen:
                raise OktaError(
                    f"Okta's next page after {what} is one that was read before: the list would never end.",
                    hint="Try again later; if it stays, report it to Okta with the request id.",
                    status=answer.status,
                    request_id=request_id_of(answer.headers),
                )
            yield page_of_users(_json(answer, what))

    async def check(self) -> dict[str, Any]:
        """Make one cheap call, to see whether the org can be read.

        Returns:
            `org_url`, `request_id`, and `sees_users`: False is a scope or role that shows nobody, or an empty org.
        """
        what = f"GET {USERS}"
        answer = await self._get("users", self._org_url + list_path(limit=1), what)
        users = page_of_users(_json(answer, what))
        return {"org_url": self._org_url, "request_id": request_id_of(answer.headers), "sees_users": bool(users)}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _get(self, bucket: str, url: str, what: str, *, user_id: str = "") -> _Answer:
        answer = await self._once(bucket, url, what, {})
        first = request_id_of(answer.headers)
        for repeat in range(1, MAX_REPEATS + 1):
            if answer.status != 429:
                break
            # Okta's way to tell a repeat from a new call; its SDKs send the same.
            trace = {"X-Okta-Retry-For": first, "X-Okta-Retry-Count": str(repeat)} if first else {}
            answer = await self._once(bucket, url, what, trace)
        if answer.status != 200:
            raise fault(what, answer.status, answer.headers, answer.body, user_id=user_id)
        return answer

    async def _once(self, bucket: str, url: str, what: str, trace: Mapping[str, str]) -> _Answer:
        await self._budget.acquire(bucket)
        status, headers = 0, httpx2.Headers()
        try:
            proof = await self._auth.headers("GET", url)
            request = self._http.stream("GET", url, headers={**trace, **proof})
            with _no_answer(what, self._timeout):
                async with asyncio.timeout(self._timeout), request as response:
                    status, headers = response.status_code, response.headers
                    return _Answer(status, headers, await _read(response, what))
        finally:
            self._budget.release(bucket, status, headers)


@contextmanager
def _no_answer(what: str, timeout_seconds: float) -> Iterator[None]:
    """Turn every way not to get an answer into OktaUnavailable."""
    try:
        yield
    except (TimeoutError, httpx2.TimeoutException):
        raise OktaUnavailable(
            f"Okta did not answer {what} within {timeout_seconds:g} s.", hint="It is tried again later."
        ) from None
    except (httpx2.LocalProtocolError, httpx2.InvalidURL):
        # The text of these quotes headers and addresses: a token may be in it.
        raise OktaError(f"{what} could not be sent: the request itself is wrong.", hint="Report it.") from None
    except httpx2.RequestError as error:
        raise OktaUnavailable(
            f"No whole answer to {what}: {type(error).__name__}: {error}.",
            hint="It is tried again later. If it stays, check okta.org_url, the network and the CA certificates.",
        ) from error


async def _read(response: httpx2.Response, what: str) -> bytes:
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise OktaError(
                f"The answer to {what} is larger than {MAX_BODY_BYTES // 1024**2} MiB and was not read.",
                hint="Check okta.org_url: a page of users has less than 1 MiB.",
                status=response.status_code,
                request_id=request_id_of(response.headers),
            )
    return bytes(body)


def _json(answer: _Answer, what: str) -> Any:
    try:
        return msgspec.json.decode(answer.body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        # The error of the parser may quote the body, which is user data.
        raise OktaUnavailable(
            f"The answer to {what} is {len(answer.body)} bytes and no whole JSON text.",
            hint="It is tried again later. If it stays, check okta.org_url and any proxy on the way to it.",
            status=answer.status,
            request_id=request_id_of(answer.headers),
        ) from None
