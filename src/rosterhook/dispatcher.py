"""The dispatcher: has one target hold what the directory holds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import apsw
import structlog

from rosterhook.directory import unpacked
from rosterhook.holds import Limit, hold_back, is_over
from rosterhook.model import ORG, Change, Clock, Delivered, Outcome, Park, RetryAt, level_of, now_ms
from rosterhook.retry import backoff_ms
from rosterhook.store.database import Database
from rosterhook.store.queries import rows, run, run_many
from rosterhook.targets import Target

CHANGES_A_STEP = 500
DEFAULT_LIMIT = Limit()

log = structlog.get_logger("rosterhook.dispatcher")


@dataclass(frozen=True, slots=True)
class _Link:
    """A user whom the target does not hold as wanted."""

    change: Change
    version: int
    level: int
    due_ms: int
    attempts: int
    waiting_ms: int | None


class Dispatcher:
    """Delivers what is wanted and not done, for one target. A slow or dead target holds up no other.

    Args:
        epoch: makes the order of changes grow over restarts and restored backups; see `next_epoch`.
        limit: how much may be removed without a person's approval.
        on_delivered: called with the number of users that the target has taken.
    """

    def __init__(
        self,
        state: Database,
        target: Target,
        epoch: int,
        *,
        limit: Limit = DEFAULT_LIMIT,
        on_delivered: Callable[[int], None] = lambda count: None,
        clock: Clock = now_ms,
    ) -> None:
        self.error = ""
        self.target = target
        self._state = state
        self._epoch = epoch
        self._limit = limit
        self._on_delivered = on_delivered
        self._clock = clock

    async def step(self) -> bool:
        """Deliver the next users; tell whether there were any.

        Raises:
            TargetError: the target takes nothing now; everybody still waits.
        """
        links = await self._state.read(self._pending)
        if links is None:
            await self._state.write(lambda db: hold_back(db, self.target.name, self._limit, self._clock()))
            return True
        if not links:
            return False
        try:
            outcomes = await self.target.deliver([link.change for link in links])
        except Exception as error:
            self.error = str(error)
            raise
        self.error = ""
        await self._state.write(lambda db: self._record(db, links, outcomes))
        self._on_delivered(sum(isinstance(outcome, Delivered) for outcome in outcomes))
        return True

    def _pending(self, db: apsw.Connection) -> list[_Link] | None:
        """The next to deliver; None when too many of those who wait are removals. Both are looked at together: what
        comes after the look is not delivered by it.
        """
        now = self._clock()
        if is_over(db, self.target.name, self._limit, now):
            return None
        values = {"org": ORG, "target": self.target.name, "now": now, "limit": CHANGES_A_STEP}
        return [self._link(*row) for row in rows(db, "pending_links", values)]

    def _link(
        self,
        user_id: str,
        wanted: int,
        due_ms: int,
        attempts: int,
        remote_id: str | None,
        waiting_ms: int | None,
        body: str,
        version: int,
        deleted_ms: int | None,
    ) -> _Link:
        change = Change(user_id, self._epoch + version, unpacked(body), deleted_ms is not None, remote_id)
        level = level_of(change.user.get("status"), deleted=change.deleted)
        return _Link(change, wanted, level, due_ms, attempts, waiting_ms)

    def _record(self, db: apsw.Connection, links: Sequence[_Link], outcomes: Sequence[Outcome]) -> None:
        now = self._clock()
        common = {"org": ORG, "target": self.target.name, "now": now}
        delivered: list[dict[str, object]] = []
        for link, outcome in zip(links, outcomes, strict=True):
            key = {**common, "user_id": link.change.user_id, "version": link.version}
            match outcome:
                case Delivered(remote_id):
                    lag_ms = max(0, now - link.waiting_ms) if link.waiting_ms is not None else None
                    done = {"remote_id": remote_id, "due_ms": link.due_ms, "lag_ms": lag_ms}
                    done |= {"level": self._limit.shown(link.level), "before": self._limit.before}
                    delivered.append({**key, **done})
                case RetryAt(at_ms, why):
                    due_ms = max(at_ms, now + backoff_ms(link.attempts + 1))
                    run(db, "link_postponed", {**key, "due_ms": due_ms, "error": why})
                case Park(why):
                    log.warning("user.parked", target=self.target.name, user=link.change.user_id, reason=why)
                    run(db, "link_parked", {**key, "error": why})
        run_many(db, "link_delivered", delivered)


def next_epoch(db: apsw.Connection, now: int) -> int:
    """A number larger than any that an earlier worker used, by more than any version has grown.

    `epoch + version` orders all writes to a target: a write of a worker that was killed, still on its way, loses
    against its successor's; and a store that was restored from a backup, whose versions went back, is not refused.
    """
    found = rows(db, "read_note", {"org": ORG, "name": "epoch"})
    epoch = max(now, int(found[0][0]) + 1000) if found else now
    run(db, "leave_note", {"org": ORG, "name": "epoch", "value": str(epoch), "now": now})
    return epoch
