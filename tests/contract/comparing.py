"""A recorded answer and one of ours: what is different between them, but for what differs from call to call."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx2
from recordings import Exchange
from replaying import Stage

#: The codes of "The requested path was not found" and "... does not support the provided HTTP method".
NOT_SIMULATED = frozenset({"E0000008", "E0000022"})
#: What belongs to a connection, not to an answer.
OF_THE_WIRE = frozenset({"connection", "content-encoding", "content-length", "transfer-encoding", "vary"})
#: For browsers and their consoles.
FOR_BROWSERS = frozenset(
    {
        "accept-ch", "content-security-policy", "content-security-policy-report-only", "p3p",
        "public-key-pins-report-only", "referrer-policy", "report-to", "server", "set-cookie",
        "strict-transport-security", "x-content-type-options", "x-frame-options", "x-xss-protection",
    }
)  # fmt: skip
#: What the collectors of single exchanges kept is in all of theirs; of ours only these would be missed.
KEPT = frozenset({"content-type", "dpop-nonce", "etag", "link"})
#: Headers whose values are the same at each call.
FIXED = ("cache-control", "content-type", "expires", "pragma", "x-robots-tag")
#: Texts that are others in each answer; of addresses what stands around the token is compared.
RANDOM = frozenset({"activationUrl", "resetPasswordUrl", "activationToken", "tempPassword", "access_token"})
#: Who called Okta from where is for each event to tell: of these only the types are compared.
OF_THE_CALLER = re.compile(
    r"body\[\]\.(actor|client|request|securityContext|authenticationContext|transaction\.id|.*\.requestId)"
)

_FORMS = {
    "<seconds>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.000Z"),
    "<milliseconds>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"),
    "<uuid>": re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "<error id>": re.compile(r"oae[\w-]{22}"),
}
_ID = re.compile(r"(?<![\w-])(00[ug]|who|oty|osc)[\w-]{17}(?![\w-])")
_TOKEN = re.compile(r"(?<=/)(dfp|drp|)[\w-]{17,20}(?=/|$)")
_LINK = re.compile(r'<([^>]*)>; rel="(\w+)"')


def differences(stage: Stage, exchange: Exchange, answer: httpx2.Response) -> list[str]:
    """A line for each, such as "body.id: <00u> for null": ours for theirs. With another status nothing is compared."""
    body = answer.json() if answer.content else None
    if isinstance(body, dict) and body.get("errorCode") in NOT_SIMULATED:
        return ["not simulated"]
    if answer.status_code != exchange.status:
        return [f"status: {answer.status_code} for {exchange.status}"]
    comparison = _Comparison(stage, exchange)
    return [*comparison.headers(answer), *comparison.values(body, exchange.body, "body")]


class _Comparison:
    """Key by key: types, null or absent, forms of ids and times, texts, and the parameters of links."""

    def __init__(self, stage: Stage, exchange: Exchange) -> None:
        self._stage = stage
        self._exchange = exchange
        self._own_ids = set(stage.ids.values())

    def values(self, ours: Any, theirs: Any, place: str) -> Iterator[str]:
        """The differences at this place of the body, and below."""
        if isinstance(ours, dict) and isinstance(theirs, dict):
            for name in {**theirs, **ours}:
                below = f"{place}.{name}"
                if name in ours and name in theirs:
                    yield from self.values(ours[name], theirs[name], below)
                else:
                    yield f"{below}: {'absent' if name in theirs else 'only here'}"
        elif isinstance(ours, list) and isinstance(theirs, list):
            yield from self._rows(ours, theirs, place)
        else:
            own = self._form(ours, place, self._stage.simulator.url)
            other = self._form(theirs, place, self._exchange.base)
            if own != other:
                yield f"{place}: {own} for {other}"

    def headers(self, answer: httpx2.Response) -> Iterator[str]:
        """The differences of the headers: which there are, and of some the values."""
        ours = {name: answer.headers.get_list(name) for name in answer.headers}
        theirs = self._exchange.headers
        if FOR_BROWSERS & set(theirs) - set(ours):
            yield "headers for browsers: absent"
        for name in sorted(set(theirs) - set(ours) - FOR_BROWSERS - OF_THE_WIRE):
            yield f"header {name}: absent"
        for name in sorted(set(ours) - set(theirs) - OF_THE_WIRE):
            if self._exchange.complete or name in KEPT:
                yield f"header {name}: only here"
        for name in FIXED:
            if name in ours and name in theirs and ours[name] != theirs[name]:
                yield f"header {name}: {ours[name][0]} for {theirs[name][0]}"
        if "link" in ours and "link" in theirs:
            own, other = self._links(ours["link"]), self._links(theirs["link"])
            for rel in sorted({*own, *other}):
                if own.get(rel) != other.get(rel):
                    yield f"header link {rel}: {own.get(rel, 'none')} for {other.get(rel, 'none')}"

    def _rows(self, ours: list[Any], theirs: list[Any], place: str) -> Iterator[str]:
        if len(ours) != len(theirs):
            yield f"{place}: {len(ours)} rows for {len(theirs)}"
            return
        wanted = [self._stage.ids.get(row["id"]) if isinstance(row, dict) and "id" in row else None for row in theirs]
        if all(wanted) and [row["id"] for row in ours] != wanted:
            yield f"{place}: another order"
            by_id = {row["id"]: row for row in ours}
            ours = [by_id.get(each) for each in wanted]
        for own, other in zip(ours, theirs, strict=True):
            yield from self.values(own, other, f"{place}[]")

    def _links(self, values: list[str]) -> dict[str, str]:
        """Each relation with its path and its parameters in their order."""
        links = {}
        for address, rel in _LINK.findall(", ".join(values)):
            parts = urlsplit(address)
            asked = [name if name == "after" else f"{name}={value}" for name, value in parse_qsl(parts.query)]
            links[rel] = "&".join([self._kinds(parts.path), *asked])
        return links

    def _form(self, value: Any, place: str, base: str) -> str:
        if not isinstance(value, str) or OF_THE_CALLER.match(place):
            return "null" if value is None else type(value).__name__
        text = value.removeprefix(base)
        if place.rpartition(".")[2] in RANDOM:
            return _TOKEN.sub(r"\1<token>", text) if "/" in text else "<token>"
        return next((form for form, whole in _FORMS.items() if whole.fullmatch(text)), self._kinds(text))

    def _kinds(self, text: str) -> str:
        """With the kind in place of each id that was not met before."""
        return _ID.sub(lambda met: met[0] if met[0] in self._own_ids else f"<{met[1]}>", self._stage.ours(text))
