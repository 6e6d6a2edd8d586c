"""The sweeper: works off full reads, phase by phase, so that a worker that is killed goes on where it was.

reading -> confirming -> filling -> comparing -> repairing -> done. What the phases mean is in `full_read.py` (Okta
against the directory) and `compare.py` (the directory against each target). A backfill ends after filling.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import apsw
import structlog

from rosterhook import sweeps
from rosterhook.compare import Comparer
from rosterhook.errors import OktaError, OktaStalePlace, TargetError
from rosterhook.full_read import PAGE, Lister, confirmed, judge, keep_page, unconfirmed
from rosterhook.model import ORG, Clock, iso, now_ms
from rosterhook.notes import BORN, read_note
from rosterhook.okta.budget import Budget
from rosterhook.okta.pages import users_place
from rosterhook.okta.users import EVERYBODY, changed_since
from rosterhook.proof import okta_and_directory
from rosterhook.store.database import Database
from rosterhook.store.queries import value
from rosterhook.sweeps import Sweep
from rosterhook.targets import Target

#: A target that takes nothing for so long is not waited for: the sweep ends, and its users stay pending.
FILL_SECONDS = 60.0
#: Whom Okta does not answer for in so long is told as unanswered.
ANSWER_SECONDS = 600.0
#: So many users who wait are counted once in so many seconds.
MANY_PENDING, COUNT_SECONDS = 5000, 1.0
#: A list that was begun anew so often will not come to its end.
RESTARTS = 3
#: Users may move between pages while they are read; whole pages do not.
CIRCLE = 3
HOUR_MS = 3600 * 1000

log = structlog.get_logger("rosterhook.reconcile")


class Sweeper:
    """Works on the oldest sweep that is not over, a bounded step at a time.

    Args:
        budget: shared with all who read this org; live reads go before.
        targets: which hold every user.
        at: time of day of the nightly reconcile; "" for never.
        dry: nothing is delivered or mended: every difference is only found. For a scratch copy of the store.
        on_change: called when users have become due or the directory has changed.
    """

    def __init__(
        self,
        state: Database,
        client: Lister,
        budget: Budget,
        targets: Sequence[Target],
        *,
        repairs: Callable[[str], bool] = lambda name: True,
        at: str = "",
        dry: bool = False,
        on_change: Callable[[], None] = lambda: None,
        clock: Clock = now_ms,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._state = state
        self._client = client
        self._budget = budget
        self._targets = targets
        self._names = [target.name for target in targets]
        self._repairs = repairs
        self._at = at
        self._dry = dry
        self._on_change = on_change
        self._clock = clock
        self._monotonic = monotonic
        self._waits = _Waits()
        self._counted, self._counted_at = 0, 0.0
        self._phases: dict[str, Callable[[Sweep], Awaitable[bool]]] = {
            "asked": self._begin,
            "reading": self._read,
            "confirming": self._confirm,
            "filling": self._fill,
            "comparing": self._compare,
            "repairing": self._repair,
        }

    async def step(self) -> bool:
        """Do the next piece of work; tell whether more can be done at once.

        Raises:
            OktaError: the list cannot be read now; the place stays.
        """
        waiting = await self._state.read(sweeps.open_sweeps)
        if waiting:
            return await self._phases[waiting[0].phase](waiting[0])
        await self._order_nightly()
        return False

    async def _order_nightly(self) -> None:
        """Where nothing ran at its time, because nothing was up, it runs later."""
        now = self._clock()
        if await self._state.read(lambda db: _is_due(db, last_time_ms(self._at, now), now)):
            await self._state.write(lambda db: sweeps.order(db, "reconcile", "nightly", now))

    async def _begin(self, sweep: Sweep) -> bool:
        wanted = EVERYBODY if sweep.kind != "changes" else changed_since(await self._since())
        await self._state.write(lambda db: sweeps.begin(db, sweep, users_place(wanted, PAGE), self._clock()))
        return True

    async def _since(self) -> str:
        """From where changes are looked for: an hour before the last sweep that is done, or the first start, began."""
        now = self._clock()
        done = await self._state.read(lambda db: value(db, "last_read", {"org": ORG, "now": now}))
        born = await self._state.read(lambda db: read_note(db, BORN)[0].get("at_ms", now))
        return iso((min(born, now) if done is None else done) - HOUR_MS) or ""

    async def _read(self, sweep: Sweep) -> bool:
        if not sweep.place:
            await self._state.write(lambda db: self._judge(db, sweep))
            self._on_change()
            return True
        if int(sweep.report.get("again", 0)) >= CIRCLE:
            error = f"Okta's list of users goes in a circle: {CIRCLE} pages in a row came again"
            await self._state.write(lambda db: sweeps.end(db, sweep, self._clock(), error=error))
            return True
        if self._budget.spare("users") <= 0:
            return False  # the rest of this window is for who waits for a live change
        try:
            page = await self._client.user_page(sweep.place)
            changed = await self._state.write(
                lambda db: keep_page(db, sweep, page, self._names, self._clock(), findings=sweep.kind == "reconcile")
            )
        except OktaStalePlace as error:
            return await self._begin_anew(sweep, str(error))
        except OktaError as error:
            await self._hindered(sweep, str(error))
            raise
        if changed:
            self._on_change()
        return True

    async def _begin_anew(self, sweep: Sweep, why: str) -> bool:
        """Okta does not know the place in its list any more."""
        if int(sweep.report.get("restarts", 0)) < RESTARTS:
            log.warning("sweep.begun_anew", sweep=sweep.id, reason=why)
            return await self._begin(sweep)
        error = f"Okta refused the place in its list {RESTARTS + 1} times: {why}"
        await self._state.write(lambda db: sweeps.end(db, sweep, self._clock(), error=error))
        return True

    def _judge(self, db: apsw.Connection, sweep: Sweep) -> None:
        if sweep.kind == "changes":
            sweeps.end(db, sweep, self._clock())
        else:
            judge(db, sweep, self._clock())

    async def _confirm(self, sweep: Sweep) -> bool:
        left = await self._state.read(unconfirmed)
        stuck = left > 0 and self._waits.is_stuck((sweep.id, sweep.phase), left, self._monotonic(), ANSWER_SECONDS)
        return await self._state.write(lambda db: confirmed(db, sweep, self._clock(), give_up=stuck))

    async def _fill(self, sweep: Sweep) -> bool:
        if not self._dry and not await self._is_filled(sweep):
            return False
        proof = await self._state.read(lambda db: okta_and_directory(db, sweep.mark))
        if sweep.kind == "backfill":
            await self._state.write(lambda db: sweeps.end(db, sweep, self._clock(), **proof))
        else:
            await self._state.write(lambda db: sweeps.enter(db, sweep, "comparing", self._clock(), **proof))
        return True

    async def _is_filled(self, sweep: Sweep) -> bool:
        """Tell whether the targets hold all that is wanted, or take nothing any more."""
        pending = await self._state.read(self._pending)
        about = (sweep.id, sweep.phase)
        return pending == 0 or self._waits.is_stuck(about, pending, self._monotonic(), FILL_SECONDS)

    def _pending(self, db: apsw.Connection) -> int:
        """How many users wait to be written. To count very many at every step would cost more than to write them."""
        now = self._monotonic()
        if self._counted >= MANY_PENDING and now - self._counted_at < COUNT_SECONDS:
            return self._counted
        self._counted_at = now
        self._counted = sum(int(value(db, "count_pending", {"org": ORG, "target": name})) for name in self._names)
        return self._counted

    async def _compare(self, sweep: Sweep) -> bool:
        only = sweep.options.get("target")
        found = {
            target.name: await self._compare_one(sweep, target, mend=not self._dry and self._repairs(target.name))
            for target in self._targets
            if only in (None, target.name)
        }
        if not self._dry and any(told.get("mended") or told.get("moving") for told in found.values()):
            await self._state.write(lambda db: sweeps.enter(db, sweep, "repairing", self._clock(), targets=found))
            self._on_change()
        else:
            await self._end(sweep, found)
        return True

    async def _repair(self, sweep: Sweep) -> bool:
        """Once the targets hold what was mended, compare those again: only what they then hold is proof."""
        left = await self._state.read(lambda db: unconfirmed(db) + self._pending(db))
        if left and not self._waits.is_stuck((sweep.id, sweep.phase), left, self._monotonic(), FILL_SECONDS):
            return False
        found: dict[str, Any] = dict(sweep.report.get("targets", {}))
        for target in self._targets:
            before = found.get(target.name, {})
            if before.get("mended") or before.get("moving"):
                again = await self._compare_one(sweep, target, mend=False)
                found[target.name] = {**again, "mended": before["mended"], "found": _counts(before)}
        await self._end(sweep, found)
        return True

    async def _end(self, sweep: Sweep, found: dict[str, Any]) -> None:
        told = sweep.report
        answered = not (told.get("unread") or told.get("unanswered"))
        sides = told.get("okta") == told.get("directory") and answered
        equal = sides and all(each.get("equal") for each in found.values())
        await self._state.write(lambda db: sweeps.end(db, sweep, self._clock(), targets=found, equal=equal))

    async def _compare_one(self, sweep: Sweep, target: Target, *, mend: bool) -> dict[str, Any]:
        first = sweep.phase == "comparing"
        if first:
            await self._state.write(lambda db: sweeps.forget_findings(db, sweep, target.name))
        comparer = Comparer(
            self._state, target, sweep, mend=mend, keep=first, settled_only=not self._dry, clock=self._clock
        )
        try:
            return (await comparer.run()).as_json()
        except TargetError as error:
            log.error("target.not_compared", target=target.name, error=error.message, hint=error.hint)
            return {"equal": False, "error": str(error)}

    async def _hindered(self, sweep: Sweep, error: str) -> None:
        if sweep.error != error:
            await self._state.write(lambda db: sweeps.hinder(db, sweep, error))


class _Waits:
    """Whether what is waited for still gets less."""

    def __init__(self) -> None:
        self._about: object = None
        self._least = 0
        self._since = 0.0

    def is_stuck(self, about: object, left: int, now: float, seconds: float) -> bool:
        """Tell whether `left` has not got less for so long. Another `about` is another wait."""
        if about != self._about or left < self._least:
            self._about, self._least, self._since = about, left, now
        return now - self._since >= seconds


def _is_due(db: apsw.Connection, at_ms: int, now: int) -> bool:
    """Tell whether no reconcile was ordered since a moment, or shortly before it, nor the store made.

    Shortly before: where the clocks change, a time of day comes twice in a night. Stamps of the future tell nothing.
    """
    last = sweeps.newest(db, "reconcile")
    stamps = (read_note(db, BORN)[0].get("at_ms", 0), last.asked_ms + 2 * HOUR_MS if last else 0)
    return all(stamp > now + 2 * HOUR_MS or stamp < at_ms for stamp in stamps)


def last_time_ms(at: str, now: int) -> int:
    """When it was this time of day last, by this machine's clock; 0 for "".

    >>> last_time_ms("", 1_000_000)
    0
    """
    if not at:
        return 0
    hour, minute = (int(part) for part in at.split(":"))
    here = datetime.fromtimestamp(now / 1000).astimezone()
    today = here.replace(hour=hour, minute=minute, second=0, microsecond=0)
    last = today if today <= here else today - timedelta(days=1)
    return int(last.timestamp() * 1000)


def _counts(told: dict[str, Any]) -> dict[str, int]:
    return {key: told[key] for key in ("changed", "missing", "surplus")}
