"""The org that answers at once, a program of its own: Okta's list of users, as fast as any reader can take it.

`python -m bench.listing --users 100000` prints its address. The simulator keeps an org, and would be what is measured.
Here nothing is kept: a number is always the same user. `GET /_sim/calls` tells what was asked so far, as there.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from collections import Counter
from email.utils import formatdate
from functools import partial
from random import Random
from typing import Any, cast
from urllib.parse import parse_qs, urlencode

import httptools

from rosterhook.service import run_until_signal
from rosterhook.simulator import errors
from rosterhook.simulator.people import random_profile
from rosterhook.simulator.views import listed

PAGE = 200
#: Calls a minute and bucket: so many that nobody waits.
RATE_LIMIT = 1_000_000
#: Different people; beyond, ids and addresses alone differ. A prime, so that no page is as another.
VARIANTS = 499
SEED = 20_260_102
STATUSES = {
    "ACTIVE": 85, "DEPROVISIONED": 6, "STAGED": 3, "SUSPENDED": 2, "PROVISIONED": 2, "PASSWORD_EXPIRED": 1,
    "LOCKED_OUT": 0.5, "RECOVERY": 0.5,
}  # fmt: skip

_ID = re.compile(r"00u([0-9a-f]{17})")
_IDS = 16**17
# Odd, and so to be undone: ids come in no order, as Okta's do, and tell which user it is.
_STRIDE = 0x9E3779B97F4A7C15F
_BACK = pow(_STRIDE, -1, _IDS)
#: In the pattern of a user, in place of their number.
_NUMBER = 987_654_321

_REASONS = {200: b"OK", 400: b"Bad Request", 404: b"Not Found"}
_HEAD = (
    b"HTTP/1.1 %d %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\nDate: %b\r\n"
    b"Cache-Control: no-cache, no-store\r\nX-Okta-Request-Id: bench%017d\r\n"
    b"X-Rate-Limit-Limit: %d\r\nX-Rate-Limit-Remaining: %d\r\nX-Rate-Limit-Reset: %d\r\n%b\r\n"
)


class Users:
    """Users by number, cheap to make: what reads them shares the machine.

    Args:
        url: of the org, for their links.
    """

    def __init__(self, url: str) -> None:
        rng = Random(SEED)
        self._patterns = [_pattern(_variant(rng), url) for _ in range(VARIANTS)]

    def one(self, number: int) -> bytes:
        """The JSON of a user."""
        return self._patterns[number % VARIANTS] % {b"id": _id_of(number).encode(), b"number": number}

    def page(self, first: int, end: int) -> bytes:
        """The JSON of a list: the users from `first` on, without `end`."""
        return b"[%b]" % b",".join([self.one(number) for number in range(first, end)])


class Org:
    """What is asked, and the answers.

    Args:
        users: how many there are.
        url: of the org itself.
    """

    def __init__(self, users: int, url: str) -> None:
        self._count = users
        self._url = url
        self._users = Users(url)
        self._calls: Counter[str] = Counter()
        self._window, self._spent = 0, Counter[str]()

    def answer(self, target: str) -> bytes:
        """The whole answer to a GET.

        Args:
            target: path and query.
        """
        path, _, query = target.partition("?")
        asked = {name: values[-1] for name, values in parse_qs(query).items()}
        if path == "/_sim/calls":
            told = {"total": sum(self._calls.values()), "by_bucket": self._calls}
            return self._whole("sim", json.dumps(told).encode())
        if path == "/api/v1/users":
            return self._list(target, asked)
        if path == "/api/v1/logs":
            # A log that is followed has a next page always, for the events to come.
            return self._whole("logs", b"[]", next=target if "after=" in target else f"{target}&after=0")
        if path.startswith("/api/v1/users/"):
            return self._user(path.removeprefix("/api/v1/users/"))
        return self._whole("other", _not_found(f"{path} (Path)"), status=404)

    def _list(self, target: str, asked: dict[str, str]) -> bytes:
        """Everybody, page by page. Who asks for some, by search or by what has changed, finds nobody."""
        if "search" in asked or "lastUpdated" in asked.get("filter", ""):
            return self._whole("users", b"[]")
        if not asked.get("after", "0").isdecimal() or not asked.get("limit", "1").isdecimal():
            body = errors.bad_cursor().body("bench")
            return self._whole("users", json.dumps(body).encode(), status=400)
        first, limit = int(asked.get("after", 0)), int(asked.get("limit", PAGE))
        end = min(first + max(1, min(limit, PAGE)), self._count)
        following = f"/api/v1/users?{urlencode({**asked, 'after': end})}" if end < self._count else ""
        return self._whole("users", self._users.page(first, end), itself=target, next=following)

    def _user(self, user_id: str) -> bytes:
        number = _number_of(user_id)
        if number is None or number >= self._count:
            return self._whole("user", _not_found(f"{user_id} (User)"), status=404)
        return self._whole("user", self._users.one(number))

    def _whole(self, bucket: str, body: bytes, *, status: int = 200, itself: str = "", next: str = "") -> bytes:
        now = time.time()
        if now >= self._window:
            self._window, self._spent = (int(now) // 60 + 1) * 60, Counter()
        self._calls[bucket] += 1
        self._spent[bucket] += 1
        links = [f'<{self._url}{to}>; rel="{rel}"' for to, rel in ((itself, "self"), (next, "next")) if to]
        link = f"Link: {', '.join(links)}\r\n".encode() if links else b""
        rates = RATE_LIMIT, RATE_LIMIT - self._spent[bucket], self._window
        date = formatdate(now, usegmt=True).encode()
        return _HEAD % (status, _REASONS[status], len(body), date, self._calls.total(), *rates, link) + body


class Connection(asyncio.Protocol):
    """One connection: each request is answered when it is whole."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Part of a request, or several."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.close()

    def on_message_begin(self) -> None:
        """A request begins."""
        self._target = b""

    def on_url(self, part: bytes) -> None:
        """Path and query, or a part of them."""
        self._target += part

    def on_message_complete(self) -> None:
        """A request is whole."""
        self._transport.write(self._org.answer(self._target.decode("ascii")))
        if not self._parser.should_keep_alive():
            self._transport.close()


