"""The events of an org, in the form that a hook delivers (okta-facts 1.20, 1.21).

Against the System Log's form: `ipChain` sits in `client`, there is no `request`, and what is unknown is an
explicit null.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from random import Random
from typing import Any, NamedTuple

Event = dict[str, Any]
Target = dict[str, Any]


class Kind(NamedTuple):
    """What one type of event always says: its message, the name it had before the System Log, its severity.

    Attributes:
        eligible: whether Okta offers the type to event hooks; all others only reach the System Log.
    """

    message: str
    legacy: str | None
    severity: str = "INFO"
    eligible: bool = True


#: Okta offers hooks no type for an expired password, a completed delete, or what an import does to users.
KINDS: dict[str, Kind] = {
    "user.lifecycle.create": Kind("Create okta user", "core.user.config.user_creation.success"),
    "user.lifecycle.activate": Kind("Activate Okta user", "core.user.config.user_activated"),
    "user.lifecycle.deactivate": Kind("Deactivate Okta user", "core.user.config.user_deactivated"),
    "user.lifecycle.reactivate": Kind("Reactivate Okta user", "core.user.config.user_reactivation.success"),
    "user.lifecycle.suspend": Kind("Suspend Okta user", "core.user.config.user_status.suspended"),
    "user.lifecycle.unsuspend": Kind("Unsuspend Okta user", "core.user.config.user_status.unsuspended"),
    "user.lifecycle.delete.initiated": Kind(
        "Delete Okta user initiated", "core.user.config.user_status.delete.initiated"
    ),
    "user.lifecycle.delete.completed": Kind("Delete Okta user completed", None, eligible=False),
    "user.account.update_profile": Kind("Update user profile for Okta", "core.user.config.profile_update.success"),
    "user.account.update_password": Kind("User update password for Okta", "core.user.config.password_update.success"),
    "user.account.reset_password": Kind(
        "Fired when the user's Okta password is reset", "core.user.config.user_status.password_reset"
    ),
    "user.mfa.factor.reset_all": Kind("Reset all factors for user", "core.user.factor.reset_all"),
    "user.account.expire_password": Kind("Expire user password for Okta", None, eligible=False),
    "user.account.lock": Kind("Max sign in attempts exceeded", "core.user_auth.account_locked", "DEBUG"),
    "user.account.unlock": Kind("Auto unlock user account for Okta", "core.user.config.account_unlocked"),
    "group.lifecycle.create": Kind("Create Okta group", None),
    "group.lifecycle.delete": Kind("Delete Okta group", None),
    "group.profile.update": Kind("Okta group profile update", None),
    "group.user_membership.add": Kind("Add user to group membership", "core.user_group_member.user_add"),
    "group.user_membership.remove": Kind("Remove user from group membership", "core.user_group_member.user_remove"),
    "application.user_membership.add": Kind(
        "Add user to application membership", "app.generic.provision.assign_user_to_app"
    ),
    "application.lifecycle.update": Kind("Update application", "app.generic.config.app_updated"),
    "system.import.user.update": Kind("Update user triggered by import process", None, eligible=False),
    "event_hook.created": Kind("Create event hook", None, eligible=False),
    "event_hook.updated": Kind("Update event hook", None, eligible=False),
    "event_hook.activated": Kind("Activate event hook", None, eligible=False),
    "event_hook.deactivated": Kind("Deactivate event hook", None, eligible=False),
    "event_hook.deleted": Kind("Delete event hook", None, eligible=False),
    "event_hook.verified": Kind("Verify event hook", None, eligible=False),
    "event_hook.delivery": Kind("Event hook delivery failed", None, "WARN", eligible=False),
    "system.org.rate_limit.warning": Kind("Rate limit warning", "core.framework.ratelimit.warning", "WARN"),
    "system.org.rate_limit.violation": Kind("Rate limit violation", None, "WARN"),
    "core.concurrency.org.limit.violation": Kind(
        "Too many requests in flight", "core.concurrency.org.limit.violation", eligible=False
    ),
    "system.operation.rate_limit.warning": Kind("Operation rate limit warning", None, "WARN", eligible=False),
    "system.operation.rate_limit.violation": Kind("Operation rate limit violation", None, "WARN", eligible=False),
}

_PLACES = (
    ("Boardman", "Oregon", "United States", "97818", 45.8234, -119.7257),
    ("München", "Bavaria", "Germany", "80331", 48.1374, 11.5755),
    ("São Paulo", "São Paulo", "Brazil", "01000", -23.5475, -46.6361),
    ("Ōsaka", "Ōsaka", "Japan", None, 34.6938, 135.5011),
)
_BROWSERS = (
    ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/129.0 Safari/537.36", "Windows 10", "CHROME"),
    ("Mozilla/5.0 (Macintosh; Intel Mac OS X 14_6) AppleWebKit/605.1.15 Safari/605.1.15", "Mac OS X", "SAFARI"),
    ("okta-sdk-python/3.4.4 python/3.11 Linux/6.1", "Linux", "UNKNOWN"),
)
# What many events say alike is one object for all of them: a log of a million would else be mostly that. So nobody
# may change a part of an event but its own debugData.
_SUCCESS = {"result": "SUCCESS", "reason": None}
_LOCKED_OUT = {"result": "FAILURE", "reason": "LOCKED_OUT"}
_SECURITY = {
    "asNumber": 64496,
    "asOrg": "example network",
    "isp": "example isp",
    "domain": "example.net",
    "isProxy": False,
}
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def new_id(rng: Random, prefix: str, length: int = 17) -> str:
    """An id of Okta's: a prefix that tells the kind, then letters and digits whose case matters."""
    return prefix + "".join(rng.choices(_ALPHABET, k=length))


