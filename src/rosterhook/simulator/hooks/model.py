"""An event hook: what it subscribes to, where it points, and how Okta shows it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from rosterhook.simulator.events import Target, target


@dataclass(frozen=True, slots=True)
class Channel:
    """Where deliveries go, and what is sent with each, the verification too (okta-facts 1.2).

    Attributes:
        header: name of the header that carries the secret; empty when the hook has no authScheme.
        secret: sent as it is, shown to nobody.
        headers: static headers sent beside it.
    """

    uri: str
    header: str = ""
    secret: str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = ()

    def own_headers(self) -> dict[str, str]:
        """What the owner configured to be sent."""
        secret = {self.header: self.secret} if self.header and self.secret else {}
        return {**dict(self.headers), **secret}

    def as_json(self) -> dict[str, Any]:
        """As Okta's answers have it: with the method, without the secret."""
        config: dict[str, Any] = {
            "uri": self.uri,
            "headers": [{"key": key, "value": value} for key, value in self.headers],
            "method": "POST",
        }
        if self.header:
            config["authScheme"] = {"type": "HEADER", "key": self.header}
        return {"type": "HTTP", "version": "1.0.0", "config": config}


@dataclass(frozen=True, slots=True)
class Pace:
    """How deliveries are made; the settings of the same names say what each is. Okta lets nobody choose."""

    batch_seconds: float = 0.1
    max_batch: int = 20
    patient: bool = False


@dataclass(frozen=True, slots=True)
class Hook:
    """One event hook of the org.

    Attributes:
        items: the event types it subscribes to.
        filters: an expression by event type (okta-facts 1.17).
        created: as Okta writes a time, in whole seconds; so is `updated`.
        hears_from: in seconds since 1970; it gets no event before (okta-facts 1.11).
    """

    id: str
    name: str
    items: tuple[str, ...]
    channel: Channel
    created: str
    created_by: str
    updated: str
    description: str | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    active: bool = True
    verified: bool = False
    hears_from: float = 0.0
    pace: Pace = field(default_factory=Pace)

    @property
    def listens(self) -> bool:
        """Only a hook that is both gets anything."""
        return self.active and self.verified

    def as_json(self, base_url: str) -> dict[str, Any]:
        """As every recorded answer since 2025 has it."""
        return {
            "id": self.id,
            "status": "ACTIVE" if self.active else "INACTIVE",
            "verificationStatus": "VERIFIED" if self.verified else "UNVERIFIED",
            "name": self.name,
            "description": self.description,
            "created": self.created,
            "createdBy": self.created_by,
            "lastUpdated": self.updated,
            "events": {"type": "EVENT_TYPE", "items": list(self.items), "filter": self._filter()},
            "channel": self.channel.as_json(),
            "_links": self._links(f"{base_url}/api/v1/eventHooks/{self.id}"),
        }

    def as_target(self) -> Target:
        """As the log's events name it."""
        return target("EventHook", self.id, "unknown", self.name)

    def _filter(self) -> dict[str, Any] | None:
        if not self.filters:
            return None
        conditions = [
            {"event": event, "condition": {"version": None, "expression": expression}}
            for event, expression in self.filters.items()
        ]
        return {"type": "EXPRESSION_LANGUAGE", "eventFilterMap": conditions}

    def _links(self, url: str) -> dict[str, Any]:
        # Recorded: an inactive hook has no link to verify it, whatever the API description shows.
        if not self.active:
            return {
                "activate": _link(f"{url}/lifecycle/activate", "POST"),
                "self": {"href": url},
                "delete": _link(url, "DELETE"),
            }
        return {
            "self": {"href": url},
            "verify": _link(f"{url}/lifecycle/verify", "POST"),
            "deactivate": _link(f"{url}/lifecycle/deactivate", "POST"),
        }


def hook_from_dump(dumped: dict[str, Any]) -> Hook:
    """The hook whose `dataclasses.asdict` went through JSON."""
    channel = dumped["channel"]
    headers = tuple((key, value) for key, value in channel["headers"])
    parts = {
        "items": tuple(dumped["items"]),
        "channel": Channel(**{**channel, "headers": headers}),
        "pace": Pace(**dumped["pace"]),
    }
    return Hook(**{**dumped, **parts})


def _link(href: str, method: str) -> dict[str, Any]:
    return {"href": href, "hints": {"allow": [method]}}
