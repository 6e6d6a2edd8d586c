"""The words of the house: what is handed from one part to the next.

All times are integers, milliseconds since 1970 in UTC, and named `..._ms`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, NamedTuple

#: One service serves one org today; every stored key carries it, so that several are an addition.
ORG = "default"

#: The status that a target sees for a user who is gone from Okta. Okta itself has no such status.
DELETED = "DELETED"

#: Okta's statuses of a user who may not sign in for good. (UserStatus in Okta's API description.)
DEPROVISIONED = "DEPROVISIONED"
SUSPENDED = "SUSPENDED"

#: A canonical user as JSON: id, status, profile {...}, Okta's time stamps, and whatever else Okta sent.
Attributes = Mapping[str, object]

Clock = Callable[[], int]

#: How far out of service a user is in Okta. What a target makes of it is the target's policy.
IN_SERVICE, OUT_FOR_NOW, DEACTIVATED, GONE = range(4)


def now_ms() -> int:
    """The time now, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Delivery(NamedTuple):
    """One request of Okta's event hook, as it came. A tuple, because one is made for every request.

    Attributes:
        seq: its place in the inbox; grows by arrival. 0 before it is stored.
        fault: why the body is not here ("too_large"), or None.
    """

    received_ms: int
    headers: Mapping[str, str]
    body: bytes
    fault: str | None = None
    seq: int = 0


def iso(at_ms: int | None) -> str | None:
    """A time as Okta writes it, such as 2026-01-02T03:04:05.678Z; None for none."""
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_LEVELS: Mapping[str, int] = {SUSPENDED: OUT_FOR_NOW, DEPROVISIONED: DEACTIVATED}


def level_of(status: object, *, deleted: bool) -> int:
    """How far out of service a user is.

    >>> level_of("ACTIVE", deleted=False), level_of("DEPROVISIONED", deleted=False), level_of("ACTIVE", deleted=True)
    (0, 2, 3)
    """
    return GONE if deleted else _LEVELS.get(str(status), IN_SERVICE)


@dataclass(frozen=True, slots=True)
class UserRef:
    """A user as an event names it: only `id` is always there."""

    id: str
    login: str | None = None
    display_name: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One event of Okta's System Log, by whatever way it came.

    Attributes:
        uuid: Okta's own, or "sha256:..." of the content where Okta's is missing or taken by another event.
        type: Okta's `eventType`; "" when the event has none.
        published_ms: None when Okta's stamp is missing or no real date.
        outcome: Okta's `outcome.result` in upper case, or "".
        users: whom it says has changed; empty for a type that changes nobody and for a failed outcome.
        body: the event as JSON.
        problem: why it could not be understood, or "".
        hook_ids: the event hooks that were set up to get it, as far as Okta tells.
    """

    uuid: str
    type: str
    published_ms: int | None
    outcome: str
    users: tuple[UserRef, ...]
    body: bytes
    problem: str = ""
    hook_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """What a target has to make true for one user.

    Attributes:
        user_id: Okta's id of the user.
        order: grows with every change to this user, over restarts and restored backups; a target refuses a
            change whose order is lower than what it holds.
        user: the canonical user; for one who is gone, as last known, with status "DELETED".
        deleted: Okta itself said that the user is gone.
        remote_id: the target's own id for the user, as an earlier `Delivered` told it.
    """

    user_id: str
    order: int
    user: Attributes
    deleted: bool = False
    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The target holds the change now, or something newer. `remote_id` is its own id for the user."""

    remote_id: str | None = None


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Not now: try again at `at_ms`. For a fault that heals by itself."""

    at_ms: int
    why: str


@dataclass(frozen=True, slots=True)
class Park:
    """Not like this: somebody must change the user, the mapping or the target. `why` tells them what."""

    why: str


Outcome = Delivered | RetryAt | Park


@dataclass(frozen=True, slots=True)
class Drift:
    """How a target's row differs from what it should be.

    Attributes:
        kind: "changed" values, a "missing" row, or one that is "surplus".
        fields: column to what the target holds and what it should hold; None for no value.
    """

    kind: Literal["changed", "missing", "surplus"]
    fields: Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a check found.

    Attributes:
        facts: what is right, and what a first write will do ("will create table users").
        problems: what is wrong and how to mend it; empty means that the target accepts.
    """

    facts: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
