"""The steps of a user's life: from which status each is allowed, and where it leads.

Okta's statuses and steps are those of its API description (okta-facts 5.7). Where Okta only says "the link is sent
again", as for reactivate, the status stays or becomes PROVISIONED.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from rosterhook.simulator import errors
from rosterhook.simulator.errors import OktaError

User = dict[str, Any]

STATUSES = frozenset(
    {"STAGED", "PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED", "LOCKED_OUT", "SUSPENDED", "DEPROVISIONED"}
)


def _active_once_a_password_is_there(user: User) -> str:
    return "ACTIVE" if "password" in user["credentials"] else "PROVISIONED"


def _to(status: str) -> Callable[[User], str]:
    return lambda _user: status


def _wrong(_user: User) -> OktaError:
    return errors.wrong_status()


def _no_activation(user: User) -> OktaError:
    return errors.already_active() if user["status"] == "ACTIVE" else errors.wrong_status()


@dataclass(frozen=True, slots=True)
class Step:
    """One step.

    Attributes:
        allowed: the statuses it starts from.
        leads_to: the status after it.
        event: the type that hooks get, or None where Okta offers hooks none.
        refusal: the answer from any other status.
        public: whether the API has it; the rest happens when people sign in.
    """

    allowed: frozenset[str]
    leads_to: Callable[[User], str]
    event: str | None
    refusal: Callable[[User], OktaError] = _wrong
    public: bool = True


STEPS: dict[str, Step] = {
    "activate": Step(
        frozenset({"STAGED", "DEPROVISIONED"}),
        _active_once_a_password_is_there,
        "user.lifecycle.activate",
        _no_activation,
    ),
    "reactivate": Step(frozenset({"PROVISIONED", "RECOVERY"}), _to("PROVISIONED"), "user.lifecycle.reactivate"),
    "deactivate": Step(STATUSES - {"DEPROVISIONED"}, _to("DEPROVISIONED"), "user.lifecycle.deactivate"),
    "suspend": Step(
        frozenset({"ACTIVE"}),
        _to("SUSPENDED"),
        "user.lifecycle.suspend",
        lambda _user: errors.invalid("Cannot suspend a user that is not active"),
    ),
    "unsuspend": Step(
        frozenset({"SUSPENDED"}),
        _to("ACTIVE"),
        "user.lifecycle.unsuspend",
        lambda _user: errors.invalid("Cannot unsuspend a user that is not suspended"),
    ),
    "unlock": Step(frozenset({"LOCKED_OUT"}), _to("ACTIVE"), "user.account.unlock", lambda _user: errors.not_locked()),
    "expire_password": Step(
        frozenset({"ACTIVE", "PASSWORD_EXPIRED", "RECOVERY", "LOCKED_OUT"}), _to("PASSWORD_EXPIRED"), None
    ),
    "reset_password": Step(
        frozenset({"ACTIVE", "PASSWORD_EXPIRED", "RECOVERY", "LOCKED_OUT"}),
        _to("RECOVERY"),
        "user.account.reset_password",
    ),
    "lock": Step(frozenset({"ACTIVE"}), _to("LOCKED_OUT"), "user.account.lock", public=False),
    # Completing the activation ends here too: no event of its own tells that a user became ACTIVE (okta-facts 11.4).
    "set_password": Step(
        frozenset({"PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED"}),
        _to("ACTIVE"),
        "user.account.update_password",
        public=False,
    ),
}


def after(step_name: str, user: User, now: str) -> User:
    """The user after a step. Raises the OktaError of a step that isn't allowed."""
    step = STEPS[step_name]
    if user["status"] not in step.allowed:
        raise step.refusal(user)
    status = step.leads_to(user)
    changed = {**user, "status": status, "lastUpdated": now}
    if status != user["status"]:
        changed["statusChanged"] = now
    if step_name == "activate":
        changed["activated"] = now
    if step_name == "set_password":
        changed["passwordChanged"] = now
        changed["credentials"] = {"password": {}, **user["credentials"]}
    if step_name == "deactivate":
        # Deactivating deletes the password, so that a later activation asks for a new one.
        changed["credentials"] = {key: value for key, value in user["credentials"].items() if key != "password"}
    return changed
