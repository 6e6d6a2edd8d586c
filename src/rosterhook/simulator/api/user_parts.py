"""What hangs below a user: passwords, sessions, and the lists that are always empty here.

The answers are recorded ones (okta-sdk-python's cassettes).
"""

from __future__ import annotations

import re

from starlette.responses import JSONResponse, Response

from rosterhook.simulator import errors
from rosterhook.simulator.api.call import Action, Call, Path
from rosterhook.simulator.api.lists import list_answer, whole_page
from rosterhook.simulator.bodies import json_object
from rosterhook.simulator.events import new_id
from rosterhook.simulator.org import user_target

#: Okta's API description: by default and at most.
GRANTS_PAGE, GRANTS_MOST = 20, 200
READ, MANAGE = "okta.users.read", "okta.users.manage"


async def temporary_password(call: Call) -> Response:
    """POST /users/{id}/lifecycle/expire_password_with_temp_password: the caller gets it, the user must change it."""
    call.simulator.org.step(call.args[0], "expire_password")
    return JSONResponse({"tempPassword": new_id(call.simulator.rng, "", 12)})


async def reset_factors(call: Call) -> Response:
    """POST /users/{id}/lifecycle/reset_factors: the status stays."""
    org = call.simulator.org
    user = org.get(call.args[0])
    uri = f"/api/v1/users/{user['id']}/lifecycle/reset_factors"
    org.tell_of("user.mfa.factor.reset_all", [user_target(user)], uri)
    return JSONResponse({})


async def change_password(call: Call) -> Response:
    """POST /users/{id}/credentials/change_password: whatever the old one is said to be, for nobody has a real one."""
    org = call.simulator.org
    user = org.get(call.args[0])
    if "password" not in user["credentials"]:
        raise errors.wrong_status()
    return JSONResponse(org.step(user["id"], "change_password")["credentials"])


async def change_question(call: Call) -> Response:
    """POST /users/{id}/credentials/change_recovery_question."""
    question = (await json_object(call.request)).get("recovery_question")
    if not isinstance(question, dict) or not question.get("question"):
        raise errors.invalid("recovery_question", "recovery_question: The field cannot be left blank")
    return JSONResponse(call.simulator.org.set_question(call.args[0], str(question["question"]))["credentials"])


async def forgot_password(call: Call) -> Response:
    """POST /users/{id}/credentials/forgot_password: a link, and the status stays (Okta's API description)."""
    user = call.simulator.org.get(call.args[0])
    if user["status"] != "ACTIVE":
        raise errors.wrong_status()
    if call.request.query_params.get("sendEmail", "true").lower() != "false":
        return JSONResponse({})
    token = new_id(call.simulator.rng, "dfp", 17)
    return JSONResponse({"resetPasswordUrl": f"{call.base_url}/signin/reset-password/{token}"})


async def end_sessions(call: Call) -> Response:
    """DELETE /users/{id}/sessions: nobody has any."""
    call.simulator.org.get(call.args[0])
    return Response(status_code=204)


async def nothing(call: Call) -> Response:
    """A list of what nobody has here."""
    call.simulator.org.get(call.args[0])
    return JSONResponse([])


async def grants(call: Call) -> Response:
    """GET /users/{id}/grants: nobody has any either, but this list is recorded with its link."""
    path = f"users/{call.simulator.org.get(call.args[0])['id']}/grants"
    return list_answer(call, path, [], whole_page(call, GRANTS_PAGE, GRANTS_MOST), None)


async def blocks(call: Call) -> Response:
    """GET /users/{id}/blocks: recorded as a feature that the org doesn't have."""
    call.simulator.org.get(call.args[0])
    raise errors.feature_off()


PATHS = (
    # Before the path of all steps, which would not know these two.
    Path(
        re.compile("users/([^/]+)/lifecycle/expire_password_with_temp_password"),
        {"POST": Action(temporary_password, "lifecycle", MANAGE)},
    ),
    Path(re.compile("users/([^/]+)/lifecycle/reset_factors"), {"POST": Action(reset_factors, "lifecycle", MANAGE)}),
    Path(re.compile("users/([^/]+)/credentials/change_password"), {"POST": Action(change_password, "other", MANAGE)}),
    Path(
        re.compile("users/([^/]+)/credentials/change_recovery_question"),
        {"POST": Action(change_question, "other", MANAGE)},
    ),
    Path(re.compile("users/([^/]+)/credentials/forgot_password"), {"POST": Action(forgot_password, "other", MANAGE)}),
    Path(re.compile("users/([^/]+)/sessions"), {"DELETE": Action(end_sessions, "other", MANAGE)}),
    Path(re.compile("users/([^/]+)/(?:appLinks|factors)"), {"GET": Action(nothing, "other", READ)}),
    Path(re.compile("users/([^/]+)/grants"), {"GET": Action(grants, "other", READ)}),
    Path(re.compile("users/([^/]+)/roles"), {"GET": Action(nothing, "other", "okta.roles.read")}),
    Path(re.compile("users/([^/]+)/blocks"), {"GET": Action(blocks, "other", READ)}),
)
