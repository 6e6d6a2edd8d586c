"""Exchanges with real Okta orgs, as others recorded them, in the order in which they happened.

A cassette is a conversation by itself. The files of single exchanges are taken apart into conversations: what names the
same users, groups and hooks belongs together, for the cassettes that they were taken from are not known any more.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import yaml
from openapi import SHARED

ID = re.compile(r"(?:00[ug]|who)[\w-]{17}(?![\w-])")
#: One file has all that one program asked one org; the other was collected from many cassettes.
WHOLE = "JupiterOne__graph-okta.exchanges.ndjson"


class Exchange(NamedTuple):
    """A request to Okta and its answer.

    Attributes:
        source: the file and the number in it.
        at: the time by Okta's clock, in seconds since 1970.
        sent: the body, from JSON or a form; None when there was none, or when the recorder left it out.
        sent_headers, headers: by lower-case name, each with all its values.
        body: the answer's, from JSON; None without one.
        complete: whether all headers of the answer were kept.
    """

    source: str
    at: float
    method: str
    url: str
    sent: Any
    sent_headers: Mapping[str, list[str]]
    status: int
    headers: Mapping[str, list[str]]
    body: Any
    complete: bool

    @property
    def base(self) -> str:
        """Scheme and host."""
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.url))

    @property
    def path(self) -> str:
        """As it was asked for, even with a doubled slash."""
        return self.url.removeprefix(self.base).partition("?")[0]

    @property
    def template(self) -> str:
        """The path without ids."""
        return ID.sub("{id}", self.path)

    @property
    def rows(self) -> list[Any]:
        """The answer's objects: those of a list, or the one."""
        return self.body if isinstance(self.body, list) else [] if self.body is None else [self.body]

    @property
    def makes(self) -> str | None:
        """The id of what this request created."""
        new = self.method == "POST" and re.fullmatch(r"/+api/v1/(users|groups|eventHooks)", self.path)
        return self.body.get("id") if new and isinstance(self.body, dict) else None


def conversations() -> dict[str, list[Exchange]]:
    """Every conversation by its name. An exchange that is in a cassette too is only there."""
    found = {path.stem: list(_cassette(path)) for path in sorted((SHARED / "samples").glob("*.yaml"))}
    known = {_request_id(each) for several in found.values() for each in several} - {None}
    for path in sorted((SHARED / "users").glob("*.exchanges.ndjson")):
        exchanges = [each for each in _single(path) if _request_id(each) not in known]
        if path.name == WHOLE:
            found[path.stem] = sorted(exchanges, key=_order)
        else:
            found |= {several[0].source: several for several in _taken_apart(exchanges)}
    return found


def _cassette(path: Path) -> Iterator[Exchange]:
    for number, each in enumerate(yaml.safe_load(path.read_text("utf-8"))["interactions"]):
        asked, answered = each["request"], each["response"]
        status, body = answered.get("code"), answered["body"]
        headers = _headers(answered["headers"])
        yield Exchange(
            source=f"{path.stem}:{number}",
            at=_at(headers),
            method=asked["method"],
            url=asked.get("uri") or asked["url"],
            sent=_parsed(asked.get("body")),
            sent_headers=_headers(asked["headers"]),
            status=status or answered["status"]["code"],
            headers=headers,
            body=_parsed(body["string"] if isinstance(body, dict) else body),
            complete="server" in headers,
        )


def _single(path: Path) -> Iterator[Exchange]:
    for number, line in enumerate(path.read_text("utf-8").splitlines()):
        each = json.loads(line)
        headers = _headers(each["headers"])
        yield Exchange(
            source=f"{path.name.partition('.')[0]}:{number}",
            at=_at(headers),
            method=each["method"],
            url=each["url"],
            sent=each["request_body"],
            sent_headers={},
            status=each["status"],
            headers=headers,
            body=each["body"],
            complete=False,
        )


def _taken_apart(exchanges: list[Exchange]) -> Iterator[list[Exchange]]:
    """Groups of exchanges that share an id of their paths, or of what one of them created."""
    made = {each.makes for each in exchanges} - {None}
    group_of: dict[str, int] = {}
    groups: dict[int, list[Exchange]] = defaultdict(list)
    for number, each in enumerate(exchanges):
        groups[number].append(each)
        for shared in {*ID.findall(each.path), *(made & _ids(each.rows))}:
            other = group_of.setdefault(shared, number)
            if other != number and other in groups:
                groups[number] += groups.pop(other)
                group_of.update({known: number for known, group in group_of.items() if group == other})
    yield from (sorted(group, key=_order) for group in groups.values())


def _ids(rows: Iterable[Any]) -> set[str]:
    return {row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)}


def _order(exchange: Exchange) -> tuple[float, bool, int]:
    # The clock has whole seconds. Within one the file has the recorded order, but for lists and errors, which it begins
    # with wherever they were: they tell what the others led to.
    displaced = isinstance(exchange.body, list) or exchange.status >= 400
    return exchange.at, displaced, int(exchange.source.rpartition(":")[2])


def _request_id(exchange: Exchange) -> str | None:
    return next(iter(exchange.headers.get("x-okta-request-id", [])), None)


def _headers(told: Mapping[str, Any]) -> dict[str, list[str]]:
    return {name.lower(): list(values) if isinstance(values, list) else [values] for name, values in told.items()}


def _at(headers: Mapping[str, list[str]]) -> float:
    return parsedate_to_datetime(headers["date"][0]).timestamp()


def _parsed(text: Any) -> Any:
    return (json.loads(text) if text else None) if isinstance(text, str | None) else text
