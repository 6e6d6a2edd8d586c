"""SCIM expressions as Okta has them in `filter` and `search`: the grammar, which all lists share.

Clauses of attribute, operator and value are joined by `and` and `or`, with parentheses; the System Log also knows
`not`. Which attributes and operators a list takes is its own matter: it gives the reader a function for a clause.
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from rosterhook.simulator import errors
from rosterhook.simulator.errors import OktaError

Row = dict[str, Any]
Test = Callable[[Row], bool]

MAX_DEPTH = 32
ORDERED: dict[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}

_TOKEN = re.compile(r'\s*(?:([()])|("(?:[^"\\]|\\.)*")|([^\s()"]+))')


@dataclass(frozen=True, slots=True)
class Query:
    """An expression that was read.

    Attributes:
        matches: whether a row is meant.
        ids: when the expression only names ids, these; then nothing else has to be asked.
    """

    matches: Test
    ids: frozenset[str] | None = None


class Clause(NamedTuple):
    """The smallest expression, as it was written. `at` is where its operator stands, `value` None with `pr`."""

    attribute: str
    verb: str
    value: Any
    at: int


class Token(NamedTuple):
    """A word, a quoted text or a parenthesis, and where it begins."""

    text: str
    at: int


def read(
    text: str,
    clause: Callable[[Clause], Query],
    *,
    negation: bool = False,
    refusal: Callable[[], OktaError] = errors.bad_search,
) -> Query:
    """Read an expression.

    Args:
        clause: makes the test of one clause, or raises what Okta answers to it.
        negation: whether there is `not`.
        refusal: what is raised for text that breaks the grammar.
    """
    return _Reader(text, clause, negation, refusal).query()


class _Reader:
    """Reads left to right; only a parenthesis nests, so that a thousand clauses cost a thousand steps."""

    def __init__(
        self, text: str, clause: Callable[[Clause], Query], negation: bool, refusal: Callable[[], OktaError]
    ) -> None:
        self._refusal = refusal
        self._tokens = list(self._split(text))
        self._at = 0
        self._clause = clause
        self._negation = negation

    def query(self) -> Query:
        query = self._any_of(0)
        if self._at < len(self._tokens):
            raise self._refusal()
        return query

    def _any_of(self, depth: int) -> Query:
        parts = [self._all_of(depth)]
        while self._word("or"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else _union(parts)

    def _all_of(self, depth: int) -> Query:
        parts = [self._one(depth)]
        while self._word("and"):
            parts.append(self._one(depth))
        if len(parts) == 1:
            return parts[0]
        return Query(lambda row: all(part.matches(row) for part in parts))

    def _one(self, depth: int) -> Query:
        if depth > MAX_DEPTH:
            raise self._refusal()
        if self._negation and self._word("not"):
            inner = self._one(depth + 1)
            return Query(lambda row: not inner.matches(row))
        if not self._word("("):
            return self._comparison()
        group = self._any_of(depth + 1)
        if not self._word(")"):
            raise self._refusal()
        return group

    def _comparison(self) -> Query:
        attribute, verb = self._next(), self._next()
        value = None if verb.text.lower() == "pr" else self._literal(self._next())
        return self._clause(Clause(attribute.text, verb.text.lower(), value, verb.at))

    def _word(self, wanted: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at].text.lower() == wanted:
            self._at += 1
            return True
        return False

    def _next(self) -> Token:
        if self._at >= len(self._tokens):
            raise self._refusal()
        self._at += 1
        return self._tokens[self._at - 1]

    def _literal(self, token: Token) -> Any:
        try:
            value = json.loads(token.text)
        except ValueError:
            raise self._refusal() from None
        if isinstance(value, str | bool | int | float):
            return value
        raise self._refusal()

    def _split(self, text: str) -> Iterator[Token]:
        at, end = 0, len(text.rstrip())
        if not end:
            raise self._refusal()
        while at < end:
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._refusal()
            group = match.lastindex or 0
            yield Token(match.group(group), match.start(group))
            at = match.end()


def _union(parts: list[Query]) -> Query:
    named = [part.ids for part in parts if part.ids is not None]
    if len(named) == len(parts):
        ids = frozenset[str]().union(*named)
        return Query(lambda row: row["id"] in ids, ids)
    return Query(lambda row: any(part.matches(row) for part in parts))


def comparison(path: str, verb: str, value: Any, fold: Callable[[Any], Any] = lambda found: found) -> Test:
    """Whether any value at a path compares so; `ne` is true where none is equal.

    Args:
        fold: makes two values alike that shall count as equal, such as texts that differ in case.
    """
    wanted = fold(value)
    if verb == "ne":
        equal = comparison(path, "eq", value, fold)
        return lambda row: not equal(row)

    def matches(row: Row) -> bool:
        return any(_compare(verb, fold(found), wanted) for found in values_at(row, path) if found is not None)

    return matches


def values_at(row: Row, path: str) -> list[Any]:
    """Every value at a dotted path: each list on the way is entered, as `target.id` has one for each target."""
    found: list[Any] = [row]
    for step in path.split("."):
        entered = [each.get(step) for each in found if isinstance(each, dict)]
        found = [value for each in entered for value in (each if isinstance(each, list) else [each])]
    return found


def folded(value: Any) -> Any:
    """Texts without their case."""
    return value.casefold() if isinstance(value, str) else value


def _compare(verb: str, found: Any, wanted: Any) -> bool:
    if verb == "pr":
        return True
    # True == 1 in Python, but not in a directory.
    if isinstance(found, bool) != isinstance(wanted, bool):
        return False
    if verb == "eq":
        return bool(found == wanted)
    if verb in ORDERED:
        alike = isinstance(found, str) == isinstance(wanted, str)
        return alike and ORDERED[verb](found, wanted)
    if not isinstance(found, str):
        return False
    if verb == "co":
        return wanted in found
    return found.startswith(wanted) if verb == "sw" else found.endswith(wanted)
