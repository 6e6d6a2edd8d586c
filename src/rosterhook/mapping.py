"""Attribute paths: how a configuration names a part of an Okta user."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rosterhook.model import Attributes

#: Top-level properties of a user that rosterhook keeps (Okta's API description, schema User).
#: `lastLogin` and `credentials` are left out: they change, or hide, without any event that rosterhook hears.
TOP_LEVEL = (
    "id",
    "status",
    "created",
    "activated",
    "statusChanged",
    "lastUpdated",
    "passwordChanged",
    "realmId",
    "type",
)


def check_path(path: str) -> None:
    """Raise ValueError, with the cure, unless `path` can name a part of a user."""
    head, _, rest = path.partition(".")
    if head == "profile" and rest:
        return
    if head == "profile":
        raise ValueError('"profile" is a whole object: name one attribute, as in "profile.email"')
    if head not in TOP_LEVEL:
        known = ", ".join(TOP_LEVEL)
        raise ValueError(f'"{path}" is no attribute of an Okta user: use profile.<name> or one of {known}')


def resolve(user: Attributes, path: str) -> object:
    """The value at `path`, or None where the user has none.

    A profile attribute is one key, whatever characters it has; other paths walk from object to object.

    >>> resolve({"profile": {"email": "a@b.c"}}, "profile.email")
    'a@b.c'
    >>> resolve({"type": {"id": "oty1"}}, "type.id")
    'oty1'
    >>> resolve({"status": "ACTIVE"}, "profile.email") is None
    True
    """
    return reader(path)(user)


def reader(path: str) -> Callable[[Attributes], object]:
    """As `resolve`, for a path that is read of very many users."""
    head, _, rest = path.partition(".")
    if not rest:
        return lambda user: user.get(head)

    def read(user: Attributes) -> object:
        value = user.get(head)
        return value.get(rest) if isinstance(value, dict) else None

    return read
