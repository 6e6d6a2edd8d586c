"""The rules of a user's profile, and how one profile becomes another."""

from __future__ import annotations

import re
from typing import Any

from rosterhook.simulator import errors

Profile = dict[str, Any]

REQUIRED = ("firstName", "lastName", "login", "email")
#: Recorded users always have these two, null or not; other attributes are left out when they have no value.
ALWAYS_SHOWN = ("mobilePhone", "secondEmail")
LONGEST = {"firstName": 50, "lastName": 50, "login": 100, "email": 100}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


def checked(wanted: Any) -> Profile:
    """The profile as Okta stores it. Raises E0000001 with one cause per broken rule."""
    if not isinstance(wanted, dict):
        raise errors.invalid("profile", "profile: The field cannot be left blank")
    causes = [cause for name in REQUIRED for cause in _broken_rules(name, wanted.get(name))]
    if causes:
        raise errors.invalid(causes[0].partition(":")[0], *causes)
    profile = {name: value for name, value in wanted.items() if value is not None}
    return {**dict.fromkeys(ALWAYS_SHOWN), **profile}


def merged(profile: Profile, changes: Any) -> Profile:
    """A partial update: what isn't named stays, null takes a value away."""
    if not isinstance(changes, dict):
        raise errors.invalid("profile", "profile: The field cannot be left blank")
    return checked({**profile, **changes})


def differences(before: Profile, after: Profile) -> list[str]:
    """The names of the attributes that changed, as `changedAttributes` lists them."""
    return sorted(name for name in {**before, **after} if before.get(name) != after.get(name))


def _broken_rules(name: str, value: Any) -> list[str]:
    if value is None or value == "":
        return [f"{name}: The field cannot be left blank"]
    if not isinstance(value, str):
        return [f"{name}: Incorrect type"]
    if len(value) > LONGEST[name]:
        return [f"{name}: The field is too long"]
    if name in {"login", "email"} and not _EMAIL.fullmatch(value):
        return [f"{name}: must be in the form of an email address"]
    return []
