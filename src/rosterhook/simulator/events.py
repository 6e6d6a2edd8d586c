"""The events of an org, in the form that a hook delivers (okta-facts 1.20, 1.21).

Against the System Log's form: `ipChain` sits in `client`, there is no `request`, and what is unknown is an
explicit null.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

Event = dict[str, Any]
Target = dict[str, Any]


class Kind(NamedTuple):
    """What one type of event always says: its message, the name it had before the System Log, its severity."""

    message: str
    legacy: str | None
    severity: str = "INFO"


#: Only types that Okta offers to event hooks. There is none for expire_password, nor for a delete that is completed.
KINDS: dict[str, Kind] = {
    "user.lifecycle.create": Kind("Create okta user", "core.user.config.user_creation.success"),
    "user.lifecycle.activate": Kind("Activate Okta user", "core.user.config.user_activated"),
    "user.lifecycle.deactivate": Kind("Deactivate Okta user", "core.user.config.user_deactivated"),
    "user.lifecycle.reactivate": Kind("Reactivate Okta user", "core.user.config.user_reactivation.success"),
    "user.lifecycle.suspend": Kind("Suspend Okta user", "core.user.config.user_status.suspended"),
    "user.lifecycle.unsuspend": Kind("Unsuspend Okta user", "core.user.config.user_status.unsuspended"),
    "user.lifecycle.delete.initiated": Kind("Delete Okta user initiated", None),
    "user.account.update_profile": Kind("Update user profile for Okta", "core.user.config.profile_update.success"),
    "user.account.update_password": Kind("User update password for Okta", "core.user.config.password_update.success"),
    "user.account.reset_password": Kind(
        "Fired when the user's Okta password is reset", "core.user.config.user_status.password_reset"
    ),
    "user.account.lock": Kind("Max sign in attempts exceeded", "core.user_auth.account_locked", "DEBUG"),
    "user.account.unlock": Kind("Auto unlock user account for Okta", "core.user.config.account_unlocked"),
    "group.user_membership.add": Kind("Add user to group membership", "core.user_group_member.user_add"),
    "group.user_membership.remove": Kind("Remove user from group membership", "core.user_group_member.user_remove"),
    "application.user_membership.add": Kind(
        "Add user to application membership", "app.generic.provision.assign_user_to_app"
    ),
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
        self, event_type: str, targets: list[Target], *, uri: str, changed: list[str] | None = None, job: bool = False
    ) -> Event:
        """One event; `job` is for what Okta does by itself, such as a group rule."""
        kind, request_id = KINDS[event_type], new_id(self._rng, "Z", 26)
        debug = {"requestId": request_id, "requestUri": uri, "url": f"{uri}?", "threatSuspected": "false"}
        if changed is not None:
            debug["changedAttributes"] = ",".join(changed)
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
            "outcome": _outcome(event_type),
            "target": targets,
            "transaction": {"type": "JOB" if job else "WEB", "id": request_id, "detail": {}},
            "debugContext": {"debugData": debug},
            "legacyEventType": kind.legacy,
            "authenticationContext": self._authentication(),
            "securityContext": _security(),
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
        agent, system, browser = self._rng.choice(_BROWSERS)
        city, state, country, code, latitude, longitude = self._rng.choice(_PLACES)
        place = {
            "city": city,
            "state": state,
            "country": country,
            "postalCode": code,
            "geolocation": {"lat": latitude, "lon": longitude},
        }
        address = f"203.0.113.{self._rng.randrange(1, 255)}"
        return {
            "userAgent": {"rawUserAgent": agent, "os": system, "browser": browser},
            "zone": "null",
            "device": "Computer",
            "id": None,
            "ipAddress": address,
            "geographicalContext": place,
            "ipChain": [{"ip": address, "geographicalContext": place, "version": "V4", "source": None}],
        }

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


def _outcome(event_type: str) -> dict[str, Any]:
    # Real data: a lock is told as the failure of the last attempt to sign in.
    if event_type == "user.account.lock":
        return {"result": "FAILURE", "reason": "LOCKED_OUT"}
    return {"result": "SUCCESS", "reason": None}


def _security() -> dict[str, Any]:
    return {
        "asNumber": 64496,
        "asOrg": "example network",
        "isp": "example isp",
        "domain": "example.net",
        "isProxy": False,
    }
