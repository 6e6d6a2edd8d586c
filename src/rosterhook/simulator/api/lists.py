"""What the lists of users and groups share: cursors, order, and links."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from starlette.datastructures import QueryParams
from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.api.call import Call, limit_of, link_headers
from rosterhook.simulator.expressions import Query
from rosterhook.simulator.query import sort_key
from rosterhook.simulator.table import Row, Table

#: What a link repeats beside `after` and `limit`.
_REPEATED = ("filter", "search", "q", "sortBy", "sortOrder", "fields", "expand")


def everything(_row: Row) -> bool:
    """The test of a list that leaves nobody out."""
    return True


def page_of(table: Table, query: Query, params: QueryParams, limit: int) -> tuple[list[Row], int | None]:
    """The page that a call asks for, and where it ends if there are more. Only a search can be sorted."""
    after = place_of(params.get("after"))
    if "search" not in params or "sortBy" not in params:
        return table.page(query, after, limit, indexed="search" in params)
    descending = params.get("sortOrder", "asc").lower().startswith("desc")
    return table.sorted_page(query, sort_key(params["sortBy"]), after, limit, descending=descending)


def list_answer(call: Call, path: str, rows: list[dict[str, Any]], limit: int, last: int | None) -> Response:
    """A page with its links.

    Args:
        path: of the list, below /api/v1.
        last: where the page ends, or None if nothing comes behind it.
    """
    params = call.request.query_params
    asked = [("limit", str(limit)), *((key, params[key]) for key in _REPEATED if key in params)]
    response = JSONResponse(rows)
    following = None if last is None else cursor_of(last)
    for link in link_headers(f"{call.base_url}/api/v1/{path}", asked, params.get("after"), following):
        response.headers.append("Link", link)
    return response


def whole_page(call: Call, default: int, most: int) -> int:
    """The `limit` of a call. Raises E0000001."""
    return limit_of(call.request.query_params.get("limit"), default, most)


def cursor_of(place: int) -> str:
    """An opaque cursor: Okta's are no ids either."""
    return "200u" + base64.urlsafe_b64encode(f"p{place}".encode()).decode().rstrip("=")


def place_of(cursor: str | None) -> int:
    """The place behind which the page begins. Raises E0000001."""
    if cursor is None:
        return -1
    body = cursor.removeprefix("200u")
    try:
        place = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        return int(place.removeprefix("p"))
    except (binascii.Error, ValueError):
        raise errors.invalid("after", "after: Invalid cursor") from None
