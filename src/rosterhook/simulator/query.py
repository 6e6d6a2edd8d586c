"""Okta's `filter` and `search` expressions: read once, then asked of each user.

The grammar is SCIM's without `not` and `ne` (okta-facts 5.2, 5.3): clauses of attribute, operator and value, joined by
`and` and `or`, with parentheses. `filter` knows seven attributes and compares exactly; `search` knows the whole profile
and ignores case.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rosterhook.simulator import errors

User = dict[str, Any]
Test = Callable[[User], bool]

FILTERABLE = frozenset(
    {"id", "status", "lastUpdated", "profile.login", "profile.email", "profile.firstName", "profile.lastName"}
)
SEARCHABLE = frozenset({"id", "status", "created", "activated", "statusChanged", "lastUpdated", "type.id"})
CONTAINABLE = frozenset({"profile.firstName", "profile.lastName", "profile.email", "profile.login"})
MAX_DEPTH = 32

_TOKEN = re.compile(r'\s*(?:([()])|("(?:[^"\\]|\\.)*")|([^\s()"]+))')
_ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}


@dataclass(frozen=True, slots=True)
class Query:
    """An expression that was read.

    Attributes:
        matches: whether a user is meant.
        ids: when the expression only names ids, these; then nobody else has to be asked.
    """

    matches: Test
    ids: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class _Part:
    test: Test
    ids: frozenset[str] | None = None


def parse_filter(text: str) -> Query:
    """Read a `filter`; raises E0000031 for what Okta would refuse."""
    return _Reader(text, _filter_clause).query()


def parse_search(text: str) -> Query:
    """Read a `search`; raises E0000031 for what Okta would refuse."""
    return _Reader(text, _search_clause).query()


class _Reader:
    """Reads left to right; only a parenthesis nests, so that a thousand clauses cost a thousand steps."""

    def __init__(self, text: str, clause: Callable[[str, str, Any], _Part]) -> None:
        self._tokens = _tokens(text)
        self._at = 0
        self._clause = clause

    def query(self) -> Query:
        part = self._any_of(0)
        if self._at < len(self._tokens):
            raise errors.bad_search()
        return Query(part.test, part.ids)

    def _any_of(self, depth: int) -> _Part:
        parts = [self._all_of(depth)]
        while self._word("or"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else _union(parts)

    def _all_of(self, depth: int) -> _Part:
        parts = [self._one(depth)]
        while self._word("and"):
            parts.append(self._one(depth))
        if len(parts) == 1:
            return parts[0]
        return _Part(lambda user: all(part.test(user) for part in parts))

    def _one(self, depth: int) -> _Part:
        if not self._word("("):
            return self._comparison()
        if depth >= MAX_DEPTH:
            raise errors.bad_search()
        inner = self._any_of(depth + 1)
        if not self._word(")"):
            raise errors.bad_search()
        return inner

    def _comparison(self) -> _Part:
        attribute, verb = self._next(), self._next().lower()
        value = None if verb == "pr" else _literal(self._next())
        return self._clause(attribute, verb, value)

    def _word(self, wanted: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].lower() == wanted:
            self._at += 1
            return True
        return False

    def _next(self) -> str:
        if self._at >= len(self._tokens):
            raise errors.bad_search()
        self._at += 1
        return self._tokens[self._at - 1]


def _union(parts: list[_Part]) -> _Part:
    named = [part.ids for part in parts if part.ids is not None]
    if len(named) == len(parts):
        ids = frozenset[str]().union(*named)
        return _Part(lambda user: user["id"] in ids, ids)
    return _Part(lambda user: any(part.test(user) for part in parts))


def _filter_clause(attribute: str, verb: str, value: Any) -> _Part:
    if attribute not in FILTERABLE or not isinstance(value, str):
        raise errors.bad_search()
    if verb != "eq" and not (attribute == "lastUpdated" and verb in _ORDERED):
        raise errors.bad_search()
    if attribute == "id":
        return _Part(lambda user: bool(user["id"] == value), frozenset({value}))
    return _Part(_test(attribute, verb, value, lambda found: found))


def _search_clause(attribute: str, verb: str, value: Any) -> _Part:
    if attribute not in SEARCHABLE and not re.fullmatch(r"profile\.\w+", attribute):
        raise errors.bad_search()
    if verb not in {"eq", "sw", "pr", *_ORDERED} and not (verb == "co" and attribute in CONTAINABLE):
        raise errors.bad_search()
    if verb in {"sw", "co"} and not isinstance(value, str):
        raise errors.bad_search()
    # An id is compared exactly in both: Okta's ids differ by case alone.
    if attribute == "id" and verb == "eq" and isinstance(value, str):
        return _Part(lambda user: bool(user["id"] == value), frozenset({value}))
    return _Part(_test(attribute, verb, value, _folded))


def _test(attribute: str, verb: str, value: Any, fold: Callable[[Any], Any]) -> Test:
    wanted = fold(value)

    def matches(user: User) -> bool:
        found = attribute_of(user, attribute)
        candidates = found if isinstance(found, list) else [found]
        return any(_compare(verb, fold(candidate), wanted) for candidate in candidates if candidate is not None)

    return matches


def _compare(verb: str, found: Any, wanted: Any) -> bool:
    if verb == "pr":
        return True
    # True == 1 in Python, but not in a directory.
    if isinstance(found, bool) != isinstance(wanted, bool):
        return False
    if verb == "eq":
        return bool(found == wanted)
    if verb in _ORDERED:
        alike = isinstance(found, str) == isinstance(wanted, str)
        return alike and _ORDERED[verb](found, wanted)
    if not isinstance(found, str):
        return False
    return found.startswith(wanted) if verb == "sw" else wanted in found


def attribute_of(user: User, path: str) -> Any:
    """The value at a dotted path, or None."""
    found: Any = user
    for step in path.split("."):
        if not isinstance(found, dict):
            return None
        found = found.get(step)
    return found


def _folded(value: Any) -> Any:
    return value.casefold() if isinstance(value, str) else value


def _literal(token: str) -> Any:
    try:
        value = json.loads(token)
    except ValueError:
        raise errors.bad_search() from None
    if isinstance(value, str | bool | int | float):
        return value
    raise errors.bad_search()


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    at, end = 0, len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if match is None:
            raise errors.bad_search()
        tokens.append(match.group(match.lastindex or 0))
        at = match.end()
    if not tokens:
        raise errors.bad_search()
    return tokens
