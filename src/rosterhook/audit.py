"""The delivery audit: what became of every event that Okta was to send, and whether the hook is still heard."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import apsw

from rosterhook.arrivals import HOUR_MS
from rosterhook.model import ORG, iso
from rosterhook.notes import BORN, HEARD, WEB, read_note
from rosterhook.okta.events import FAILED, LOCK, SUBSCRIBED
from rosterhook.store.queries import rows, value

MINUTE_MS = 60 * 1000
DAY_MS = 24 * HOUR_MS
#: An event that the log has told is on its way by the hook for so long; usually it takes seconds.
PATIENCE_MS = 5 * MINUTE_MS
#: So many in a row, or a single one for so long (Okta takes no complaint about less), and the hook is silent.
MISSED = 3
LONG_PATIENCE_MS = 60 * MINUTE_MS
#: Okta sends so many events a day to all hooks of an org together, and writes a warning into its log at the other
#: number. (Its documentation, "Event hooks".)
DAILY, DAILY_WARNING = 400_000, 280_000
#: From here on the log is asked as if there were no hook: the hook may end at any moment.
LOG_FIRST = 380_000

RECEIVED, REPAIRED, OPEN, UNSUBSCRIBED, LOG_ONLY = "received", "repaired", "open", "not subscribed", "log only"
STATES = (RECEIVED, REPAIRED, OPEN, UNSUBSCRIBED, LOG_ONLY)


@dataclass(frozen=True, slots=True)
class HookHealth:
    """Whether the hook is heard.

    Attributes:
        missed: events in a row that the log has told and no delivery brought, the newest ones.
        missed_since_ms: when the first of them happened; None when there is none.
        events_of_day: events of the last 24 hours that Okta was to send to our hook.
    """

    missed: int
    missed_since_ms: int | None
    events_of_day: int
    is_silent: bool

    @property
    def is_log_first(self) -> bool:
        """The log is the feed to rely on."""
        return self.is_silent or self.events_of_day >= LOG_FIRST

    @property
    def warning(self) -> str:
        """What to tell a person; "" when all is well."""
        if self.is_silent:
            since = iso(self.missed_since_ms)
            return (
                f"the hook is silent: {self.missed:,} events since {since} came by the log alone."
                " `rosterhook hook status` says why"
            )
        if self.events_of_day >= DAILY_WARNING:
            return (
                f"{self.events_of_day:,} events for the hook in 24 hours; Okta ends all hooks of an org at {DAILY:,}."
                " The log brings what it does not send"
            )
        return ""


def hook_health(db: apsw.Connection, now: int, our_hooks: Collection[str] = ()) -> HookHealth:
    """Look at what the log told and the hook did not bring since the hook was last heard.

    Args:
        our_hooks: Okta's ids of the hooks that call us; none when they are not known. Then a hook that was made by hand
            may be for fewer types than ours is, and only those that it has brought before are missed.
    """
    heard = read_note(db, HEARD)[0]
    # What happened while nobody took calls here was not to be heard. A stamp of the future is of another clock.
    up_ms = read_note(db, WEB)[0].get("at_ms", read_note(db, BORN)[0].get("at_ms", 0))
    stamps = [stamp for stamp in (heard.get("published_ms", 0), up_ms, now - DAY_MS) if stamp <= now]
    by_type = rows(db, "missed_events", {"since": max(stamps), "until": now - PATIENCE_MS})
    brought = set(heard.get("types", ()))
    counted = [row for row in by_type if our_hooks or not brought or row[0] in brought]
    missed = sum(events for _, events, _ in counted)
    first_ms = min((first for _, _, first in counted), default=None)
    silent = missed >= MISSED or (first_ms is not None and first_ms < now - LONG_PATIENCE_MS)
    of_day = int(value(db, "events_of_day", {"org": ORG, "since": now - DAY_MS, "now": now}))
    return HookHealth(missed, first_ms, of_day, silent)


def read_audit(db: apsw.Connection, since_ms: int, now: int) -> dict[str, Any]:
    """What `rosterhook audit --json` prints.

    Returns:
        since; sent: events since then that Okta was to send to our hook; received: those that a delivery brought;
        repaired: those that the log alone brought, and whose users were read since; open: the same, not read yet;
        "not subscribed" and "log only": events that the hook is not for; types: the same numbers for each event type;
        hook {silent, missed, missed_since, events_of_day, warning}; first: since when events are kept.
    """
    by_type: dict[str, dict[str, int]] = {}
    for event_type, for_hook, hooked, _logged, outcome, events, unread in rows(db, "audit", {"since": since_ms}):
        told = by_type.setdefault(event_type or "?", dict.fromkeys(STATES, 0))
        if for_hook:
            # What failed changed nobody, but for a lock-out, which Okta tells as a failure.
            unread = 0 if hooked or (outcome in FAILED and event_type != LOCK) else unread
            told[RECEIVED] += events if hooked else 0
            told[REPAIRED] += 0 if hooked else events - unread
            told[OPEN] += unread
        elif hooked:
            told[RECEIVED] += events
        else:
            told[_why_unsubscribed(event_type)] += events
    totals = {state: sum(told[state] for told in by_type.values()) for state in STATES}
    health = hook_health(db, now)
    return {
        "since": iso(since_ms),
        "sent": totals[RECEIVED] + totals[REPAIRED] + totals[OPEN],
        **totals,
        "types": by_type,
        "hook": hook_as_json(health),
        "first": iso(value(db, "first_event", {"org": ORG})),
    }


def hook_as_json(health: HookHealth) -> dict[str, Any]:
    """The hook's health as `status` and `audit` show it."""
    return {
        "silent": health.is_silent,
        "missed": health.missed,
        "missed_since": iso(health.missed_since_ms),
        "events_of_day": health.events_of_day,
        "warning": health.warning,
    }


def _why_unsubscribed(event_type: str) -> str:
    return UNSUBSCRIBED if event_type in SUBSCRIBED else LOG_ONLY
