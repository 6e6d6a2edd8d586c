"""Lost access: whether Okta seems to hide users from us, and is not to be believed when it says that they are gone.

A scope or an admin role that is taken away, or narrowed, answers with an empty list or with the very "not found" of
deleted users. (okta.com's articles on admin roles; seen by others who sync from Okta.)
"""

from __future__ import annotations

import apsw
import structlog

from rosterhook.model import ORG
from rosterhook.notes import ACCESS, leave_note, read_note
from rosterhook.store.queries import value

#: So many users may vanish at once, or this part of all, before it looks like lost access.
USERS, PERCENT = 20, 5.0

ROLE = "Check that the login's admin role still reaches all users; then `rosterhook reconcile`."
ACCEPT = "If these users are deleted indeed: `rosterhook reconcile --accept-missing`."

log = structlog.get_logger("rosterhook.access")


def is_wave(missing: int, known: int) -> bool:
    """Tell whether so many of the known users have vanished that it rather is we who see less.

    >>> is_wave(20, 100), is_wave(21, 100), is_wave(21, 1000)
    (False, True, False)
    """
    return missing > USERS and missing > known * PERCENT / 100


def why_lost(db: apsw.Connection) -> str:
    """Why Okta is not believed about who is gone; "" when it is."""
    told = str(read_note(db, ACCESS)[0].get("reason", ""))
    if told:
        return told
    hidden = int(value(db, "count_hidden", {"org": ORG}) or 0)
    if hidden <= USERS:
        return ""
    known = int(value(db, "count_living", {"org": ORG}))
    return (
        f"Okta knows {hidden:,} of {known:,} users no more, and told of no deletion" if is_wave(hidden, known) else ""
    )


def suspect(db: apsw.Connection, reason: str, now: int) -> None:
    """Believe nobody's absence until it is known whether we see less."""
    leave_note(db, ACCESS, {"reason": reason}, now)


def lose(db: apsw.Connection, reason: str, now: int) -> None:
    """Believe nobody's absence from now on."""
    log.error("okta.access_lost", reason=reason, hint=f"Nobody is deleted. {ROLE}")
    leave_note(db, ACCESS, {"reason": reason}, now)


def regain(db: apsw.Connection, now: int) -> None:
    """Okta shows everybody again."""
    if read_note(db, ACCESS)[0]:
        log.info("okta.access_regained")
        leave_note(db, ACCESS, {}, now)
