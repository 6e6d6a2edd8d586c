"""What the hook in Okta should be, and in what it differs. Nothing here does I/O."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Hook = Mapping[str, Any]

#: Active and verified hooks that an org may have. (Okta's documentation, "Event hooks", since 2024-07.)
MOST_HOOKS = 25
#: Event types that are named in a sentence.
FEW = 4


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
        """What Okta is sent to create the hook, or to put it in the place of `now`.

        What the configuration does not speak of stays as somebody has set it: static headers, the description.
        """
        before = now or {}
        scheme = {"type": "HEADER", "key": self.header, "value": self.secret}
        return {
            "name": self.name,
            "description": before.get("description"),
            "events": {"type": "EVENT_TYPE", "items": list(self.events)},
            "channel": {
                "type": "HTTP",
                "version": "1.0.0",
                "config": {
                    "uri": self.url,
                    "headers": _config_of(before).get("headers") or [],
                    "authScheme": scheme,
                },
            },
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that Okta has otherwise.

    Attributes:
        what: status, verification, url, header, events, filter, secret or refused.
        words: how it is, and how it should be.
        consequence: what happens because of it.
        is_harmless: no change is lost because of it.
    """

    what: str
    words: str
    consequence: str
    is_harmless: bool = False


def find_ours(hooks: Sequence[Hook], hook_id: str | None, url: str | None) -> Hook | None:
    """The hook of this service: the one whose id is remembered, else one that calls its address.

    Never one that only has its name: in an org of two services it would be the other's.
    """
    by_id = (hook for hook in hooks if hook_id is not None and hook.get("id") == hook_id)
    by_url = (hook for hook in hooks if url is not None and url_of(hook) == url)
    return next((hook for found in (by_id, by_url) for hook in found), None)


def find_namesake(hooks: Sequence[Hook], name: str, ours: Hook | None) -> Hook | None:
    """Another hook that has the name already."""
    return next((hook for hook in hooks if hook.get("name") == name and hook is not ours), None)


def others_at(hooks: Sequence[Hook], url: str, known: Collection[str]) -> list[Hook]:
    """Hooks that call the address, too, and are not among the known ids."""
    return [hook for hook in hooks if url_of(hook) == url and hook.get("id") not in known]


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
        words = f"The hook is not subscribed to {_some(missing)}."
        yield Difference("events", words, "These changes do not arrive by the hook.")
    if more:
        words = f"The hook is also subscribed to {_some(more)}."
        consequence = "No target needs them, and they count towards Okta's 400,000 events a day."
        yield Difference("events", words, consequence, is_harmless=True)
    if events.get("filter"):
        yield Difference("filter", "The hook has a filter.", "Events that it does not let through never arrive.")


def _some(types: list[str]) -> str:
    """The first few by name: an admin sees at once whether it is one or all."""
    shown = ", ".join(types[:FEW])
    return shown if len(types) <= FEW else f"{shown} and {len(types) - FEW} more"


def _config_of(hook: Hook) -> dict[str, Any]:
    return (hook.get("channel") or {}).get("config") or {}


def describe(hook: Hook) -> str:
    """A hook in a few words."""
    return f'"{hook.get("name")}" ({hook.get("id")}), which calls {url_of(hook)}'
