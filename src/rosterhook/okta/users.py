"""What is asked about users, and what counts as an answer. Nothing here does I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from rosterhook.errors import OktaError

USERS = "/api/v1/users"
#: Ids in one search; also the largest page. (In production elsewhere; 7.2 kB of address.)
MAX_IDS = 200
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
#: Every status (Okta's API description, UserStatus). A list without a filter leaves out DEPROVISIONED.
STATUSES = (
    "STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED",
)  # fmt: skip
#: The filter of a list that leaves out nobody.
EVERYBODY = " or ".join(f'status eq "{status}"' for status in STATUSES)


def changed_since(stamp: str) -> str:
    """The filter of a list of all who were changed after `stamp`, whatever their status."""
    return f'lastUpdated gt "{stamp}"'


def is_plain_id(user_id: str) -> bool:
    """Tell whether this looks like an id of Okta's, which may stand in a search and in a message."""
    return _ID.fullmatch(user_id) is not None


def path_of(user_id: str) -> str:
    """The path of one user; the id is one segment of it, whatever it holds.

    Raises:
        OktaError: no path can name it ("" and "." lead to the list, and half a surrogate pair nowhere).
    """
    try:
        segment = quote(user_id, safe="")
    except UnicodeEncodeError:
        segment = ""
    if segment in ("", ".", ".."):
        raise OktaError("A user's id is empty or no id at all, so Okta was not asked.", hint="Look at the event.")
    return f"{USERS}/{segment}"


def in_words(user_id: str) -> str:
    """The path of one user for messages: an id may be read by people, a login may not."""
    return f"{USERS}/{user_id}" if is_plain_id(user_id) else f"{USERS}/{{login}}"


def list_path(*, filter: str | None = None, search: str | None = None, limit: int = MAX_IDS) -> str:
    """The path and query of a list; blanks become "+", which keeps a search of 200 ids short."""
    wanted = {"search": search, "filter": filter, "limit": str(limit)}
    return f"{USERS}?{urlencode({key: value for key, value in wanted.items() if value is not None})}"


def searches(ids: Iterable[str]) -> Iterator[tuple[frozenset[str], str]]:
    """Each batch of at most MAX_IDS plain ids, and the `search` that asks for it; other ids are left out."""
    plain = list(dict.fromkeys(user_id for user_id in ids if is_plain_id(user_id)))
    for start in range(0, len(plain), MAX_IDS):
        batch = plain[start : start + MAX_IDS]
        yield frozenset(batch), " or ".join(f'id eq "{user_id}"' for user_id in batch)


def one_user(value: Any, user_id: str) -> dict[str, Any]:
    """`value`, if it is the user that was asked for.

    Raises:
        OktaError: it is no object, or somebody else: Okta also answers to a login, a short name and "me".
    """
    if not isinstance(value, dict):
        raise OktaError(f"Okta answered GET {in_words(user_id)} with something that is no user.", status=200)
    if value.get("id") != user_id:
        raise OktaError(
            f"Okta answered GET {in_words(user_id)} with another user, so the answer was not used.",
            hint="Ask by Okta's id of the user (00u...), not by login or name.",
            status=200,
        )
    return value


def page_of_users(value: Any) -> list[dict[str, Any]]:
    """`value`, if it is a list of objects.

    Raises:
        OktaError: it is anything else.
    """
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise OktaError(f"Okta answered GET {USERS} with something that is no list of users.", status=200)
    return value


def by_id(rows: Sequence[dict[str, Any]], asked: frozenset[str]) -> dict[str, dict[str, Any]]:
    """The rows that were asked for. A search compares without case, and Okta's ids differ by case alone."""
    return {row["id"]: row for row in rows if isinstance(row.get("id"), str) and row["id"] in asked}
