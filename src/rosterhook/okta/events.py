"""Okta's events: which types change a user, and how to read one without trusting its form.

What real events do (counted over public samples): the user is rarely the first target; a target list may be null,
empty or absent; stamps have none to nine digits of fraction, or name a day that does not exist.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterator
from datetime import UTC, datetime
from typing import Any

import msgspec

from rosterhook.model import Event, UserRef

#: What an event hook must subscribe to. All of Okta's hook-eligible types (its event catalogue, release
#: 2026.08.1) that change a user or whom a user belongs to. Sessions and sign-ins are left out: they would eat
#: the 400,000 events a day that Okta grants to all hooks of an org together.
SUBSCRIBED = (
    "application.user_membership.add",
    "application.user_membership.change_password",
    "application.user_membership.remove",
    "application.user_membership.update",
    "group.user_membership.add",
    "group.user_membership.remove",
    "user.account.lock",
    "user.account.reset_password",
    "user.account.unlock",
    "user.account.unlock_by_admin",
    "user.account.update_password",
    "user.account.update_profile",
    "user.lifecycle.activate",
    "user.lifecycle.create",
    "user.lifecycle.deactivate",
    "user.lifecycle.delete.initiated",
    "user.lifecycle.reactivate",
    "user.lifecycle.suspend",
    "user.lifecycle.unsuspend",
)

#: Those that a hook of ours subscribes to. No target can hold groups or applications yet: their events would only cost
#: calls and count towards the 400,000.
NEEDED = tuple(each for each in SUBSCRIBED if each.startswith("user."))

#: Types that change a user but come by the System Log alone: Okta offers them to no hook (its event catalogue).
LOG_ONLY = (
    "directory.user_profile.update",
    "system.agent.ad.update_user",
    "system.agent.ldap.update_user",
    "system.import.user.create",
    "system.import.user.delete",
    "system.import.user.suspend",
    "system.import.user.unsuspend",
    "system.import.user.unsuspend_after_confirm",
    "system.import.user.update",
    "system.import.user.update_user_lifecycle_from_master",
    "user.account.expire_password",
    "user.account.lock.limit",
    "user.account.update_primary_email",
    "user.account.update_secondary_email",
    "user.account.update_user_type",
    "user.lifecycle.delete.completed",
    "user.realm.update",
)

#: Types that tell of many users at once and name none: whoever changed meanwhile must be looked for. An import makes
#: an event for each user, or it does not: Okta does not say.
BULK = frozenset(
    {
        "system.import.complete",
        "system.import.complete_batch",
        "system.import.user_csv.complete",
        "user.lifecycle.password_mass_expiry",
    }
)

#: What the follower asks the System Log for: all that changes a user and that a hook of ours gets, or none can.
FOLLOWED = tuple(sorted({*NEEDED, *LOG_ONLY, *BULK}))

#: Types by which Okta says that a user is gone for good.
DELETES = frozenset({"user.lifecycle.delete.initiated", "user.lifecycle.delete.completed"})

#: The status that an event tells, for who may not ask Okta. `activate` comes when the activation mail is sent, and
#: nothing comes when its reader has followed it: ACTIVE is the nearest that events tell.
STATUS_AFTER = {
    "user.lifecycle.create": "STAGED",
    "user.lifecycle.activate": "ACTIVE",
    "user.lifecycle.reactivate": "PROVISIONED",
    "user.lifecycle.deactivate": "DEPROVISIONED",
    "user.lifecycle.suspend": "SUSPENDED",
    "user.lifecycle.unsuspend": "ACTIVE",
    "user.account.lock": "LOCKED_OUT",
    "user.account.unlock": "ACTIVE",
    "user.account.unlock_by_admin": "ACTIVE",
    "user.account.reset_password": "RECOVERY",
}

_CHANGES_RECORD = frozenset((*(t for t in SUBSCRIBED if t.startswith("user.account.")), *LOG_ONLY))
_LIFECYCLE = "user.lifecycle."
_MEMBERSHIP = ("group.user_membership.", "application.user_membership.")

#: `outcome.result` of what did not happen. An unknown result counts as happened: reading a user once too often
#: is harmless, missing a change is not.
FAILED = frozenset({"FAILURE", "DENY", "SKIPPED", "CHALLENGE", "RATE_LIMIT", "ABANDONED", "UNANSWERED"})

#: Okta reports a lock-out as the FAILURE of a sign-in, sometimes with the user as actor alone.
LOCK = "user.account.lock"

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)(?:\.(\d{1,9})\d*)?\s*(?:[Zz]|([+-])(\d\d):?(\d\d))?")


_HOOK_ID = re.compile(r"[A-Za-z0-9]+")


class _Data(msgspec.Struct):
    events: list[msgspec.Raw]


class _Envelope(msgspec.Struct):
    data: _Data


class NotAHook(ValueError):
    """A delivery that is no event hook of Okta; the message says why."""


def split(body: bytes) -> list[msgspec.Raw]:
    """The events of a delivery, each still as it came.

    Raises:
        NotAHook: the body is not JSON, or has no list `data.events`.
    """
    if not body.strip():
        raise NotAHook("the body is empty")
    try:
        return msgspec.json.decode(body, type=_Envelope).data.events
    except msgspec.ValidationError as error:
        raise NotAHook(f"no event hook of Okta: {error}") from None
    except msgspec.DecodeError as error:
        raise NotAHook(f"not JSON: {error}") from None
    except UnicodeDecodeError:
        raise NotAHook("not JSON: not UTF-8 text") from None
    except RecursionError:
        raise NotAHook("not JSON that can be read: nested too deep") from None


def parse(raw: bytes) -> Event:
    """Read one event. Never fails: what cannot be understood is an event with a `problem` that changes nobody."""
    try:
        content = msgspec.json.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        why = "nested too deep" if isinstance(error, RecursionError) else str(error)
        return Event(content_id(raw), "", None, "", (), raw, f"cannot be read: {why}")
    if not isinstance(content, dict):
        return Event(content_id(raw), "", None, "", (), raw, "is not an object")
    event_type = _text(content.get("eventType")) or ""
    outcome = (_text(_part(content, "outcome", "result")) or "").upper()
    return Event(
        uuid=_text(content.get("uuid")) or content_id(raw),
        type=event_type,
        published_ms=parse_stamp(content.get("published")),
        outcome=outcome,
        users=tuple(_users(content, event_type, outcome)),
        body=raw,
        problem="" if event_type else "has no eventType",
        hook_ids=_hook_ids(content),
    )


def content_id(raw: bytes) -> str:
    """An id made of what the event says, for one that has no uuid of its own."""
    try:
        canonical = msgspec.json.encode(msgspec.json.decode(raw), order="sorted")
    except (msgspec.DecodeError, ValueError, RecursionError):
        canonical = raw
    return f"sha256:{hashlib.sha256(canonical).hexdigest()}"


def essence(event: Event) -> str:
    """What must be equal for two arrivals of one uuid to be one event, by hook or by log."""
    users = ",".join(sorted(user.id for user in event.users))
    return f"{event.type}|{event.published_ms}|{users}"


def profile_of(user: UserRef) -> dict[str, str]:
    """The profile as far as an event tells it: login, e-mail where the login is one, and display name."""
    told = {
        "login": user.login,
        "email": user.login if user.login and "@" in user.login else None,
        "displayName": user.display_name,
    }
    return {key: text for key, text in told.items() if text}


def is_for_hook(event: Event, our_hooks: Collection[str]) -> bool:
    """Tell whether Okta was to send this event to a hook of ours.

    Args:
        our_hooks: Okta's ids of them; none when they were made by hand and are not known here.
    """
    if event.type not in NEEDED:
        return False
    return not event.hook_ids or not our_hooks or not set(our_hooks).isdisjoint(event.hook_ids)


def changes_user(event_type: str) -> bool:
    """Tell whether the user's own record changes, and so `lastUpdated`; a membership leaves it as it is."""
    return event_type.startswith(_LIFECYCLE) or event_type in _CHANGES_RECORD


