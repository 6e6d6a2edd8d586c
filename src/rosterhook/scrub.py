"""Takes one person out of an event or a delivery, and leaves everybody else in."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

FORGOTTEN = "[forgotten]"
#: What is left of a person where an event names them: enough to know the event again.
_LEFT = ("id", "type")
#: Where somebody was, and with what: personal too, in the events that they caused.
_OF_ACTOR = ("client", "request", "securityContext", "authenticationContext", "device")
#: Free words about whom an event names.
_WORDS = ("displayMessage", "debugContext")
#: Where a login stands that is no address, and could be a word elsewhere.
_LOGIN_KEYS = frozenset({"alternateId", "login", "userName", "email"})


@dataclass(frozen=True, slots=True)
class Person:
    """Who is to be taken out.

    Attributes:
        ids: Okta's ids; they stay, as tombstones.
        texts: login and e-mail addresses, in lower case: they go, wherever they stand.
    """

    ids: frozenset[str]
    texts: frozenset[str]

    def may_be_in(self, body: bytes) -> bool:
        """Tell whether a body may name the person; without reading it, if nothing in it is spelt in escapes."""
        text = body.decode("utf-8", "replace").casefold()
        return "\\u00" in text or any(
            spelling in text for each in (*self.ids, *self.texts) for spelling in _spellings(each)
        )

    def is_told_by(self, text: str) -> bool:
        """Tell whether a text has one of the person's addresses in it, as a whole word."""
        lower = text.casefold()
        return any("@" in each and _word(each).search(lower) for each in self.texts)


def scrub(body: bytes, person: Person) -> bytes | None:
    """A body without the person; None where nothing of theirs is in it.

    One that cannot be taken apart goes as a whole.
    """
    if not person.may_be_in(body):
        return None
    try:
        content = msgspec.json.decode(body)
        scrubbed = _scrubbed(content, person)
        return None if scrubbed == content else msgspec.json.encode(scrubbed)
    except (msgspec.DecodeError, UnicodeDecodeError):
        text = body.decode("utf-8", "replace")
        is_named = person.is_told_by(text) or any(each in text for each in person.ids)
        return FORGOTTEN.encode() if is_named else None
    except RecursionError:
        return FORGOTTEN.encode()


def _scrubbed(value: Any, person: Person, key: str = "") -> Any:
    if isinstance(value, dict):
        if _is(value, person):
            return {name: value[name] for name in _LEFT if name in value}
        return _event(value, person) if "eventType" in value else _each(value, person)
    if isinstance(value, list):
        return [_scrubbed(item, person) for item in value]
    if isinstance(value, str):
        is_login = key in _LOGIN_KEYS and value.casefold() in person.texts
        return FORGOTTEN if is_login or person.is_told_by(value) else value
    return value


def _each(value: dict[str, Any], person: Person) -> dict[str, Any]:
    return {key: _scrubbed(item, person, key) for key, item in value.items()}


def _event(event: dict[str, Any], person: Person) -> dict[str, Any]:
    """An event; where it names the person, also without what else it tells of them."""
    targets = event.get("target")
    named = targets if isinstance(targets, list) else []
    is_actor = _is(event.get("actor"), person)
    if not is_actor and not any(_is(target, person) for target in named):
        return _each(event, person)
    dropped = {*_WORDS, *(_OF_ACTOR if is_actor else ())}
    kept = _each({key: item for key, item in event.items() if key not in dropped}, person)
    if isinstance(kept.get("target"), list):
        kept["target"] = [_without_account(target) for target in kept["target"]]
    return kept


def _without_account(target: Any) -> Any:
    """A target; the person's account in an application is the person under another name."""
    if isinstance(target, dict) and target.get("type") == "AppUser":
        return {name: target[name] for name in _LEFT if name in target}
    return target


def _is(value: Any, person: Person) -> bool:
    """Tell whether an object is the person: an actor or a target of an event, or a user."""
    if not isinstance(value, dict):
        return False
    login = value.get("alternateId")
    return value.get("id") in person.ids or (isinstance(login, str) and login.casefold() in person.texts)


@cache
def _spellings(text: str) -> frozenset[str]:
    escaped = (json.dumps(each)[1:-1].casefold() for each in (text, text.upper(), text.lower()))
    return frozenset({text.casefold(), *escaped})


@cache
def _word(text: str) -> re.Pattern[str]:
    """The text, but not as a part of a longer address."""
    return re.compile(rf"(?<![\w.+-]){re.escape(text)}(?!\w|[.-]\w)")
