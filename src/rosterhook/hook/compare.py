"""What the hook in Okta should be, and in what it differs. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

Hook = Mapping[str, Any]

#: Active and verified hooks that an org may have. (Okta's documentation, "Event hooks", since 2024-07.)
MOST_HOOKS = 25


@dataclass(frozen=True, slots=True)
class Wanted:
    """The hook as the configuration says.

    Attributes:
        secret: value of the header. Okta never shows it again, so every replacement sends it.
        events: the types to subscribe to.
    """

    name: str
    url: str
    header: str
    events: tuple[str, ...]
    secret: str = field(repr=False)

    def body(self, now: Hook | None = None) -> dict[str, Any]:
        """What Okta is sent to create the hook, or to replace `now`; static headers of others are kept."""
        headers = [] if now is None else _config_of(now).get("headers") or []
        scheme = {"type": "HEADER", "key": self.header, "value": self.secret}
        return {
            "name": self.name if now is None else now.get("name") or self.name,
            "events": {"type": "EVENT_TYPE", "items": list(self.events)},
            "channel": {
                "type": "HTTP",
                "version": "1.0.0",
                "config": {"uri": self.url, "headers": headers, "authScheme": scheme},
            },
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that Okta has otherwise.

    Attributes:
        what: status, verification, url, header, events or filter.
        words: how it is, and how it should be.
        consequence: what happens because of it.
    """

    what: str
    words: str
    consequence: str

    def __str__(self) -> str:
        return f"{self.words} {self.consequence}"


def own_hook(hooks: Sequence[Hook], hook_id: str | None, name: str, url: str | None) -> Hook | None:
    """The hook of this service: the one it made, else one of its name, else one that calls its address."""
    by_id = (hook for hook in hooks if hook_id is not None and hook.get("id") == hook_id)
    by_name = (hook for hook in hooks if hook.get("name") == name)
    by_url = (hook for hook in hooks if url is not None and url_of(hook) == url)
    return next((hook for found in (by_id, by_name, by_url) for hook in found), None)


def url_of(hook: Hook) -> str:
    """The address that the hook calls."""
    return str(_config_of(hook).get("uri") or "")


def is_active(hook: Hook) -> bool:
    """Whether Okta may send to it."""
    return hook.get("status") == "ACTIVE"


def is_verified(hook: Hook) -> bool:
    """Whether its address has proved itself."""
    return hook.get("verificationStatus") == "VERIFIED"


def is_full(hooks: Iterable[Hook]) -> bool:
    """Whether Okta would refuse one more."""
    return sum(is_active(hook) and is_verified(hook) for hook in hooks) >= MOST_HOOKS


def differences(hook: Hook, wanted: Wanted) -> list[Difference]:
    """All in which the hook is not what the configuration says, the gravest first."""
    return [*_state(hook), *_address(hook, wanted), *_events(hook, wanted)]


def _state(hook: Hook) -> Iterator[Difference]:
    silent = "Okta sends nothing, and never makes up for it."
    if not is_active(hook):
        yield Difference("status", f"The hook is {hook.get('status') or 'without a status'}, not ACTIVE.", silent)
    if not is_verified(hook):
        yield Difference("verification", "The hook's address has not proved itself since it was set.", silent)


def _address(hook: Hook, wanted: Wanted) -> Iterator[Difference]:
    url, header = url_of(hook), str((_config_of(hook).get("authScheme") or {}).get("key") or "")
    if url != wanted.url:
        words = f"Okta calls {url or 'no address'}, not {wanted.url}."
        yield Difference("url", words, "Events go there and not here.")
    if header.lower() != wanted.header.lower():
        words = f"Okta sends the secret in {header or 'no header'}, not in {wanted.header}."
        yield Difference("header", words, "Each delivery is refused with 401, which Okta never repeats: it is lost.")


def _events(hook: Hook, wanted: Wanted) -> Iterator[Difference]:
    events = hook.get("events") or {}
    # Okta returns them in an order of its own.
    items = set(events.get("items") or [])
    missing, more = sorted(set(wanted.events) - items), sorted(items - set(wanted.events))
    if missing:
        words = f"The hook is not subscribed to {', '.join(missing)}."
        yield Difference("events", words, "These changes do not arrive by the hook.")
    if more:
        words = f"The hook is also subscribed to {', '.join(more)}."
        yield Difference("events", words, "No target needs them, and they count towards Okta's 400,000 events a day.")
    if events.get("filter"):
        yield Difference("filter", "The hook has a filter.", "Events that it does not let through never arrive.")


def _config_of(hook: Hook) -> dict[str, Any]:
    return (hook.get("channel") or {}).get("config") or {}


def path_problem(url: str, hook_path: str, tutorial_path: str) -> str | None:
    """What is odd about the path of the address, if a proxy does not rewrite it."""
    path = urlsplit(url).path.rstrip("/")
    if path in {hook_path.rstrip("/"), tutorial_path}:
        return None
    return f"Its path is {path or '/'}, and this service listens on {hook_path}: the proxy in front must rewrite it."
