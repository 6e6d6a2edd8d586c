"""What `filter` and `q` of the System Log mean, asked of events as they are kept (Okta's System Log query guide)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

from rosterhook.simulator import errors
from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.events import Event
from rosterhook.simulator.expressions import ORDERED, Clause, Query, comparison, folded, read

MAX_KEYWORDS, LONGEST_KEYWORD = 10, 40

#: Every attribute of Okta's LogEvent but `published`, which a filter must not name: `since` and `until` are for that.
FIELDS = frozenset(
    {
        "uuid", "eventType", "version", "displayMessage", "severity", "legacyEventType",
        "actor.id", "actor.type", "actor.alternateId", "actor.displayName",
        "client.id", "client.device", "client.ipAddress", "client.zone",
        "client.userAgent.rawUserAgent", "client.userAgent.os", "client.userAgent.browser",
        "client.geographicalContext.city", "client.geographicalContext.state", "client.geographicalContext.country",
        "client.geographicalContext.postalCode",
        "outcome.result", "outcome.reason",
        "target.id", "target.type", "target.alternateId", "target.displayName",
        "transaction.id", "transaction.type",
        "request.ipChain.ip", "request.ipChain.version", "request.ipChain.source",
        "securityContext.asNumber", "securityContext.asOrg", "securityContext.isp", "securityContext.domain",
        "securityContext.isProxy",
        "authenticationContext.authenticationProvider", "authenticationContext.authenticationStep",
        "authenticationContext.credentialProvider", "authenticationContext.credentialType",
        "authenticationContext.externalSessionId", "authenticationContext.interface",
    }
)  # fmt: skip
#: Below these the names are not fixed.
OPEN = ("debugContext.debugData.", "transaction.detail.", "actor.detailEntry.", "target.detailEntry.")
VERBS = ("eq", "ne", "co", "sw", "ew", "pr", *ORDERED)
_NOT_CONTAINABLE = frozenset({"debugContext.debugData.url", "debugContext.debugData.requestUri"})
_WORD = re.compile(r"[^\s,;:/?&=()\"]+")


def everything(_event: Event) -> bool:
    """The test of a request without filter and keywords."""
    return True


def parse_log_filter(text: str) -> Query:
    """Read a filter. Raises E0000053, or E0000031 for `co` on an address."""

    def clause(one: Clause) -> Query:
        if one.verb not in VERBS:
            expected = "eq,co,sw,pr,gt,ge,lt,le"
            reason = f"Unrecognized attribute operator '{one.verb}' at position {one.at}. Expected: {expected}"
            raise errors.bad_log_query(f"Invalid filter '{text}': {reason}")
        if one.attribute not in FIELDS and not one.attribute.startswith(OPEN):
            raise errors.bad_log_query(f"field is not valid: {one.attribute}")
        if one.verb == "co" and one.attribute in _NOT_CONTAINABLE:
            raise errors.bad_combination(one.verb, one.attribute)
        if one.verb in {"co", "sw", "ew"} and not isinstance(one.value, str):
            raise refusal()
        return Query(comparison(_as_kept(one.attribute), one.verb, one.value))

    def refusal() -> OktaError:
        return errors.bad_log_query(f"Invalid filter '{text}'")

    return read(text, clause, negation=True, refusal=refusal)


def parse_keywords(text: str) -> Callable[[Event], bool]:
    """Read `q`: each keyword must be a word of some value, in any case of letters. Raises E0000001 for too much."""
    keywords = [folded(word) for word in text.split()]
    if any(len(word) > LONGEST_KEYWORD for word in keywords):
        raise errors.invalid(
            "'q': Freeform search cannot contain items longer than 40 characters. Please shorten the items in your "
            "search or use an advanced filter to query by specific fields."
        )
    if len(keywords) > MAX_KEYWORDS:
        raise errors.invalid("'q': Freeform search cannot contain more than 10 items.")

    def matches(event: Event) -> bool:
        words = {word for value in _texts(event) for word in (folded(value), *_WORD.findall(folded(value)))}
        return all(keyword in words for keyword in keywords)

    return matches


def _as_kept(attribute: str) -> str:
    """An attribute's place in the hook's form, in which events are kept."""
    return attribute.replace("request.ipChain", "client.ipChain", 1) if attribute.startswith("request.") else attribute


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _texts(each)
