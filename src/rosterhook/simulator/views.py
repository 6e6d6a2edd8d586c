"""How a user or a group looks in answers: what is kept of it, with links."""

from __future__ import annotations

from typing import Any

from rosterhook.simulator.groups import Group
from rosterhook.simulator.lifecycle import STEPS

User = dict[str, Any]

#: Where each link leads, below the user's own address.
_PATHS = {
    "activate": "lifecycle/activate",
    "reactivate": "lifecycle/reactivate",
    "suspend": "lifecycle/suspend",
    "unsuspend": "lifecycle/unsuspend",
    "unlock": "lifecycle/unlock",
    "resetPassword": "lifecycle/reset_password",
    "forgotPassword": "credentials/forgot_password",
    "expirePassword": "lifecycle/expire_password",
    "changeRecoveryQuestion": "credentials/change_recovery_question",
    "resetFactors": "lifecycle/reset_factors",
    "changePassword": "credentials/change_password",
    "deactivate": "lifecycle/deactivate",
}
_ACTIVE = (
    "suspend", "resetPassword", "forgotPassword", "expirePassword", "changeRecoveryQuestion", "resetFactors",
    "changePassword", "deactivate",
)  # fmt: skip
#: As recorded since 2025. An expired password takes none away, whatever the life cycle then says to the call.
_RECORDED = {
    "STAGED": ("activate", "resetFactors"),
    "ACTIVE": _ACTIVE,
    "PASSWORD_EXPIRED": _ACTIVE,
    "SUSPENDED": ("unsuspend", "resetFactors", "deactivate"),
}


def listed(user: User, base_url: str) -> User:
    """As lists have it: with the link to itself alone."""
    return {**_whole(user), "_links": {"self": {"href": _address(user, base_url)}}}


def alone(user: User, base_url: str) -> User:
    """As an answer about this user has it: with a link for all that may be done next."""
    address, type_id = _address(user, base_url), user["type"]["id"]
    # Recorded: the id of a type's schema is that of the type but for its prefix.
    meta = {
        "schema": {"href": f"{base_url}/api/v1/meta/schemas/user/osc{type_id[3:]}"},
        "self": {"href": address},
        "type": {"href": f"{base_url}/api/v1/meta/types/user/{type_id}"},
    }
    steps = {name: {"href": f"{address}/{_PATHS[name]}", "method": "POST"} for name in _steps(user["status"])}
    return {**_whole(user), "_links": {**steps, **meta}}


def shown_group(group: Group, base_url: str) -> dict[str, Any]:
    """A group as all answers have it: with its links."""
    url = f"{base_url}/api/v1/groups/{group['id']}"
    logos = [
        {"name": size, "href": f"{base_url}/assets/img/logos/groups/okta-{size}.png", "type": "image/png"}
        for size in ("medium", "large")
    ]
    links = {"logo": logos, "users": {"href": f"{url}/users"}, "apps": {"href": f"{url}/apps"}}
    return {**group, "_links": links}


def _whole(user: User) -> User:
    """With the addresses that Okta adds to the credentials, in the recorded place."""
    credentials = dict(user["credentials"])
    before = {"password": credentials.pop("password")} if "password" in credentials else {}
    emails = [{"value": user["profile"]["email"], "status": "VERIFIED", "type": "PRIMARY"}]
    return {**user, "credentials": {**before, "emails": emails, **credentials}}


def _steps(status: str) -> tuple[str, ...]:
    """The links that a status has. Where none are recorded: the steps that the life cycle allows."""
    recorded = _RECORDED.get(status)
    if recorded is not None:
        return recorded
    allowed = {f"lifecycle/{name}" for name, step in STEPS.items() if step.public and status in step.allowed}
    return tuple(name for name, path in _PATHS.items() if path in allowed)


def _address(user: User, base_url: str) -> str:
    return f"{base_url}/api/v1/users/{user['id']}"
