"""The sweeper: works off full reads, phase by phase, so that a worker that is killed goes on where it was.

reading -> confirming -> filling -> comparing -> repairing -> done. What the phases mean is in `full_read.py` (Okta
against the directory) and `compare.py` (the directory against each target). A backfill ends after filling.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import structlog

from rosterhook import sweeps
from rosterhook.compare import Comparer
from rosterhook.errors import OktaError, OktaStalePlace, TargetError
from rosterhook.full_read import PAGE, Lister, confirmed, is_confirmed, judge, keep_page
from rosterhook.model import ORG, Clock, iso, now_ms
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
HOUR_MS = 3600 * 1000
DAY_MS = 24 * HOUR_MS

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
        self._born_ms = clock()
        self._waits = _Waits()
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
        last = await self._state.read(lambda db: sweeps.newest(db, "reconcile"))
        since_ms = max(self._born_ms, last.asked_ms if last else 0)
        if last_time_ms(self._at, self._clock()) > since_ms:
            await self._state.write(lambda db: sweeps.order(db, "reconcile", "nightly", self._clock()))

    async def _begin(self, sweep: Sweep) -> bool:
        wanted = EVERYBODY if sweep.kind != "changes" else changed_since(await self._since())
        await self._state.write(lambda db: sweeps.begin(db, sweep, users_place(wanted, PAGE), self._clock()))
        return True

    async def _since(self) -> str:
        """From where changes are looked for: the last sweep that is done, and an hour earlier; at most a day ago."""
        now = self._clock()
        done = await self._state.read(lambda db: value(db, "last_read", {"org": ORG}))
        return iso(max((done or 0) - HOUR_MS, now - DAY_MS)) or ""

    async def _read(self, sweep: Sweep) -> bool:
        if not sweep.place:
            await self._state.write(lambda db: self._judge(db, sweep))
            self._on_change()
            return True
        if self._budget.spare("users") <= 0:
            return False  # the rest of this window is for who waits for a live change
        try:
            page = await self._client.user_page(sweep.place)
        except OktaStalePlace:
            log.warning("sweep.begun_anew", sweep=sweep.id, reason="Okta does not know the place in its list any more")
            return await self._begin(sweep)
        except OktaError as error:
            await self._hindered(sweep, str(error))
            raise
        changed = await self._state.write(
            lambda db: keep_page(db, sweep, page, self._names, self._clock(), findings=sweep.kind == "reconcile")
        )
        if changed:
            self._on_change()
        return True

    def _judge(self, db: Any, sweep: Sweep) -> None:
        if sweep.kind == "changes":
            sweeps.end(db, sweep, self._clock())
        else:
            judge(db, sweep, self._clock())

    async def _confirm(self, sweep: Sweep) -> bool:
        return await self._state.write(lambda db: confirmed(db, sweep, self._clock()))

    async def _fill(self, sweep: Sweep) -> bool:
        if not self._dry and not await self._is_filled(sweep):
            return False
        proof = await self._state.read(okta_and_directory)
        if sweep.kind == "backfill":
            await self._state.write(lambda db: sweeps.end(db, sweep, self._clock(), **proof))
        else:
            await self._state.write(lambda db: sweeps.enter(db, sweep, "comparing", self._clock(), **proof))
        return True

    async def _is_filled(self, sweep: Sweep) -> bool:
        """Tell whether the targets hold all that is wanted, or take nothing any more."""
        pending = await self._state.read(
            lambda db: sum(value(db, "count_pending", {"org": ORG, "target": name}) for name in self._names)
        )
        return pending == 0 or self._waits.is_stuck((sweep.id, sweep.phase), pending, self._monotonic())

    async def _compare(self, sweep: Sweep) -> bool:
        only = sweep.options.get("target")
        found = {
            target.name: await self._compare_one(sweep, target, mend=not self._dry and self._repairs(target.name))
            for target in self._targets
            if only in (None, target.name)
        }
        if any(told.get("mended") for told in found.values()):
            await self._state.write(lambda db: sweeps.enter(db, sweep, "repairing", self._clock(), targets=found))
            self._on_change()
        else:
            await self._end(sweep, found)
        return True

    async def _repair(self, sweep: Sweep) -> bool:
        """Once the targets hold what was mended, compare those again: only what they then hold is proof."""
        if not (await self._state.read(is_confirmed) and await self._is_filled(sweep)):
            return False
        found: dict[str, Any] = dict(sweep.report.get("targets", {}))
        for target in self._targets:
            before = found.get(target.name, {})
            if before.get("mended"):
                again = await self._compare_one(sweep, target, mend=False)
                found[target.name] = {**again, "mended": before["mended"], "found": _counts(before)}
        await self._end(sweep, found)
        return True

    async def _end(self, sweep: Sweep, found: dict[str, Any]) -> None:
        told = sweep.report
        equal = told.get("okta") == told.get("directory") and all(each.get("equal") for each in found.values())
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

    def is_stuck(self, about: object, left: int, now: float) -> bool:
        """Tell whether `left` has not got less for FILL_SECONDS. Another `about` is another wait."""
        if about != self._about or left < self._least:
            self._about, self._least, self._since = about, left, now
        return now - self._since >= FILL_SECONDS


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
