"""Okta's groups API, and a user's groups."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.api.call import Action, Call, Path
from rosterhook.simulator.api.lists import everything, list_answer, page_of, whole_page
from rosterhook.simulator.bodies import json_object
from rosterhook.simulator.expressions import Query
from rosterhook.simulator.groups import Group
from rosterhook.simulator.org import user_target
from rosterhook.simulator.query import parse_group_filter, parse_group_search
from rosterhook.simulator.views import listed, shown_group

#: Okta's API description has the most, and for `q` the default; without a limit it lists as many as it allows.
PAGE, Q_PAGE = 10_000, 300
MEMBERS_PAGE = 1000
USERS_GROUPS_PAGE = 200
APPS_PAGE, APPS_MOST = 20, 200
READ, MANAGE = "okta.groups.read", "okta.groups.manage"


async def list_groups(call: Call) -> Response:
    """GET /groups, with filter, search or q. Only the first page of q exists."""
    params = call.request.query_params
    limit = whole_page(call, Q_PAGE if "q" in params else PAGE, PAGE)
    groups, last = page_of(call.simulator.org.groups.table, _query(call), params, limit)
    shown_groups = [_shown(call, group) for group in groups]
    return list_answer(call, "groups", shown_groups, limit, None if "q" in params else last)


async def create_group(call: Call) -> Response:
    """POST /groups: always an OKTA_GROUP."""
    body = await json_object(call.request)
    return JSONResponse(_shown(call, call.simulator.org.groups.create(body.get("profile"))))


async def get_group(call: Call) -> Response:
    """GET /groups/{id}: always as it is now."""
    return JSONResponse(_shown(call, call.simulator.org.groups.get(call.args[0])))


async def replace_group(call: Call) -> Response:
    """PUT /groups/{id}: the whole profile."""
    body = await json_object(call.request)
    return JSONResponse(_shown(call, call.simulator.org.groups.replace(call.args[0], body.get("profile"))))


async def delete_group(call: Call) -> Response:
    """DELETE /groups/{id}."""
    call.simulator.org.groups.delete(call.args[0])
    return Response(status_code=204)


async def list_members(call: Call) -> Response:
    """GET /groups/{id}/users: whole users, the deactivated among them."""
    org, limit = call.simulator.org, whole_page(call, MEMBERS_PAGE, MEMBERS_PAGE)
    query = Query(everything, org.groups.members(call.args[0]))
    users, last = page_of(org.table, query, call.request.query_params, limit)
    path = f"groups/{call.args[0]}/users"
    return list_answer(call, path, [listed(user, call.base_url) for user in users], limit, last)


async def add_member(call: Call) -> Response:
    """PUT /groups/{id}/users/{id}: also fine for a member."""
    org, (group_id, user_id) = call.simulator.org, call.args
    org.groups.get(group_id)
    org.groups.add(group_id, user_target(org.get(user_id)))
    return Response(status_code=204)


async def remove_member(call: Call) -> Response:
    """DELETE /groups/{id}/users/{id}: also fine for no member."""
    org, (group_id, user_id) = call.simulator.org, call.args
    org.groups.get(group_id)
    org.groups.remove(group_id, user_target(org.get(user_id)))
    return Response(status_code=204)


async def list_users_groups(call: Call) -> Response:
    """GET /users/{id}/groups."""
    org, limit = call.simulator.org, whole_page(call, USERS_GROUPS_PAGE, USERS_GROUPS_PAGE)
    user = org.get(call.args[0])
    query = Query(everything, org.groups.of(user["id"]))
    groups, last = page_of(org.groups.table, query, call.request.query_params, limit)
    path = f"users/{user['id']}/groups"
    return list_answer(call, path, [_shown(call, group) for group in groups], limit, last)


async def list_groups_apps(call: Call) -> Response:
    """GET /groups/{id}/apps: no group has any."""
    group = call.simulator.org.groups.get(call.args[0])
    return list_answer(call, f"groups/{group['id']}/apps", [], whole_page(call, APPS_PAGE, APPS_MOST), None)


#: Group rules, which are not simulated, have their paths where ids are.
_ID = "(?!rules(?:/|$))([^/]+)"

PATHS = (
    Path(
        re.compile("groups"),
        {"GET": Action(list_groups, "groups", READ), "POST": Action(create_group, "groups", MANAGE)},
    ),
    Path(
        re.compile(f"groups/{_ID}"),
        {
            "GET": Action(get_group, "group", READ),
            "PUT": Action(replace_group, "group", MANAGE),
            "DELETE": Action(delete_group, "group", MANAGE),
        },
    ),
    Path(re.compile(f"groups/{_ID}/users"), {"GET": Action(list_members, "groups", READ)}),
    Path(re.compile(f"groups/{_ID}/apps"), {"GET": Action(list_groups_apps, "groups", READ)}),
    Path(
        re.compile(f"groups/{_ID}/users/([^/]+)"),
        {"PUT": Action(add_member, "groups", MANAGE), "DELETE": Action(remove_member, "groups", MANAGE)},
    ),
    Path(re.compile("users/([^/]+)/groups"), {"GET": Action(list_users_groups, "other", "okta.users.read")}),
)


def _shown(call: Call, group: Group) -> dict[str, Any]:
    """A group, with how many are in it if asked for."""
    shown = shown_group(group, call.base_url)
    if "stats" not in call.request.query_params.get("expand", "").split(","):
        return shown
    members = call.simulator.org.groups.members(group["id"])
    count = len(call.simulator.org) if members is None else len(members)
    stats = {"usersCount": count, "appsCount": 0, "groupPushMappingsCount": 0, "hasAdminPrivilege": False}
    return {**group, "_embedded": {"stats": stats}, "_links": shown["_links"]}


def _query(call: Call) -> Query:
    params = call.request.query_params
    if len({"filter", "search", "q"} & set(params)) > 1:
        raise errors.invalid("search", "filter, search and q cannot be used together")
    if "filter" in params:
        return parse_group_filter(params["filter"])
    if "search" in params:
        return parse_group_search(params["search"])
    if "q" not in params:
        return Query(everything)
    wanted = params["q"].casefold()
    return Query(lambda group: group["profile"]["name"].casefold().startswith(wanted))