def parse_stamp(stamp: object) -> int | None:
    """Milliseconds since 1970, or None for what names no moment. Without a zone it is UTC.

    >>> parse_stamp("2019-09-24T08:14:46.282226397Z")
    1569312886282
    >>> parse_stamp("2017-09-31T22:23:07Z") is None
    True
    """
    found = _STAMP.fullmatch(stamp.strip()) if isinstance(stamp, str) else None
    if not found:
        return None
    try:
        moment = datetime.fromisoformat(found[1]).replace(tzinfo=UTC)
    except ValueError:
        return None
    fraction, sign, hours, minutes = found.groups()[1:]
    offset = (int(hours) * 60 + int(minutes)) * 60_000 * (-1 if sign == "-" else 1) if sign else 0
    return round(moment.timestamp()) * 1000 + int((fraction or "").ljust(3, "0")[:3]) - offset


def _users(content: dict[str, Any], event_type: str, outcome: str) -> Iterator[UserRef]:
    if not _matters(event_type) or (outcome in FAILED and event_type != LOCK):
        return
    targets = content.get("target")
    found = [_ref(item) for item in targets if _is_user(item)] if isinstance(targets, list) else []
    actor = content.get("actor")
    if not found and event_type == LOCK and _is_user(actor):
        found = [_ref(actor)]
    seen: set[str] = set()
    for user in found:
        if user.id not in seen:
            seen.add(user.id)
            yield user


def _hook_ids(content: dict[str, Any]) -> tuple[str, ...]:
    """Okta names them in debugData, which is no contract, separated in a way that is not documented."""
    told = _text(_part(content, "debugContext", "debugData", "targetEventHookIds")) or ""
    return tuple(_HOOK_ID.findall(told))


def _matters(event_type: str) -> bool:
    return changes_user(event_type) or event_type.startswith(_MEMBERSHIP)


def _is_user(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == "User" and bool(_text(item.get("id")))


def _ref(item: Any) -> UserRef:
    login = _text(item.get("alternateId"))
    # Okta writes "unknown" where it has no login: it must never become one.
    known = login if login and login != "unknown" else None
    return UserRef(_text(item.get("id")) or "", known, _text(item.get("displayName")))


def _part(content: dict[str, Any], *keys: str) -> object:
    found: object = content
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def _text(value: object) -> str | None:
    return value.strip() or None if isinstance(value, str) else None
