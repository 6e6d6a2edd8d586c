"""Users and changes for tests."""

from __future__ import annotations

from typing import Any

from rosterhook.model import DELETED, Change


def user_of(user_id: str, *, status: str = "ACTIVE", **profile: object) -> dict[str, Any]:
    """A canonical user with a login, an e-mail address and names of its own, unless `profile` says otherwise."""
    names = {"login": f"{user_id}@example.com", "email": f"{user_id}@example.com"}
    profile = {**names, "firstName": "Ada", "lastName": "Lovelace", "mobilePhone": None, **profile}
    stamp = "2026-01-02T03:04:05.000Z"
    return {"id": user_id, "status": status, "created": stamp, "lastUpdated": stamp, "profile": profile}


def change_of(user_id: str, order: int = 1, *, status: str = "ACTIVE", **profile: object) -> Change:
    """A change that makes the user exist as `user_of` describes it."""
    return Change(user_id, order, user_of(user_id, status=status, **profile))


def deletion_of(user_id: str, order: int) -> Change:
    """A change for a user who is gone from Okta."""
    return Change(user_id, order, user_of(user_id, status=DELETED), deleted=True)
