"""One HTTP exchange with Okta: how the connection is made, and every way not to get a whole answer, in words."""

from __future__ import annotations

import asyncio
import json
import math
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from rosterhook import __version__
from rosterhook.errors import OktaError, OktaUnavailable
from rosterhook.okta.cures import TRY_AGAIN
from rosterhook.okta.faults import request_id_of
from rosterhook.okta.no_answer import reason
from rosterhook.okta.rates import read_rates


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer, whatever its status."""

    status: int
    headers: httpx2.Headers
    body: bytes


def open_http(
    *,
    timeout_seconds: float,
    connections: int,
    transport: httpx2.AsyncBaseTransport | None = None,
    tls: ssl.SSLContext | None = None,
) -> httpx2.AsyncClient:
    """A client that trusts no variable of the environment, follows no redirect and keeps no cookie.

    Args:
        transport: in place of the network, for tests.
        tls: whom to trust; the system's authorities when None.
    """
    return httpx2.AsyncClient(
        # Okta asks for a User-Agent of one's own.
        headers={"User-Agent": f"rosterhook/{__version__} (+okta event hook sync)", "Accept": "application/json"},
        # A session cookie of Okta's would be a second identity beside the token.
        cookies=CookieJar(policy=DefaultCookiePolicy(allowed_domains=[])),
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        timeout=timeout_seconds,
        transport=transport,
        trust_env=False,
        verify=tls or True,
    )


def trust_also(ca_file: Path) -> ssl.SSLContext:
    """Whom to trust: the system's authorities, and those in a PEM file.

    Raises:
        OSError: the file cannot be read, or holds no certificate. (The configuration has looked at it before.)
    """
    context = httpx2.create_ssl_context(trust_env=False)
    context.load_verify_locations(cafile=ca_file)
    return context


@asynccontextmanager
async def asked(
    http: httpx2.AsyncClient,
    method: str,
    url: str,
    what: str,
    *,
    timeout_seconds: float,
    headers: Mapping[str, str],
    content: bytes | None = None,
) -> AsyncIterator[httpx2.Response]:
    """Send one request; the head of the answer is there, its body is still to be read.

    Args:
        what: the request in words, for the errors.
        timeout_seconds: for the whole of it, the body too.

    Raises:
        OktaUnavailable: there was no whole answer.
    """
    with _no_answer(what, url, timeout_seconds):
        async with (
            asyncio.timeout(timeout_seconds),
            http.stream(method, url, headers=dict(headers), content=content) as response,
        ):
            yield response


async def read(response: httpx2.Response, what: str, *, max_bytes: int) -> bytes:
    """The body of an answer.

    Raises:
        OktaError: it is larger than `max_bytes`, and was not read to its end.
    """
    body = bytearray()
    async for chunk in response.aiter_bytes():
        body += chunk
        if len(body) > max_bytes:
            raise OktaError(
                f"The answer to {what} is larger than {max_bytes // 1024**2} MiB and was not read.",
                hint="Check okta.org_url: a page of users has less than 1 MiB.",
                status=response.status_code,
                request_id=request_id_of(response.headers),
            )
    return bytes(body)


def json_of(answer: Answer, what: str) -> Any:
    """The body as JSON.

    Raises:
        OktaUnavailable: it is no whole JSON text.
    """
    try:
        try:
            return msgspec.json.decode(answer.body)
        except msgspec.DecodeError:
            # Half of a surrogate pair, which JSON can say: one such name must not cost a page of users.
            return json.loads(answer.body.decode(), parse_float=_finite, parse_constant=_finite)
    except (ValueError, RecursionError):
        # The error of the parser may quote the body, which is user data.
        raise _no_json(answer, what) from None


def _finite(number: str) -> float:
    """JSON has no other numbers, though Python reads them."""
    value = float(number)
    if not math.isfinite(value):
        raise ValueError
    return value


def raw_list_of(answer: Answer, what: str) -> list[bytes]:
    """The body as a list, each item as it came: one that cannot be read must not cost the others.

    Raises:
        OktaUnavailable: it is no whole JSON text.
        OktaError: it is no list.
    """
    try:
        return [bytes(item) for item in msgspec.json.decode(answer.body, type=list[msgspec.Raw])]
    except msgspec.ValidationError:
        raise OktaError(f"Okta answered {what} with something that is no list.", status=answer.status) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise _no_json(answer, what) from None


def _no_json(answer: Answer, what: str) -> OktaUnavailable:
    return OktaUnavailable(
        f"The answer to {what} is {len(answer.body)} bytes and no whole JSON text.",
        hint=f"{TRY_AGAIN} If it stays, check okta.org_url and any proxy on the way to it.",
        status=answer.status,
        request_id=request_id_of(answer.headers),
    )


def clock_skew(answer: Answer, now: float) -> float | None:
    """By how many seconds this machine's clock is ahead of Okta's, to the second; None when Okta tells no time.

    Args:
        now: seconds since 1970 by this machine's clock, when the answer came.
    """
    date = read_rates(answer.headers).date
    return None if date is None else float(round(now - date))


@contextmanager
def _no_answer(what: str, url: str, timeout_seconds: float) -> Iterator[None]:
    """Turn every way not to get an answer into OktaUnavailable."""
    try:
        yield
    except (TimeoutError, httpx2.TimeoutException):
        raise OktaUnavailable(f"Okta did not answer {what} within {timeout_seconds:g} s.", hint=TRY_AGAIN) from None
    except (httpx2.LocalProtocolError, httpx2.InvalidURL):
        # The text of these quotes headers and addresses: a token may be in it.
        raise OktaError(f"{what} could not be sent: the request itself is wrong.", hint="Report it.") from None
    except httpx2.RequestError as error:
        why, cure = reason(error, httpx2.URL(url).host)
        raise OktaUnavailable(f"No whole answer to {what}: {why}.", hint=cure) from error
