"""An org that answers at once, a program of its own: whoever is asked for exists.

The simulator would do, but it takes 5 ms of a core for a page of 200 users, and shares the machine with what is
measured. This takes a seventh.
"""

from __future__ import annotations

import re
import time
from email.utils import formatdate
from typing import Any
from urllib.parse import unquote_plus

import msgspec

from bench.bare import serve
from rosterhook.http_server import settings
from rosterhook.service import run_until_signal

#: The second of the events that `bench.bodies.Requests` makes: a row that shows them is not read by id again.
LAST_UPDATED = "2026-01-02T03:04:05.000Z"
USERS = "/api/v1/users"
LOGS = "/api/v1/logs"
#: More than any benchmark spends.
LIMIT = 100_000_000
WINDOW_SECONDS = 60

_ASKED = re.compile(r'id eq "(\w+)"')
_ID = "<id>"


def _template() -> bytes:
    """A user as Okta shows one, about as long as a real one."""
    profile = {
        "firstName": "Isaac",
        "lastName": "Brock",
        "mobilePhone": "+1-555-415-1337",
        "secondEmail": None,
        "login": f"{_ID}@example.com",
        "email": f"{_ID}@example.com",
        "title": "Engineer",
        "department": "Research & Development",
        "city": "Portland",
    }
    stamps = dict.fromkeys(("created", "activated", "statusChanged", "passwordChanged"), "2025-06-07T08:09:10.000Z")
    link = {"href": f"https://example.okta.com{USERS}/{_ID}"}
    user = {
        "id": _ID,
        "status": "ACTIVE",
        **stamps,
        "lastLogin": None,
        "lastUpdated": LAST_UPDATED,
        "type": {"id": "oty1162QAr8hJjTaq0g4"},
        "profile": profile,
        "_links": dict.fromkeys(("suspend", "resetPassword", "deactivate", "self"), link),
    }
    return msgspec.json.encode(user)


_TEMPLATE = _template()


def _user(user_id: str) -> bytes:
    return _TEMPLATE.replace(_ID.encode(), user_id.encode())


def _answer(path: str, query: str) -> bytes:
    """The body for what rosterhook asks: users by search, one by id, everybody (nobody is listed), the log (empty)."""
    if path.startswith(f"{USERS}/"):
        return _user(path.rsplit("/", 1)[1])
    asked = _ASKED.findall(unquote_plus(query)) if path == USERS else []
    return b"[" + b",".join(map(_user, asked)) + b"]"


def _headers(scope: dict[str, Any], length: int) -> list[tuple[bytes, bytes]]:
    now = int(time.time())
    told = {
        "content-type": "application/json",
        "content-length": str(length),
        "date": formatdate(now, usegmt=True),
        "x-rate-limit-limit": str(LIMIT),
        "x-rate-limit-remaining": str(LIMIT),
        "x-rate-limit-reset": str(now - now % WINDOW_SECONDS + WINDOW_SECONDS),
    }
    if scope["path"] == LOGS:
        # A log has no end: its next page is where the events to come will be.
        host = dict(scope["headers"])[b"host"].decode()
        told["link"] = f'<http://{host}{LOGS}?{scope["query_string"].decode()}>; rel="next"'
    return [(name.encode(), value.encode()) for name, value in told.items()]


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """One call."""
    body = _answer(scope["path"], scope["query_string"].decode())
    await send({"type": "http.response.start", "status": 200, "headers": _headers(scope, len(body))})
    await send({"type": "http.response.body", "body": body})


if __name__ == "__main__":
    config = settings(answer, http="httptools", date_header=False)
    run_until_signal(lambda stop: serve(config, stop), watch_stdin=True)
