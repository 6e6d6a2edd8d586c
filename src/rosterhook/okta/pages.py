"""One page of a list of Okta's, and the place behind it: what a reader that outlives its process keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import urlencode

import httpx2

from rosterhook.okta.users import USERS

T = TypeVar("T")

LOGS = "/api/v1/logs"
#: The most that the System Log gives at once. (Okta's API description, listLogEvents.)
MOST_EVENTS = 1000


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows of a list.

    Attributes:
        next: the place behind them, to ask for the next page with; None on the last one. It is Okta's own link
            without the host, and is not to be made or changed here.
    """

    rows: Sequence[T]
    next: str | None


#: A user, and an event of the log as it came.
User = dict[str, Any]


def users_place(filter: str, limit: int) -> str:
    """The first page of users."""
    return f"{USERS}?{urlencode({'filter': filter, 'limit': limit})}"


def log_place(since: str, types: Sequence[str]) -> str:
    """The first page of a log that is followed: without `until`, ascending, so that it comes in the order in which
    Okta stored it and nothing slips in behind a place. (Okta's System Log query guide.)

    Args:
        since: a stamp; Okta refuses one of more than 180 days ago, and keeps 90.
        types: event types to get; none for all.
    """
    wanted = {"since": since, "sortOrder": "ASCENDING", "limit": str(MOST_EVENTS)}
    if types:
        wanted["filter"] = " or ".join(f'eventType eq "{each}"' for each in types)
    return f"{LOGS}?{urlencode(wanted)}"


def place_of(url: str) -> str:
    """A link without scheme and host: an org that gets another address keeps its places."""
    parts = httpx2.URL(url)
    return parts.raw_path.decode("ascii")
