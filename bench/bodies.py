"""Requests as Okta's event hook sends them: one event each, every event with a uuid of its own."""

from __future__ import annotations

import json
from typing import Any

SECRET = "the-secret-of-the-benchmark"
PATH = "/okta/events"

_UUID = "00000000-0000-4000-8000-%012x"
_USER = "00u%017d"
_PLACE = {
    "city": "San Francisco",
    "state": "California",
    "country": "United States",
    "postalCode": "94105",
    "geolocation": {"lat": 37.7852, "lon": -122.3874},
}


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
    envelope = {
        "eventType": "com.okta.event_hook",
        "eventTypeVersion": "1.0",
        "cloudEventsVersion": "0.1",
        "source": "https://example.okta.com/api/v1/eventHooks/who8tsqyrhCdmetzx135",
        "eventId": _UUID % number,
        "data": {"events": [event(number, user_id, published)]},
        "eventTime": published,
        "contentType": "application/json",
    }
    return json.dumps(envelope, separators=(",", ":")).encode()


class Requests:
    """Whole HTTP requests, cheap to make: the generator of load shares the machine with what it loads.

    Args:
        users: how many users the events are about, in turn.
    """

    def __init__(self, users: int) -> None:
        self._users = users
        body = hook_body(0, _USER % 0, "2026-01-02T03:04:05.678Z")
        self.body_bytes = len(body)
        head = (
            f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n"
            f"Authorization: {SECRET}\r\nContent-Type: application/json\r\n"
            f"User-Agent: Okta Hook Service v1.0.0\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        whole = head.encode() + body
        pattern = whole.replace(b"%", b"%%").replace((_UUID % 0).encode(), b"%(uuid)s")
        self._pattern = pattern.replace((_USER % 0).encode(), b"%(user)s")

    def make(self, number: int) -> bytes:
        """The `number`-th request."""
        uuid, user = _UUID % number, _USER % (number % self._users)
        return self._pattern % {b"uuid": uuid.encode(), b"user": user.encode()}
