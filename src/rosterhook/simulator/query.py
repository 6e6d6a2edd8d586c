"""Okta's `filter` and `search` for users and groups: which attributes and operators each of them takes.

`filter` knows a few attributes and compares exactly; `search` knows the whole profile and ignores case (okta-facts 5.2,
5.3, 5.10).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from rosterhook.simulator import errors
from rosterhook.simulator.expressions import ORDERED, Clause, Query, comparison, folded, read, values_at

FILTERABLE = frozenset(
    {"id", "status", "lastUpdated", "profile.login", "profile.email", "profile.firstName", "profile.lastName"}
)
SEARCHABLE = frozenset({"id", "status", "created", "activated", "statusChanged", "lastUpdated", "type.id"})
CONTAINABLE = frozenset({"profile.firstName", "profile.lastName", "profile.email", "profile.login"})
GROUP_FILTERABLE = frozenset({"id", "type", "lastUpdated", "lastMembershipUpdated"})
GROUP_SEARCHABLE = frozenset({"id", "type", "created", "lastUpdated", "lastMembershipUpdated"})
#: What a filter may also compare by order.
_STAMPS = frozenset({"lastUpdated", "lastMembershipUpdated"})


def parse_filter(text: str) -> Query:
    """Read a `filter` for users; raises E0000031 for what Okta would refuse."""
    return read(text, _filter_clause(FILTERABLE))


def parse_search(text: str) -> Query:
    """Read a `search` for users; raises E0000031 for what Okta would refuse."""
    return read(text, _search_clause(SEARCHABLE, CONTAINABLE.__contains__))


def parse_group_filter(text: str) -> Query:
    """Read a `filter` for groups; raises E0000031 for what Okta would refuse."""
    return read(text, _filter_clause(GROUP_FILTERABLE))


def parse_group_search(text: str) -> Query:
    """Read a `search` for groups; raises E0000031 for what Okta would refuse."""
    return read(text, _search_clause(GROUP_SEARCHABLE, lambda attribute: attribute.startswith("profile.")))


def sort_key(path: str) -> Callable[[dict[str, Any]], tuple[str, str]]:
    """For `sortBy`: by one property, then by id, as Okta does. Raises E0000031 for what is no property."""
    if not re.fullmatch(r"\w+(\.\w+)?", path):
        raise errors.bad_search()

    def key(row: dict[str, Any]) -> tuple[str, str]:
        return ",".join(str(folded(value)) for value in values_at(row, path) if value is not None), row["id"]

    return key


def _filter_clause(known: frozenset[str]) -> Callable[[Clause], Query]:
    def clause(one: Clause) -> Query:
        if one.attribute not in known or not isinstance(one.value, str):
            raise errors.bad_search()
        if one.verb != "eq" and not (one.attribute in _STAMPS and one.verb in ORDERED):
            raise errors.bad_search()
        return _by_id(one) or Query(comparison(one.attribute, one.verb, one.value))

    return clause


def _search_clause(known: frozenset[str], containable: Callable[[str], bool]) -> Callable[[Clause], Query]:
    def clause(one: Clause) -> Query:
        if one.attribute not in known and not re.fullmatch(r"profile\.\w+", one.attribute):
            raise errors.bad_search()
        if one.verb not in {"eq", "sw", "pr", *ORDERED} and not (one.verb == "co" and containable(one.attribute)):
            raise errors.bad_search()
        if one.verb in {"sw", "co"} and not isinstance(one.value, str):
            raise errors.bad_search()
        return _by_id(one) or Query(comparison(one.attribute, one.verb, one.value, folded))

    return clause


def _by_id(one: Clause) -> Query | None:
    """An id is compared exactly in both: Okta's ids differ by case alone."""
    if one.attribute != "id" or one.verb != "eq" or not isinstance(one.value, str):
        return None
    return Query(lambda row: bool(row["id"] == one.value), frozenset({one.value}))
