"""The intake: makes events, and the users to be read, of the deliveries in the inbox."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection
from dataclasses import dataclass

import apsw
import structlog

from rosterhook.arrivals import HOOK, hear, record_event
from rosterhook.inbox import Inbox
from rosterhook.model import ORG, Clock, Delivery, Event, now_ms
from rosterhook.okta import events as okta_events
from rosterhook.store.database import Database
from rosterhook.store.queries import rows, run

DELIVERIES_A_STEP = 200
TOO_LARGE = "larger than hook.max_body_bytes; its body was not kept"

log = structlog.get_logger("rosterhook.intake")


@dataclass(frozen=True, slots=True)
class _Read:
    """A delivery and what was found in it: events, or the reason why there are none."""

    delivery: Delivery
    events: tuple[Event, ...] = ()
    fault: str = ""


class Intake:
    """Reads the inbox past its own offset, which it keeps in the same transaction as what it made.

    Args:
        on_due: called when users have become due.
        our_hooks: Okta's ids of the hooks that call us; none when they are not known.
    """

    def __init__(
        self,
        inbox: Inbox,
        state: Database,
        *,
        on_due: Callable[[], None] = lambda: None,
        our_hooks: Callable[[], Collection[str]] = tuple,
        clock: Clock = now_ms,
    ) -> None:
        self._inbox = inbox
        self._state = state
        self._on_due = on_due
        self._our_hooks = our_hooks
        self._clock = clock
        self._checked = False

    async def step(self) -> bool:
        """Take in the next deliveries; tell whether there were any."""
        if not self._checked:
            await self._check_offset()
        offset = await self._state.read(handed_over)
        deliveries = await self._inbox.read(offset, DELIVERIES_A_STEP)
        if not deliveries:
            return False
        # Not in the loop: a large delivery takes seconds to read.
        read = await asyncio.to_thread(lambda: [_read(delivery) for delivery in deliveries])
        await self._state.write(lambda db: self._record(db, read))
        self._on_due()
        return True

    async def _check_offset(self) -> None:
        """Begin anew when the inbox is not the one that the offset was kept for: removed, or restored from a backup.

        Its numbers start lower then, and deliveries would lie below the offset, answered and never read. Reading
        one twice harms nothing: its events are known.
        """
        seq, received_ms = await self._state.read(_offset)
        next_one = await self._inbox.read(seq - 1, 1) if seq else []
        if seq and not any(one.seq > seq or one.received_ms == received_ms for one in next_one):
            log.warning("inbox.replaced", offset=seq, hint="Every delivery that is there is taken in again.")
            await self._state.write(lambda db: _move(db, 0, 0))
        self._checked = True

    def _record(self, db: apsw.Connection, read: list[_Read]) -> None:
        our_hooks = self._our_hooks()
        for one in read:
            if one.fault:
                self._quarantine(db, one)
            for event in one.events:
                record_event(db, event, HOOK, one.delivery.received_ms, self._clock(), our_hooks=our_hooks)
        hear(db, [event for one in read for event in one.events], self._clock())
        _move(db, read[-1].delivery.seq, read[-1].delivery.received_ms)

    def _quarantine(self, db: apsw.Connection, one: _Read) -> None:
        delivery = one.delivery
        log.warning("delivery.quarantined", delivery=delivery.seq, reason=one.fault)
        run(
            db,
            "quarantine",
            {
                "org": ORG,
                "seq": delivery.seq,
                "received_ms": delivery.received_ms,
                "reason": one.fault,
                "headers": json.dumps(dict(delivery.headers)),
                "body": delivery.body,
            },
        )
        if delivery.fault == "too_large":
            run(db, "ask_follower", {"org": ORG, "now": self._clock()})


def handed_over(db: apsw.Connection) -> int:
    """The sequence number of the last delivery whose events are stored."""
    return _offset(db)[0]


def _offset(db: apsw.Connection) -> tuple[int, int]:
    found = rows(db, "read_offset", {"org": ORG, "reader": "intake"})
    return found[0] if found else (0, 0)


def _move(db: apsw.Connection, seq: int, received_ms: int) -> None:
    run(db, "move_offset", {"org": ORG, "reader": "intake", "seq": seq, "received_ms": received_ms})


def _read(delivery: Delivery) -> _Read:
    if delivery.fault:
        return _Read(delivery, fault=TOO_LARGE if delivery.fault == "too_large" else delivery.fault)
    try:
        raw_events = okta_events.split(delivery.body)
    except okta_events.NotAHook as error:
        return _Read(delivery, fault=str(error))
    return _Read(delivery, tuple(okta_events.parse(bytes(raw)) for raw in raw_events))
