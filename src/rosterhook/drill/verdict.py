"""What the target should hold, as the org's own truth demands it, and who is not as they should be.

It is written apart from the product's mapping: an oracle must not share the mistakes of what it judges.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

#: What the target says of a user who is gone.
DELETED = "DELETED"

User = Mapping[str, Any]
Row = Mapping[str, object]
#: Column to what the target holds and what it should hold.
Difference = Mapping[str, tuple[object, object]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a target compares with the org.

    Attributes:
        lost: users whose row is not what the org says, with how it differs.
        wrongly_deleted: users of the org whose row says that they are gone, or has vanished, with their real status.
    """

    lost: Mapping[str, Difference] = field(default_factory=dict)
    wrongly_deleted: Mapping[str, str] = field(default_factory=dict)


def expected_row(user: User) -> dict[str, object]:
    """The row of the default table that a user should have."""
    profile = user["profile"]
    return {
        "id": user["id"],
        "status": user["status"],
        "login": profile.get("login"),
        "email": profile.get("email"),
        "first_name": profile.get("firstName"),
        "last_name": profile.get("lastName"),
        "mobile_phone": profile.get("mobilePhone"),
        "created": user["created"],
        "last_updated": user["lastUpdated"],
    }


def judge(rows: Mapping[str, Row], users: Iterable[User], gone: Collection[str], seen: Collection[str]) -> Verdict:
    """Compare every row with the org.

    Args:
        rows: what the target holds, by the user's id.
        users: everybody who is in the org. Read after the rows: who is there now was there all the time, since Okta
            gives no id twice.
        gone: the ids of who was deleted in the org. Their rows say so, where they had one.
        seen: whose rows were there before; another user may not have come yet.
    """
    lost: dict[str, Difference] = {}
    wrongly: dict[str, str] = {}
    strangers = set(rows)
    for user in users:
        key, wanted = user["id"], expected_row(user)
        strangers.discard(key)
        row = rows.get(key)
        if row is None:
            lost[key] = {"row": (None, "there")}
        elif row != wanted:
            lost[key] = {name: (row.get(name), item) for name, item in wanted.items() if row.get(name) != item}
        if (row is None and key in seen) or (row is not None and row["status"] == DELETED):
            wrongly[key] = user["status"]
    for key in strangers:
        if key not in gone:
            lost[key] = {"row": ("there", None)}
        elif rows[key]["status"] != DELETED:
            lost[key] = {"status": (rows[key]["status"], DELETED)}
    return Verdict(lost, wrongly)
