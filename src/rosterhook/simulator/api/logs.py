"""Okta's System Log API: polling for what was persisted, or a window by `published` (okta-facts 4).

The errors' texts are those of Okta's System Log query guide.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.api.call import Action, Call, Path
from rosterhook.simulator.events import Event, milliseconds
from rosterhook.simulator.log import Cursor, Page, Test, parse_cursor
from rosterhook.simulator.log_query import everything, parse_keywords, parse_log_filter

PAGE, MOST = 100, 1000
DAY_MS = 86_400_000
DEFAULT_DAYS, MOST_DAYS = 7, 180
#: The parameters that a link repeats; the recorded links end with `after`.
_REPEATED = ("since", "until", "filter", "q", "sortOrder", "limit")


class Asked(NamedTuple):
    """What a request asks for. `until` is None in a polling request."""

    since: int
    until: int | None
    after: Cursor | None
    limit: int
    test: Test
    descending: bool


async def list_events(call: Call) -> Response:
    """GET /logs. Only a bounded request comes to an end: a polling one always has a next link."""
    asked = _asked(call)
    log = call.simulator.log
    if asked.until is None:
        page = log.poll(asked.since, asked.after, asked.limit, asked.test)
    else:
        page = log.between(asked.since, asked.until, asked.after, asked.limit, asked.test, descending=asked.descending)
    response = JSONResponse([as_logged(event) for event in page.events])
    for link in _links(call, page, endless=asked.until is None):
        response.headers.append("Link", link)
    return response


PATHS = (Path(re.compile("logs"), {"GET": Action(list_events, "logs", "okta.logs.read")}),)


def as_logged(event: Event) -> dict[str, Any]:
    """The log's form of an event, in the recorded order of keys: the way of the request has a place of its own.

    A hook's `client.ipChain` is the log's `request.ipChain`, and only hooks have `insertionTimestamp`
    (okta-facts 1.20).
    """
    client = {key: value for key, value in event["client"].items() if key != "ipChain"}
    keys = (
        "device", "authenticationContext", "displayMessage", "eventType", "outcome", "published", "securityContext",
        "severity", "debugContext", "legacyEventType", "transaction", "uuid", "version",
    )  # fmt: skip
    return {
        "actor": event["actor"],
        "client": client,
        **{key: event[key] for key in keys},
        "request": {"ipChain": event["client"]["ipChain"]},
        "target": event["target"],
    }


def _asked(call: Call) -> Asked:
    params = call.request.query_params
    now = int(call.simulator.clock() * 1000)
    order = params.get("sortOrder", "ASCENDING").upper()
    if order not in {"ASCENDING", "DESCENDING"}:
        raise errors.invalid("'sortOrder': must be a valid value", "sortOrder: must be a valid value")
    until, after = _instant(params, "until"), _after(call)
    if until is None and order == "DESCENDING":
        until = now
    since = _instant(params, "since")
    if since is None:
        # A cursor says by itself where to go on, however old it is; links carry `since` beside it only if asked with.
        since = 0 if after and until is None else (now if until is None else until) - DEFAULT_DAYS * DAY_MS
    elif since < now - MOST_DAYS * DAY_MS:
        raise errors.bad_log_query("Invalid parameter: The since parameter is over 180 days prior to the current day.")
    return Asked(since, until, after, _limit(params), _test(params), order == "DESCENDING")


def _instant(params: QueryParams, name: str) -> int | None:
    text = params.get(name, "")
    if not text:
        return None
    try:
        return milliseconds(text)
    except (ValueError, OverflowError):
        causes = (
            f"{name}: The date format in your query is not recognized. Please enter dates using ISO8601 string format.",
            f"{name}: must be a valid date-time or empty.",
        )
        summary = " ".join(cause.replace(f"{name}:", f"'{name}':", 1) for cause in causes)
        raise errors.invalid(summary, *causes) from None


def _after(call: Call) -> Cursor | None:
    text = call.request.query_params.get("after")
    if text is None:
        return None
    if call.simulator.faults.plan.refuse_cursors:
        raise errors.bad_cursor()
    return parse_cursor(text)


def _limit(params: QueryParams) -> int:
    text = params.get("limit", str(PAGE))
    if not text.isdecimal() or len(text) > 4 or int(text) > MOST:
        raise errors.invalid("'limit': must be a valid value", "limit: must be a valid value")
    return int(text)


def _test(params: QueryParams) -> Test:
    if not params.get("q"):
        return parse_log_filter(params["filter"]).matches if params.get("filter") else everything
    has_words = parse_keywords(params["q"])
    if not params.get("filter"):
        return has_words
    matches = parse_log_filter(params["filter"]).matches
    return lambda event: matches(event) and has_words(event)


def _links(call: Call, page: Page, *, endless: bool) -> list[str]:
    params = call.request.query_params
    url = f"{call.base_url}/api/v1/logs"
    common = [(key, params[key]) for key in _REPEATED if key in params]
    here = [("after", params["after"])] if "after" in params else []
    links = [("self", here)]
    if page.last is not None and (endless or page.more):
        links.append(("next", [("after", str(page.last))]))
    elif endless:
        # Recorded: behind an empty page the next request is the same one.
        links.append(("next", here))
    return [f'<{url}?{urlencode([*common, *after])}>; rel="{rel}"'.replace("?>", ">") for rel, after in links]
