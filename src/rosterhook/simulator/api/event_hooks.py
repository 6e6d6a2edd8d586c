"""Okta's API of event hooks."""

from __future__ import annotations

import re

from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.api.call import Action, Call, Path
from rosterhook.simulator.bodies import json_object
from rosterhook.simulator.hooks.model import Hook
from rosterhook.simulator.hooks.rules import Wanted, wanted

READ, MANAGE = "okta.eventHooks.read", "okta.eventHooks.manage"


async def list_hooks(call: Call) -> Response:
    """GET /eventHooks: all of them; there are no pages."""
    return JSONResponse([hook.as_json(call.base_url) for hook in call.simulator.hooks])


async def create_hook(call: Call) -> Response:
    """POST /eventHooks: ACTIVE and UNVERIFIED, and 200 instead of 201."""
    return _answer(call, call.simulator.hooks.create(await _wanted(call)))


async def get_hook(call: Call) -> Response:
    """GET /eventHooks/{id}."""
    return _answer(call, call.simulator.hooks.get(call.args[0]))


async def replace_hook(call: Call) -> Response:
    """PUT /eventHooks/{id}: the whole hook; another channel makes it UNVERIFIED."""
    hook = call.simulator.hooks.get(call.args[0])
    return _answer(call, call.simulator.hooks.replace(hook.id, await _wanted(call)))


async def delete_hook(call: Call) -> Response:
    """DELETE /eventHooks/{id}: only one that is INACTIVE."""
    call.simulator.hooks.delete(call.args[0])
    return Response(status_code=204)


async def step(call: Call) -> Response:
    """POST /eventHooks/{id}/lifecycle/{step}."""
    hook_id, name = call.args
    hooks = call.simulator.hooks
    if name == "verify":
        return _answer(call, await hooks.verify(hook_id))
    return _answer(call, hooks.activate(hook_id) if name == "activate" else hooks.deactivate(hook_id))


PATHS = (
    Path(
        re.compile("eventHooks"),
        {"GET": Action(list_hooks, "other", READ), "POST": Action(create_hook, "other", MANAGE)},
    ),
    Path(
        re.compile("eventHooks/([^/]+)"),
        {
            "GET": Action(get_hook, "other", READ),
            "PUT": Action(replace_hook, "other", MANAGE),
            "DELETE": Action(delete_hook, "other", MANAGE),
        },
    ),
    Path(
        re.compile("eventHooks/([^/]+)/lifecycle/(activate|deactivate|verify)"),
        {"POST": Action(step, "other", MANAGE)},
    ),
)


async def _wanted(call: Call) -> Wanted:
    body = await json_object(call.request)
    if not body:
        raise errors.bad_body()
    return wanted(body, allow_http=call.simulator.settings.allow_http_hooks)


def _answer(call: Call, hook: Hook) -> Response:
    return JSONResponse(hook.as_json(call.base_url))
