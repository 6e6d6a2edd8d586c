"""An event hook: where it points, and the proof that its owner wants it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import httpx2

from rosterhook.simulator import errors
from rosterhook.simulator.settings import Settings

NAME = "simulated hook"


@dataclass(frozen=True, slots=True)
class Hook:
    """One hook of the org. Settings of the same names say what each field does.

    Attributes:
        secret: sent as the value of `header`, as it is, with the verification too (okta-facts 1.2).
        headers: static headers sent beside it.
    """

    id: str
    url: str
    header: str = "Authorization"
    secret: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    batch_seconds: float = 0.1
    max_batch: int = 20
    patient: bool = False

    def own_headers(self) -> dict[str, str]:
        """What the owner configured to be sent."""
        secret = {self.header: self.secret} if self.secret else {}
        return {**self.headers, **secret}

    def as_json(self, *, verified: bool) -> dict[str, Any]:
        """As `GET /_sim/hook` shows it; like Okta, without the secret."""
        return {
            "id": self.id,
            "name": NAME,
            "status": "ACTIVE",
            "verificationStatus": "VERIFIED" if verified else "UNVERIFIED",
            "url": self.url,
            "header": self.header,
            "headers": dict(self.headers),
            "batch_seconds": self.batch_seconds,
            "max_batch": self.max_batch,
            "patient": self.patient,
        }


def hook_from_settings(settings: Settings, hook_id: str, url: str) -> Hook:
    """The hook that the org starts with."""
    return Hook(
        hook_id,
        url,
        settings.hook_header,
        settings.hook_secret,
        settings.hook_headers,
        settings.batch_seconds,
        settings.max_batch,
        settings.patient,
    )


def hook_from_json(settings: Settings, hook_id: str, body: dict[str, Any]) -> Hook:
    """The hook that somebody asks for; what isn't named is as in the settings. Raises ValueError."""
    known = {each.name for each in fields(Hook)} - {"id"}
    if unknown := sorted(set(body) - known):
        raise ValueError(f"no such key: {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    if not body.get("url"):
        raise ValueError("url is missing")
    default = hook_from_settings(settings, hook_id, str(body["url"]))
    values = {each.name: getattr(default, each.name) for each in fields(Hook)}
    return Hook(**{**values, **body, "headers": body.get("headers") or {}})


async def verify(client: httpx2.AsyncClient, hook: Hook, challenge: str, timeout_seconds: float) -> None:
    """Ask once, and once again when the first try fails (okta-facts 1.14). Raises E0000001 with Okta's words."""
    for _ in range(2):
        if await _echoes(client, hook, challenge, timeout_seconds):
            return
    raise errors.invalid("eventHook", f"Unable to verify event hook. Hook {NAME} execution failed")


async def _echoes(client: httpx2.AsyncClient, hook: Hook, challenge: str, timeout_seconds: float) -> bool:
    headers = {
        "Accept": "application/json",
        "User-Agent": "Okta-Integrations",
        **hook.own_headers(),
        "X-Okta-Verification-Challenge": challenge,
    }
    try:
        response = await client.get(hook.url, headers=headers, timeout=timeout_seconds)
        return bool(response.status_code == 200 and response.json() == {"verification": challenge})
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError):
        return False