async def serve(users: int, stop: asyncio.Event) -> None:
    """Serve on a free port of loopback until told to stop."""
    org: list[Org] = []
    server = await asyncio.get_running_loop().create_server(lambda: Connection(org[0]), "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    org.append(Org(users, url))
    print(f"listening on {url}", flush=True)
    await stop.wait()
    server.close()


def _variant(rng: Random) -> dict[str, Any]:
    """A user as the simulator keeps them, with more of Okta's own attributes filled in."""
    profile = {**random_profile(rng, _NUMBER), "secondEmail": None}
    first, last = profile["firstName"], profile["lastName"]
    profile |= {
        "displayName": f"{first} {last}",
        "nickName": first,
        "userType": "Employee",
        "employeeNumber": str(_NUMBER),
        "organization": "Example Corp.",
        "division": rng.choice(("EMEA", "APAC", "Amériques")),
        "costCenter": f"CC-{rng.randrange(1000, 9999)}",
        "manager": "Add-Min O'Cloudy",
        "managerId": _id_of(rng.randrange(1000)),
        "streetAddress": f"{rng.randrange(1, 300)} Main Street",
        "zipCode": f"{rng.randrange(10_000, 99_999)}",
        "countryCode": rng.choice(("US", "DE", "JP")),
        "preferredLanguage": "en-US",
        "locale": "en_US",
        "timezone": "Europe/Berlin",
    }
    status = rng.choices(list(STATUSES), list(STATUSES.values()))[0]
    day, minute = rng.randrange(1, 28), rng.randrange(60)
    return {
        "id": _id_of(_NUMBER),
        "status": status,
        "created": f"2024-03-{day:02d}T08:{minute:02d}:00.000Z",
        "activated": None if status == "STAGED" else f"2024-03-{day:02d}T08:{minute:02d}:01.000Z",
        "statusChanged": f"2024-05-{day:02d}T09:{minute:02d}:00.000Z",
        "lastLogin": None,
        "lastUpdated": f"2025-11-{day:02d}T10:{minute:02d}:00.000Z",
        "passwordChanged": f"2024-03-{day:02d}T08:{minute:02d}:01.000Z",
        "type": {"id": "oty1a2b3c4d5e6f7g8h9"},
        "profile": profile,
        "credentials": {"password": {}, "provider": {"type": "OKTA", "name": "OKTA"}},
    }


def _pattern(user: dict[str, Any], url: str) -> bytes:
    text = json.dumps(listed(user, url), separators=(",", ":"), ensure_ascii=False)
    pattern = text.encode().replace(b"%", b"%%").replace(_id_of(_NUMBER).encode(), b"%(id)b")
    return pattern.replace(str(_NUMBER).encode(), b"%(number)d")


def _id_of(number: int) -> str:
    return f"00u{number * _STRIDE % _IDS:017x}"


def _number_of(user_id: str) -> int | None:
    found = _ID.fullmatch(user_id)
    return int(found.group(1), 16) * _BACK % _IDS if found else None


def _not_found(what: str) -> bytes:
    return json.dumps(
        errors.OktaError(404, "E0000007", f"Not found: Resource not found: {what}").body("bench")
    ).encode()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m bench.listing")
    parser.add_argument("--users", type=int, required=True)
    run_until_signal(partial(serve, parser.parse_args().users), watch_stdin=True)
