"""What an event hook may be: the body of a create or a replace, read and checked.

Okta's rules are documented, its words for a broken one are not: those here follow the form of its other refusals, so
a caller may rely on the status and the code alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rosterhook.simulator import checks, errors
from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.hooks.eligible import may_be_subscribed
from rosterhook.simulator.hooks.filter import compiled
from rosterhook.simulator.hooks.model import Channel

LONGEST_NAME, LONGEST_URI, MOST_ITEMS = 255, 1024, 300

#: Headers that Okta sends itself. Of its list only `Accept` is documented.
RESERVED_HEADERS = frozenset(
    ("accept", "connection", "content-length", "content-type", "host", "transfer-encoding", "user-agent")
)
_BLANK = "The field cannot be left blank"


class Wanted(NamedTuple):
    """What a caller may choose about a hook."""

    name: str
    items: tuple[str, ...]
    channel: Channel
    description: str | None
    filters: Mapping[str, str]


def wanted(body: dict[str, Any], *, allow_http: bool) -> Wanted:
    """The hook that the body describes. Raises E0000001 for the first field that breaks a rule."""
    name = _text(body.get("name"), "name", LONGEST_NAME)
    description = body.get("description")
    if description is not None and not isinstance(description, str):
        raise _refusal("description", "must be a text")
    events = _object(body.get("events"), "events")
    items = _items(events)
    channel = _channel(_object(body.get("channel"), "channel"), allow_http=allow_http)
    return Wanted(name, items, channel, description, _filters(events.get("filter"), items))


def in_okta_order(items: Iterable[str]) -> tuple[str, ...]:
    """Without doubles, in the order of every recorded answer, which is that of a Java HashSet."""
    distinct = list(dict.fromkeys(items))
    slots = 16
    while len(distinct) > slots * 0.75:
        slots *= 2
    return tuple(sorted(distinct, key=lambda item: _java_hash(item) % slots))


def _java_hash(text: str) -> int:
    value = 0
    for character in text:
        value = (31 * value + ord(character)) & 0xFFFFFFFF
    return value ^ (value >> 16)


def _items(events: dict[str, Any]) -> tuple[str, ...]:
    _only(events.get("type"), "events.type", "EVENT_TYPE")
    items = events.get("items")
    if not isinstance(items, list) or not items:
        raise _refusal("events.items", _BLANK)
    if len(items) > MOST_ITEMS:
        raise _refusal("events.items", f"must not be more than {MOST_ITEMS}")
    for item in items:
        if not isinstance(item, str) or not may_be_subscribed(item):
            raise _refusal("events.items", f"'{item}' is not an event type that is eligible for event hooks")
    return in_okta_order(items)


def _filters(wanted_filter: Any, items: tuple[str, ...]) -> dict[str, str]:
    if wanted_filter is None:
        return {}
    conditions = _object(wanted_filter, "events.filter").get("eventFilterMap")
    if not isinstance(conditions, list):
        raise _refusal("events.filter", "eventFilterMap must be a list")
    return dict(_condition(each, items) for each in conditions)


def _condition(entry: Any, items: tuple[str, ...]) -> tuple[str, str]:
    field = "events.filter.eventFilterMap"
    event = _object(entry, field).get("event")
    if event not in items:
        raise _refusal(field, f"'{event}' is not among events.items")
    expression = _object(entry.get("condition"), f"{field}.condition").get("expression")
    if not isinstance(expression, str):
        raise _refusal(f"{field}.condition.expression", _BLANK)
    try:
        compiled(expression)
    except ValueError as error:
        raise _refusal(f"{field}.condition.expression", f"invalid expression: {error}") from None
    return str(event), expression


def _channel(channel: dict[str, Any], *, allow_http: bool) -> Channel:
    _only(channel.get("type"), "channel.type", "HTTP")
    _only(channel.get("version"), "channel.version", "1.0.0")
    config = _object(channel.get("config"), "channel.config")
    uri = _uri(config.get("uri"), allow_http=allow_http)
    header, secret = _auth_scheme(config.get("authScheme"))
    return Channel(uri, header, secret, _headers(config.get("headers")))


def _uri(value: Any, *, allow_http: bool) -> str:
    field = "channel.config.uri"
    uri = _text(value, field, LONGEST_URI)
    if not uri.startswith(("https://", "http://") if allow_http else "https://"):
        raise _refusal(field, "must begin with https://")
    if re.search(r"\s", uri):
        raise _refusal(field, "must not contain white space")
    try:
        parts = urlsplit(uri)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise _refusal(field, "must be a URL")
    return uri


def _headers(value: Any) -> tuple[tuple[str, str], ...]:
    field = "channel.config.headers"
    if value is not None and not isinstance(value, list):
        raise _refusal(field, "must be a list")
    headers = []
    for entry in value or ():
        # Okta's description lets an entry be null.
        if entry is not None:
            header = _object(entry, field)
            headers.append((_header_name(header.get("key"), field), _header_value(header.get("value"), field)))
    for key, _ in headers:
        if key.lower() in RESERVED_HEADERS or key.lower().startswith("x-okta-"):
            raise _refusal(field, f"'{key}' is a reserved header")
    return tuple(headers)


def _auth_scheme(value: Any) -> tuple[str, str]:
    if value is None:
        return "", ""
    field = "channel.config.authScheme"
    scheme = _object(value, field)
    _only(scheme.get("type"), f"{field}.type", "HEADER")
    key = _header_name(scheme.get("key"), f"{field}.key")
    # Okta never shows the value, and its reference of 2019 requires it: a replace has to send it again.
    return key, _header_value(scheme.get("value"), f"{field}.value")


def _header_name(value: Any, field: str) -> str:
    try:
        return checks.header_name(field, value)
    except ValueError:
        raise _refusal(field, "must be the name of a header") from None


def _header_value(value: Any, field: str) -> str:
    text = _text(value, field, LONGEST_URI)
    if not (text.isascii() and text.isprintable()):
        raise _refusal(field, "must be the value of a header")
    return text


def _text(value: Any, field: str, longest: int) -> str:
    if not isinstance(value, str) or not value.strip():
        raise _refusal(field, _BLANK)
    if len(value) > longest:
        raise _refusal(field, f"must not be longer than {longest} characters")
    return value


def _object(value: Any, field: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _refusal(field, _BLANK)
    return value


def _only(value: Any, field: str, allowed: str) -> None:
    if value != allowed:
        raise _refusal(field, f"must be {allowed}")


def _refusal(field: str, text: str) -> OktaError:
    return errors.invalid(field, f"{field}: {text}")
