"""Okta's users API."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any

from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.api.call import Action, Call, Path, limit_of, link_headers
from rosterhook.simulator.bodies import json_object
from rosterhook.simulator.events import new_id
from rosterhook.simulator.lifecycle import STEPS
from rosterhook.simulator.query import Query, parse_filter, parse_search
from rosterhook.simulator.world import shown

PAGE = 200
Q_PAGE = 10
READ, MANAGE = "okta.users.read", "okta.users.manage"


async def create_user(call: Call) -> Response:
    """POST /users: ACTIVE with a password, PROVISIONED without, STAGED with activate=false."""
    body = await json_object(call.request)
    activate = call.request.query_params.get("activate", "true").lower() != "false"
    user = call.simulator.org.create(body.get("profile"), activate=activate, password=_has_credentials(body))
    return JSONResponse(shown(user, call.base_url))


async def get_user(call: Call) -> Response:
    """GET /users/{idOrLogin}: always as it is now."""
    return call.user_answer(call.simulator.org.get(call.args[0]))


async def update_user(call: Call) -> Response:
    """POST /users/{id}: in part; null takes a value away."""
    return await _change(call, replace=False)


async def replace_user(call: Call) -> Response:
    """PUT /users/{id}: the whole profile."""
    return await _change(call, replace=True)


async def delete_user(call: Call) -> Response:
    """DELETE /users/{id}: deactivates first, deletes for good the second time."""
    call.simulator.org.delete(call.args[0])
    return Response(status_code=204)


async def step(call: Call) -> Response:
    """POST /users/{id}/lifecycle/{step}."""
    user_id, name = call.args
    if name not in STEPS or not STEPS[name].public:
        raise errors.no_such_path()
    user = call.simulator.org.step(user_id, name)
    # Recorded: this one answers with the user.
    if name == "expire_password":
        return JSONResponse(shown(user, call.base_url))
    return JSONResponse(_link_instead_of_mail(call, name))


async def list_users(call: Call) -> Response:
    """GET /users, with filter, search or q. Only the first page of q exists."""
    params = call.request.query_params
    if "q" in params:
        limit = limit_of(params.get("limit"), Q_PAGE, PAGE)
        users, last = call.simulator.org.page(_prefix(params["q"]), -1, limit, indexed=False)[0], None
    else:
        limit = limit_of(params.get("limit"), PAGE, PAGE)
        query = _query(params.get("filter"), params.get("search"))
        after = _place(params.get("after"))
        users, last = call.simulator.org.page(query, after, limit, indexed="search" in params)
    response = JSONResponse([shown(user, call.base_url) for user in users])
    for link in _links(call, limit, last):
        response.headers.append("Link", link)
    return response


PATHS = (
    Path(re.compile("users"), {"GET": Action(list_users, "users", READ), "POST": Action(create_user, "users", MANAGE)}),
    Path(
        re.compile("users/([^/]+)"),
        {
            "GET": Action(get_user, "user", READ),
            "POST": Action(update_user, "user_write", MANAGE),
            "PUT": Action(replace_user, "user_write", MANAGE),
            "DELETE": Action(delete_user, "user_write", MANAGE),
        },
    ),
    Path(re.compile("users/([^/]+)/lifecycle/([^/]+)"), {"POST": Action(step, "lifecycle", MANAGE)}),
)


async def _change(call: Call, *, replace: bool) -> Response:
    org, body = call.simulator.org, await json_object(call.request)
    user = org.get(call.args[0])
    if "profile" in body or replace:
        user = org.update(user["id"], body.get("profile"), replace=replace)
    if _has_credentials(body) and user["status"] in STEPS["set_password"].allowed:
        user = org.step(user["id"], "set_password")
    return call.user_answer(user)


def _has_credentials(body: dict[str, Any]) -> bool:
    credentials = body.get("credentials")
    return isinstance(credentials, dict) and bool(credentials.get("password"))


def _link_instead_of_mail(call: Call, name: str) -> dict[str, str]:
    """With sendEmail=false the caller gets the link that the user would have got (recorded)."""
    if call.request.query_params.get("sendEmail", "true").lower() != "false":
        return {}
    token = new_id(call.simulator.rng, "", 20)
    if name in {"activate", "reactivate"}:
        return {"activationUrl": f"{call.base_url}/tokens/{token}/verify", "activationToken": token}
    if name == "reset_password":
        return {"resetPasswordUrl": f"{call.base_url}/reset_password/{token}"}
    return {}


def _query(filter_text: str | None, search_text: str | None) -> Query:
    if filter_text is not None and search_text is not None:
        raise errors.invalid("search", "filter and search cannot be used together")
    if filter_text is not None:
        return parse_filter(filter_text)
    if search_text is not None:
        return parse_search(search_text)
    # Only a plain list leaves out who is deactivated (okta-facts 5.1; both are recorded).
    return Query(lambda user: user["status"] != "DEPROVISIONED")


def _prefix(text: str) -> Query:
    wanted = text.casefold()

    def matches(user: dict[str, Any]) -> bool:
        profile = user["profile"]
        names = (profile["firstName"], profile["lastName"], profile["email"])
        return user["status"] != "DEPROVISIONED" and any(name.casefold().startswith(wanted) for name in names)

    return Query(matches)


def _links(call: Call, limit: int, last: int | None) -> list[str]:
    params = call.request.query_params
    asked = [("limit", str(limit)), *((key, params[key]) for key in ("filter", "search", "q") if key in params)]
    following = None if last is None else _cursor(last)
    return link_headers(f"{call.base_url}/api/v1/users", asked, params.get("after"), following)


def _cursor(place: int) -> str:
    return "200u" + base64.urlsafe_b64encode(f"p{place}".encode()).decode().rstrip("=")


def _place(cursor: str | None) -> int:
    if cursor is None:
        return -1
    body = cursor.removeprefix("200u")
    try:
        place = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)).decode()
        return int(place.removeprefix("p"))
    except (binascii.Error, ValueError):
        raise errors.invalid("after", "after: Invalid cursor") from None
