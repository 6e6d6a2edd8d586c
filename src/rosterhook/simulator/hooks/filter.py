"""Filters of event hooks: the part of Okta's Expression Language that Okta documents for them (okta-facts 1.17).

`eq`, `ne`, `&&`, `||`, parentheses, texts, the fields below, and the size of a selection of targets::

    event.target.?[type eq 'UserGroup' && displayName eq 'Sales'].size() > 0
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

Scope = dict[str, Any]
Value = Callable[[Scope], Any]

FIELDS: dict[str, tuple[str, ...]] = {
    "event.eventType": ("eventType",),
    "event.outcome.reason": ("outcome", "reason"),
    "event.outcome.result": ("outcome", "result"),
    "event.debugData.changedAttributes": ("debugContext", "debugData", "changedAttributes"),
    **{f"event.actor.{name}": ("actor", name) for name in ("id", "type", "alternateId", "displayName")},
}
TARGET_FIELDS: dict[str, tuple[str, ...]] = {name: (name,) for name in ("id", "type", "alternateId", "displayName")}

_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "==": operator.eq,
    "ne": operator.ne,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
}
_SELECTION, _SIZE = "event.target.?[", "].size()"
_TOKEN = re.compile(
    r"\s*(event\.target\.\?\[|\]\s*\.size\(\)|'[^']*'|\"[^\"]*\"|\d+|[A-Za-z][\w.]*|&&|\|\||[=!<>]=|[()<>])"
)


class _Typed(NamedTuple):
    """A value, and what it is: "boolean", "number" or "text"."""

    type: str
    value: Value


def matches(expression: str, event: Scope) -> bool:
    """Whether the filter lets the event pass. Raises ValueError for an expression outside of the grammar."""
    return bool(compiled(expression)(event))


@lru_cache(maxsize=1024)
def compiled(expression: str) -> Value:
    """The filter as a function of the event. Raises ValueError."""
    parser = _Parser(_tokens(expression))
    typed = parser.either(FIELDS)
    if parser.rest:
        raise ValueError(f"unexpected {parser.rest[0]}")
    if typed.type != "boolean":
        raise ValueError("it does not evaluate to a Boolean")
    return typed.value


def _tokens(expression: str) -> list[str]:
    tokens, place, text = [], 0, expression.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise ValueError(f"unexpected {text[place:].split()[0][:20]}")
        tokens.append(re.sub(r"^\]\s*", "]", match[1]))
        place = match.end()
    return tokens


class _Parser:
    """Recursive descent; `fields` are those of the event or, within brackets, those of a target."""

    def __init__(self, tokens: list[str]) -> None:
        self.rest = tokens

    def either(self, fields: dict[str, tuple[str, ...]]) -> _Typed:
        left = self.both(fields)
        while self._next_is("||"):
            left = _combined(any, left, self.both(fields))
        return left

    def both(self, fields: dict[str, tuple[str, ...]]) -> _Typed:
        left = self.comparison(fields)
        while self._next_is("&&"):
            left = _combined(all, left, self.comparison(fields))
        return left

    def comparison(self, fields: dict[str, tuple[str, ...]]) -> _Typed:
        if self._next_is("("):
            inner = self.either(fields)
            self._expect(")")
            return inner
        left = self.operand(fields)
        if not self.rest or self.rest[0] not in _OPERATORS:
            return left
        name = self.rest.pop(0)
        right = self.operand(fields)
        if left.type != right.type or (left.type == "text" and name in {">", "<", ">=", "<="}):
            raise ValueError(f"{name} cannot compare {left.type} with {right.type}")
        compare = _OPERATORS[name]
        return _Typed("boolean", lambda scope: compare(left.value(scope), right.value(scope)))

    def operand(self, fields: dict[str, tuple[str, ...]]) -> _Typed:
        token = self.rest.pop(0) if self.rest else "the end"
        if token[0] in "'\"":
            return _Typed("text", lambda _scope: token[1:-1])
        if token.isdecimal():
            return _Typed("number", lambda _scope: int(token))
        if token in fields:
            return _Typed("text", lambda scope: _at(scope, fields[token]))
        if token == _SELECTION and fields is FIELDS:
            chosen = self.either(TARGET_FIELDS)
            self._expect(_SIZE)
            if chosen.type != "boolean":
                raise ValueError("the selection of targets is no condition")
            return _Typed("number", lambda scope: sum(map(bool, map(chosen.value, scope["target"] or ()))))
        raise ValueError(f"unexpected {token}")

    def _next_is(self, token: str) -> bool:
        if not self.rest or self.rest[0] != token:
            return False
        self.rest.pop(0)
        return True

    def _expect(self, token: str) -> None:
        if not self._next_is(token):
            raise ValueError(f"{token} is missing")


def _combined(how: Callable[[list[bool]], bool], left: _Typed, right: _Typed) -> _Typed:
    if (left.type, right.type) != ("boolean", "boolean"):
        raise ValueError("&& and || join conditions")
    return _Typed("boolean", lambda scope: how([left.value(scope), right.value(scope)]))


def _at(scope: Scope, path: tuple[str, ...]) -> Any:
    value: Any = scope
    for name in path:
        value = (value or {}).get(name)
    return value
