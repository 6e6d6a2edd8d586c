"""Requests as Okta's event hook sends them: one event or more, every event with a uuid of its own."""

from __future__ import annotations

import json
from typing import Any

SECRET = "the-secret-of-the-benchmark"
PATH = "/okta/events"

_UUID = "00000000-0000-4000-8000-%012x"
_PLACE = {
    "city": "San Francisco",
    "state": "California",
    "country": "United States",
    "postalCode": "94105",
    "geolocation": {"lat": 37.7852, "lon": -122.3874},
}
#: Where a request's own number and user go, as long as what stands there.
_NUMBER_GAP, _USER_GAP = "n" * 12, "u" * 15
_PUBLISHED = "2026-01-02T03:04:05.678Z"


def event(number: int, user_id: str, published: str) -> dict[str, Any]:
    """The `number`-th event: an admin has changed a profile. The form is that of Okta's own sample."""
    user = {"id": user_id, "type": "User", "alternateId": f"{user_id}@example.com", "displayName": "Add-Min O'Cloudy"}
    admin = {"id": "00uttidj01jqL21aM1d6", "type": "User", "alternateId": "admin@example.com", "displayName": "Ada Min"}
    return {
        "uuid": _UUID % number,
        "published": published,
        "eventType": "user.account.update_profile",
        "version": "0",
        "displayMessage": "Update user profile for Okta",
        "severity": "INFO",
        "client": {
            "userAgent": {"rawUserAgent": "Mozilla/5.0 (Macintosh)", "os": "Mac OS X", "browser": "CHROME"},
            "zone": "null",
            "device": "Computer",
            "ipAddress": "203.0.113.7",
            "geographicalContext": _PLACE,
        },
        "actor": admin,
        "outcome": {"result": "SUCCESS", "reason": None},
        "target": [{**user, "detailEntry": None}],
        "transaction": {"type": "WEB", "id": "XfLzAnFnNsYfH8dkQzZx2QAABBk", "detail": {}},
        "debugContext": {"debugData": {"requestId": "XfLzAnFnNsYfH8dkQzZx2QAABBk", "threatSuspected": "false"}},
        "legacyEventType": "core.user.config.profile_update.success",
        "insertionTimestamp": None,
    }


def hook_body(number: int, user_id: str, published: str) -> bytes:
    """A delivery with the `number`-th event."""
    return _delivery([event(number, user_id, published)], published)


def user_id(number: int, place: int = 0) -> str:
    """The id of the user whom the event at `place` in the `number`-th request is about, when there are enough users.

    >>> user_id(7, 3)
    '00u03000000000000007'
    """
    return f"00u{place:02d}{number:015d}"


class Requests:
    """Whole HTTP requests, cheap to make: the generator of load shares the machine with what it loads.

    Args:
        users: how many users the events at one place of a delivery are about, in turn. Those at another place are
            about others.
        events: in each request, at most 100.
        about: the id of a user whom all events are about, instead.

    >>> first, second = (json.loads(Requests(5, events=2).make(n).partition(b"\\r\\n\\r\\n")[2]) for n in (1, 2))
    >>> [each["uuid"] for made in (first, second) for each in made["data"]["events"]]  # doctest: +NORMALIZE_WHITESPACE
    ['00000000-0000-4000-8000-000000000001', '00000001-0000-4000-8000-000000000001',
     '00000000-0000-4000-8000-000000000002', '00000001-0000-4000-8000-000000000002']
    """

    def __init__(self, users: int, *, events: int = 1, path: str = PATH, about: str | None = None) -> None:
        self._users = users
        body = _delivery([_with_gaps(place, about) for place in range(events)], _PUBLISHED)
        self.body_bytes = len(body)
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
            f"Authorization: {SECRET}\r\nContent-Type: application/json\r\n"
            f"User-Agent: Okta Hook Service v1.0.0\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        pattern = (head.encode() + body).replace(b"%", b"%%")
        self._pattern = pattern.replace(_NUMBER_GAP.encode(), b"%(number)s").replace(_USER_GAP.encode(), b"%(user)s")

    def make(self, number: int) -> bytes:
        """The `number`-th request."""
        return self._pattern % {b"number": b"%012x" % number, b"user": b"%015d" % (number % self._users)}


def _delivery(events: list[dict[str, Any]], published: str) -> bytes:
    envelope = {
        "eventType": "com.okta.event_hook",
        "eventTypeVersion": "1.0",
        "cloudEventsVersion": "0.1",
        "source": "https://example.okta.com/api/v1/eventHooks/who8tsqyrhCdmetzx135",
        "eventId": events[0]["uuid"],
        "data": {"events": events},
        "eventTime": published,
        "contentType": "application/json",
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


def _with_gaps(place: int, about: str | None) -> dict[str, Any]:
    """The place makes uuids and users differ, so that one number a request is enough to fill in."""
    made = event(0, about or f"00u{place:02d}{_USER_GAP}", _PUBLISHED)
    return {**made, "uuid": f"{place:08x}-0000-4000-8000-{_NUMBER_GAP}"}
