"""Okta's users API."""

from __future__ import annotations

import re
import zlib
from typing import Any

from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.api.call import Action, Call, Path
from rosterhook.simulator.api.lists import list_answer, page_of, whole_page
from rosterhook.simulator.bodies import json_object
from rosterhook.simulator.events import new_id
from rosterhook.simulator.expressions import Query
from rosterhook.simulator.lifecycle import STEPS
from rosterhook.simulator.org import user_target
from rosterhook.simulator.query import parse_filter, parse_search
from rosterhook.simulator.views import listed

PAGE = 200
Q_PAGE = 10
READ, MANAGE = "okta.users.read", "okta.users.manage"


async def create_user(call: Call) -> Response:
    """POST /users: ACTIVE with a password, PROVISIONED without, STAGED with activate=false; a member of `groupIds`."""
    org, params, body = call.simulator.org, call.request.query_params, await json_object(call.request)
    groups = [org.groups.get(str(group_id))["id"] for group_id in body.get("groupIds") or ()]
    user = org.create(
        body.get("profile"),
        activate=params.get("activate", "true").lower() != "false",
        password=_has_password(body),
        expired=params.get("nextLogin") == "changePassword",
        question=_question(body),
    )
    for group_id in groups:
        org.groups.add(group_id, user_target(user))
    return call.user_answer(user)


async def get_user(call: Call) -> Response:
    """GET /users/{idOrLogin}: always as it is now, and with an ETag, which no answer to a change was recorded with."""
    response = call.user_answer(call.simulator.org.get(call.args[0]))
    response.headers["ETag"] = f'W/"{zlib.crc32(bytes(response.body)):08x}"'
    return response


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
        return call.user_answer(user)
    return JSONResponse(_link_instead_of_mail(call, name))


async def list_users(call: Call) -> Response:
    """GET /users, with filter, search or q. Only the first page of q exists."""
    table, params = call.simulator.org.table, call.request.query_params
    if "q" in params:
        limit = whole_page(call, Q_PAGE, PAGE)
        users, last = table.page(_prefix(params["q"]), -1, limit, indexed=False)[0], None
    else:
        limit = whole_page(call, PAGE, PAGE)
        users, last = page_of(table, _query(params.get("filter"), params.get("search")), params, limit)
    only = _fields(params["fields"]) if params.get("fields") else None
    return list_answer(call, "users", [_projected(listed(user, call.base_url), only) for user in users], limit, last)


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
    if _has_password(body) and user["status"] in STEPS["set_password"].allowed:
        user = org.step(user["id"], "set_password")
    return call.user_answer(user)


def _has_password(body: dict[str, Any]) -> bool:
    credentials = body.get("credentials")
    return isinstance(credentials, dict) and bool(credentials.get("password"))


def _question(body: dict[str, Any]) -> str | None:
    credentials = body.get("credentials")
    question = credentials.get("recovery_question") if isinstance(credentials, dict) else None
    return str(question["question"]) if isinstance(question, dict) and question.get("question") else None


def _link_instead_of_mail(call: Call, name: str) -> dict[str, str]:
    """With sendEmail=false the caller gets the link that the user would have got (recorded)."""
    if call.request.query_params.get("sendEmail", "true").lower() != "false":
        return {}
    if name in {"activate", "reactivate"}:
        token = new_id(call.simulator.rng, "", 20)
        return {"activationUrl": f"{call.base_url}/tokens/{token}/verify", "activationToken": token}
    if name == "reset_password":
        return {"resetPasswordUrl": f"{call.base_url}/reset_password/{new_id(call.simulator.rng, 'drp')}"}
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


def _fields(text: str) -> dict[str, set[str]]:
    """What `fields=id,status,profile:(login,email)` asks for: names, each with its own names or none for all."""
    wanted = re.fullmatch(r"\s*[\w:(), ]*", text)
    if wanted is None:
        raise errors.invalid("fields", "fields: must be a valid value")
    return {
        name: {each.strip() for each in inner.split(",") if each.strip()}
        for name, inner in re.findall(r"(\w+)(?::\(([^)]*)\))?", text)
    }


def _projected(user: dict[str, Any], only: dict[str, set[str]] | None) -> dict[str, Any]:
    """The id, the links, and what was asked for."""
    if only is None:
        return user
    kept = {name: value for name, value in user.items() if name in {"id", "_links", *only}}
    for name, inner in only.items():
        if inner and isinstance(kept.get(name), dict):
            kept[name] = {key: value for key, value in kept[name].items() if key in inner}
    return kept


def _prefix(text: str) -> Query:
    wanted = text.casefold()

    def matches(user: dict[str, Any]) -> bool:
        profile = user["profile"]
        names = (profile["firstName"], profile["lastName"], profile["email"])
        return user["status"] != "DEPROVISIONED" and any(name.casefold().startswith(wanted) for name in names)

    return Query(matches)
