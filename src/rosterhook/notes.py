"""Small facts that one process leaves for another, in the state store."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import apsw

from rosterhook.model import ORG
from rosterhook.store.queries import rows, run

#: By the web process: {"count": calls of Okta refused since it began, "last_ms": when the last one came}.
REFUSED = "refused"
#: By the intake: {"published_ms": of the newest event that a delivery brought}.
HEARD = "heard"
#: By the web process: {"at_ms": when it began to take hooks}.
WEB = "web"
#: By a sweep: {"reason": why Okta seems to hide users from us}; {} when it does not.
ACCESS = "access"
#: By the first worker of a store: {"at_ms": when it started}.
BORN = "born"


def read_note(db: apsw.Connection, name: str) -> tuple[dict[str, Any], int | None]:
    """What another process has left under `name`, and when; ({}, None) when nothing."""
    found = rows(db, "read_note", {"org": ORG, "name": name})
    return (json.loads(found[0][0]), found[0][1]) if found else ({}, None)


def leave_note(db: apsw.Connection, name: str, told: Mapping[str, Any], now: int) -> None:
    """Leave something under `name`, in place of what was there. `now` is in milliseconds since 1970."""
    run(db, "leave_note", {"org": ORG, "name": name, "value": json.dumps(told), "now": now})
