"""The hook of `/_sim/hook` and of the settings: an event hook like the others, made and verified in one step.

It subscribes to everything about users, groups and applications, may be reached by http, and may be given a pace of
its own; Okta allows neither of the last two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rosterhook.simulator.checks import header_name, header_value, number, switch, table, web_address
from rosterhook.simulator.hooks.eligible import OFFERED
from rosterhook.simulator.hooks.model import Channel, Hook, Pace
from rosterhook.simulator.hooks.registry import Hooks
from rosterhook.simulator.hooks.rules import Wanted, in_okta_order
from rosterhook.simulator.settings import Settings

NAME = "simulated hook"


@dataclass(frozen=True, slots=True)
class Asked:
    """What may be said about it. `Settings` has a default for each but the URL. Raises ValueError for nonsense."""

    url: str
    header: str = "Authorization"
    secret: str = field(default="", repr=False)
    headers: Mapping[str, str] = field(default_factory=dict)
    batch_seconds: float = 0.1
    max_batch: int = 20
    patient: bool = False

    def __post_init__(self) -> None:
        web_address("url", self.url)
        if self.header:
            header_name("header", self.header)
        header_value("secret", self.secret)
        for name, value in table("headers", self.headers).items():
            header_value(f"headers.{header_name('each of headers', name)}", value)
        number("batch_seconds", self.batch_seconds)
        number("max_batch", self.max_batch, 1, whole=True)
        switch("patient", self.patient)

    def channel(self) -> Channel:
        """Where it points."""
        return Channel(self.url, self.header, self.secret, tuple(self.headers.items()))

    def pace(self) -> Pace:
        """How it gets its events."""
        return Pace(self.batch_seconds, self.max_batch, self.patient)


class Shortcut:
    """Keeps one hook among the others."""

    def __init__(self, settings: Settings, hooks: Hooks) -> None:
        self._settings = settings
        self._hooks = hooks

    @property
    def hook(self) -> Hook | None:
        """It, if there is one."""
        return next((hook for hook in self._hooks if hook.name == NAME), None)

    def as_json(self) -> dict[str, Any] | None:
        """As `GET /_sim/hook` shows it: without the secret."""
        hook = self.hook
        if hook is None:
            return None
        return {
            "id": hook.id,
            "name": hook.name,
            "status": "ACTIVE" if hook.active else "INACTIVE",
            "verificationStatus": "VERIFIED" if hook.verified else "UNVERIFIED",
            "url": hook.channel.uri,
            "header": hook.channel.header,
            "headers": dict(hook.channel.headers),
            "batch_seconds": hook.pace.batch_seconds,
            "max_batch": hook.pace.max_batch,
            "patient": hook.pace.patient,
        }

    def put(self, url: str, **chosen: Any) -> Hook:
        """Create it, or replace the one that there is; UNVERIFIED either way.

        Args:
            chosen: fields of `Asked`; the settings say the others.

        Raises:
            ValueError: there is no such field, or it cannot be so.
        """
        asked = self._asked(url, chosen)
        wanted = Wanted(NAME, in_okta_order(OFFERED), asked.channel(), None, {})
        hook = self.hook
        if hook is None:
            return self._hooks.create(wanted, pace=asked.pace())
        self._hooks.unverify(hook.id)
        self._hooks.activate(hook.id)
        return self._hooks.replace(hook.id, wanted, pace=asked.pace())

    async def set(self, body: dict[str, Any]) -> None:
        """Put it and have it prove itself. Raises Unproven when it doesn't, ValueError as `put`."""
        url = body.get("url")
        if not isinstance(url, str) or not url:
            raise ValueError("url is missing")
        hook = self.put(**{**body, "url": url})
        await self._hooks.verify(hook.id)

    def remove(self) -> None:
        """Delete it, whatever its status; nothing to delete is fine."""
        hook = self.hook
        if hook is not None:
            self._hooks.deactivate(hook.id)
            self._hooks.delete(hook.id)

    def _asked(self, url: str, chosen: dict[str, Any]) -> Asked:
        settings = self._settings
        usual: dict[str, Any] = {
            "header": settings.hook_header,
            "secret": settings.hook_secret,
            "headers": settings.hook_headers,
            "batch_seconds": settings.batch_seconds,
            "max_batch": settings.max_batch,
            "patient": settings.patient,
        }
        if unknown := sorted(set(chosen) - set(usual)):
            known = ", ".join(sorted({"url", *usual}))
            raise ValueError(f"no such key: {', '.join(unknown)}; there are {known}")
        return Asked(url, **{**usual, **chosen})
