"""Proof that two sides hold the same users: a count and a digest of each, whatever the order of reading."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import apsw

from rosterhook.model import ORG
from rosterhook.store.queries import each

_SIZE = 16
_MODULUS = 1 << (8 * _SIZE)


@dataclass
class Total:
    """Users and their sum. Sums of equal users are equal in any order; a user more, less or changed shows.

    >>> one, other = Total(), Total()
    >>> for user in ("a", "b"): one.add(user, "x")
    >>> for user in ("b", "a"): other.add(user, "x")
    >>> one == other, one.as_json()["count"]
    (True, 2)
    """

    count: int = 0
    total: int = 0

    def add(self, user_id: str, content: str) -> None:
        """Count a user with what is held of them."""
        self.add_token(token_of(user_id, content))

    def add_token(self, token: int) -> None:
        """As `add`, for a user who is counted on more than one side."""
        self.count += 1
        self.total = (self.total + token) % _MODULUS

    def as_json(self) -> dict[str, Any]:
        """As reports show it."""
        return {"count": self.count, "digest": f"{self.total:0{2 * _SIZE}x}"}


def token_of(user_id: str, content: str) -> int:
    """A number for a user with what is held of them. No id of Okta's has a NUL."""
    found = hashlib.blake2b(f"{user_id}\0{content}".encode(), digest_size=_SIZE)
    return int.from_bytes(found.digest(), "big")


def okta_and_directory(db: apsw.Connection, mark: int) -> dict[str, Any]:
    """Both sides after a full read.

    A user who was read again after the list had them, by id, is on Okta's side as that later answer says.

    Args:
        mark: of the users whom its list had.

    Returns:
        okta and directory, each {count, digest}; read_later: users whose state is newer than the list's; not_found:
        users in the directory whom Okta does not find; unread: users of whom the list and the directory say different
        things, and Okta has not answered which is true.
    """
    okta, ours = Total(), Total()
    later = not_found = unread = 0
    for user_id, listed, listed_version, held, version, reading, hidden in each(
        db, "proof", {"org": ORG, "mark": mark}
    ):
        token = token_of(user_id, held)
        ours.add_token(token)
        if listed is None and hidden:
            not_found += 1
        elif listed_version == version:
            okta.add_token(token if listed == held else token_of(user_id, listed))
        elif listed is not None and listed_version is None and reading is not None:
            unread += 1
        else:
            later += 1
            okta.add_token(token)
    counts = {"read_later": later, "not_found": not_found, "unread": unread}
    return {"okta": okta.as_json(), "directory": ours.as_json(), **counts}
