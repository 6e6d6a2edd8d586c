"""The steps of a user's life: from which status each is allowed, and where it leads.

Okta's statuses and steps are those of its API description (okta-facts 5.7). Where Okta only says "the link is sent
again", as for reactivate, the status stays or becomes PROVISIONED.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

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
        event: the type of event that tells of it.
        refusal: the answer from any other status.
        public: whether the API has it; the rest happens when people sign in.
    """

    allowed: frozenset[str]
    leads_to: Callable[[User], str]
    event: str
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
        frozenset({"ACTIVE", "PASSWORD_EXPIRED", "RECOVERY", "LOCKED_OUT"}),
        _to("PASSWORD_EXPIRED"),
        "user.account.expire_password",
    ),
    "reset_password": Step(
        frozenset({"ACTIVE", "PASSWORD_EXPIRED", "RECOVERY", "LOCKED_OUT"}),
        _to("RECOVERY"),
        "user.account.reset_password",
    ),
    "lock": Step(frozenset({"ACTIVE"}), _to("LOCKED_OUT"), "user.account.lock", public=False),
    # With the old password, for who has one (Okta's API description: RECOVERY ends with it).
    "change_password": Step(
        frozenset({"STAGED", "ACTIVE", "PASSWORD_EXPIRED", "RECOVERY"}),
        lambda user: "STAGED" if user["status"] == "STAGED" else "ACTIVE",
        "user.account.update_password",
        public=False,
    ),
    # Completing the activation ends here too: no event of its own tells that a user became ACTIVE (okta-facts 11.4).
    "set_password": Step(
        frozenset({"PROVISIONED", "ACTIVE", "RECOVERY", "PASSWORD_EXPIRED"}),
        _to("ACTIVE"),
        "user.account.update_password",
        public=False,
    ),
}


class Start(NamedTuple):
    """How a user begins.

    Attributes:
        activate: STAGED without it.
        password: whether one is set; who is activated without one is PROVISIONED.
        expired: whether the first thing to do is to change it (`nextLogin=changePassword`).
        question: the recovery question.
    """

    activate: bool = True
    password: bool = False
    expired: bool = False
    question: str | None = None


def new_user(user_id: str, type_id: str, profile: dict[str, Any], start: Start, now: str) -> User:
    """A user as Okta makes it, with the recorded keys in the recorded order."""
    credentials: dict[str, Any] = {"password": {}} if start.password else {}
    if start.question is not None:
        credentials["recovery_question"] = {"question": start.question}
    return {
        "id": user_id,
        "status": _first_status(start),
        "created": now,
        "activated": now if start.activate else None,
        # Recorded since 2025; in 2020 a status that never changed had no stamp.
        "statusChanged": now,
        "lastLogin": None,
        "lastUpdated": now,
        "passwordChanged": now if start.password else None,
        "type": {"id": type_id},
        "profile": profile,
        "credentials": {**credentials, "provider": {"type": "OKTA", "name": "OKTA"}},
    }


def _first_status(start: Start) -> str:
    if not start.activate:
        return "STAGED"
    if not start.password:
        return "PROVISIONED"
    return "PASSWORD_EXPIRED" if start.expired else "ACTIVE"


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
    if step_name in {"set_password", "change_password"}:
        changed["passwordChanged"] = now
        changed["credentials"] = {"password": {}, **user["credentials"]}
    if step_name == "deactivate":
        # Deactivating deletes the password, so that a later activation asks for a new one.
        changed["credentials"] = {key: value for key, value in user["credentials"].items() if key != "password"}
    return changed