def new_uuid(rng: Random) -> str:
    """A random UUID, written as usual."""
    digits = f"{rng.getrandbits(128):032x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-a{digits[17:20]}-{digits[20:]}"


def instant(at: float) -> str:
    """Milliseconds, as events have them; the users' own stamps have whole seconds."""
    seconds, rest = divmod(int(at * 1000), 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:03d}Z"


def milliseconds(stamp: str) -> int:
    """A stamp of ours, or any other in ISO 8601 with its zone, in milliseconds since 1970. Raises ValueError."""
    at = datetime.fromisoformat(stamp)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)


def target(kind: str, target_id: str, alternate_id: str | None, name: str | None) -> Target:
    """An entry of an event's `target`: five fields, never the profile (okta-facts 1.18)."""
    return {"id": target_id, "type": kind, "alternateId": alternate_id, "displayName": name, "detailEntry": None}


class EventFactory:
    """Makes events for whatever happens in the org."""

    def __init__(self, rng: Random, clock: Callable[[], float]) -> None:
        self._rng = rng
        self._clock = clock
        self._admin = target("User", new_id(rng, "00u"), "admin@example.com", "Ada Min, Dr.")
        self._system = target("SystemPrincipal", "okta", "system@okta.com", "Okta System")

    def make(
        self,
        event_type: str,
        targets: list[Target],
        *,
        uri: str,
        changed: list[str] | None = None,
        job: bool = False,
        outcome: dict[str, Any] | None = None,
        debug_data: Mapping[str, str] | None = None,
    ) -> Event:
        """One event.

        Args:
            job: it is something that Okta does by itself, such as a group rule.
            outcome: another than the usual one of its type.
            debug_data: beside what every event's debugData has.
        """
        kind, request_id = KINDS[event_type], new_id(self._rng, "Z", 26)
        debug = {"requestId": request_id, "requestUri": uri, "url": f"{uri}?", "threatSuspected": "false"}
        if changed is not None:
            debug["changedAttributes"] = ",".join(changed)
        debug.update(debug_data or {})
        return {
            "uuid": new_uuid(self._rng),
            "published": instant(self._clock()),
            "eventType": event_type,
            "version": "0",
            "displayMessage": kind.message,
            "severity": kind.severity,
            "client": self._client(),
            "device": None,
            "actor": self._actor(event_type, targets, job=job),
            "outcome": outcome or _outcome(event_type),
            "target": targets,
            "transaction": {"type": "JOB" if job else "WEB", "id": request_id, "detail": {}},
            "debugContext": {"debugData": debug},
            "legacyEventType": kind.legacy,
            "authenticationContext": self._authentication(),
            "securityContext": _SECURITY,
            "insertionTimestamp": None,
        }

    def _actor(self, event_type: str, targets: list[Target], *, job: bool) -> Target:
        if job:
            return self._system
        # Who types a wrong password too often, or chooses a new one, is the user.
        if event_type in {"user.account.lock", "user.account.update_password"}:
            return targets[0]
        return self._admin

    def _client(self) -> dict[str, Any]:
        browser, place = self._rng.choice(range(len(_BROWSERS))), self._rng.choice(range(len(_PLACES)))
        return _client(browser, place, self._rng.randrange(1, 255))

    def _authentication(self) -> dict[str, Any]:
        return {
            "authenticationProvider": None,
            "credentialProvider": None,
            "credentialType": None,
            "issuer": None,
            "authenticationStep": 0,
            "externalSessionId": new_id(self._rng, "102", 22),
            "interface": None,
        }


@cache
def _client(browser: int, place: int, host: int) -> dict[str, Any]:
    agent, system, name = _BROWSERS[browser]
    city, state, country, code, latitude, longitude = _PLACES[place]
    where = {
        "city": city,
        "state": state,
        "country": country,
        "postalCode": code,
        "geolocation": {"lat": latitude, "lon": longitude},
    }
    address = f"203.0.113.{host}"
    return {
        "userAgent": {"rawUserAgent": agent, "os": system, "browser": name},
        "zone": "null",
        "device": "Computer",
        "id": None,
        "ipAddress": address,
        "geographicalContext": where,
        "ipChain": [{"ip": address, "geographicalContext": where, "version": "V4", "source": None}],
    }


def _outcome(event_type: str) -> dict[str, Any]:
    # Real data: a lock is told as the failure of the last attempt to sign in.
    return _LOCKED_OUT if event_type == "user.account.lock" else _SUCCESS
