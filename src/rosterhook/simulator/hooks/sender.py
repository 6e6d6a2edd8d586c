"""Delivering events to one hook: gathered, in parallel, with one retry, and with the faults that were asked for.

What Okta does (okta-facts 1.3 to 1.9): events within a short time share a delivery; 200 or 204 within 3 s is success;
a timeout, a broken connection or a 5xx is tried once more; a 4xx is final; nothing is remembered after that.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from rosterhook.simulator.events import Event
from rosterhook.simulator.faults import Faults
from rosterhook.simulator.hooks.courier import Answer, Courier, as_body
from rosterhook.simulator.hooks.model import Hook
from rosterhook.simulator.settings import Settings

PATIENT_SECONDS = 0.25
#: So many failures (`Settings.hook_quiet_failures`) within so long, and the hook is skipped as long (okta-facts 1.9).
QUIET_SECONDS = 15 * 60.0


@dataclass(slots=True)
class Tally:
    """What became of the deliveries: `sent` = acknowledged + refused + lost + those on the way.

    Attributes:
        lost: failed twice.
        dropped: never sent, by a fault; not in `sent`.
        skipped: never sent, because the hook is in its quiet period; not in `sent`.
        attempts: HTTP requests, retries included.
    """

    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    lost: int = 0
    dropped: int = 0
    skipped: int = 0
    attempts: int = 0


class _Queued(NamedTuple):
    event: Event
    copy: bool = False


class Sender:
    """Everything between an event that a hook shall get and its owner's answer.

    Attributes:
        failed: hears of each delivery that was given up, and of its last answer.
    """

    def __init__(
        self,
        hook: Hook,
        settings: Settings,
        faults: Faults,
        courier: Courier,
        clock: Callable[[], float],
        failed: Callable[[Hook, Answer], None],
    ) -> None:
        self._hook = hook
        self._settings = settings
        self._faults = faults
        self._courier = courier
        self._clock = clock
        self._failed = failed
        self._queue: deque[_Queued] = deque()
        self._wake = asyncio.Event()
        self._free = asyncio.Semaphore(settings.parallel_deliveries)
        self._tasks: set[asyncio.Task[None]] = set()
        self._pump: asyncio.Task[None] | None = None
        self._in_flight = 0
        self._held = 0
        self._failures: deque[float] = deque(maxlen=settings.hook_quiet_failures or 0)
        self._quiet_until = 0.0
        self.tally = Tally()

    @property
    def pending(self) -> int:
        """How many events are still to be settled: queued, held back or in flight."""
        return len(self._queue) + self._held + self._in_flight

    def as_json(self) -> dict[str, int]:
        """The tally as `GET /_sim/traffic` shows it."""
        return {**asdict(self.tally), "pending": self.pending}

    @property
    def _forgets(self) -> bool:
        return not self._hook.verified or (not self._hook.active and self._settings.deactivated_hook_drops)

    def use(self, hook: Hook) -> None:
        """The hook has changed. What waits is forgotten when it may not get anything any more."""
        self._hook = hook
        if self._forgets:
            self._queue.clear()
            self._wake.set()

    def take(self, event: Event) -> None:
        """Deliver this event, soon."""
        if self._faults.strikes(self._faults.plan.reorder):
            self._later(_Queued(event))
        else:
            self._enqueue(_Queued(event))

    async def aclose(self) -> None:
        """Stop, whatever is on the way."""
        tasks = [*self._tasks, *([self._pump] if self._pump else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _enqueue(self, queued: _Queued) -> None:
        self._queue.append(queued)
        self._wake.set()
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._send_all())

    async def _send_all(self) -> None:
        while self._queue:
            await self._free.acquire()
            await self._gather()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._hook.pace.max_batch))]
            self._in_flight += len(batch)
            task = asyncio.create_task(self._settle(self._hook, batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _gather(self) -> None:
        """Wait until a delivery is due: full, or `batch_seconds` after its first event."""
        pace = self._hook.pace
        deadline = asyncio.get_running_loop().time() + pace.batch_seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while 0 < len(self._queue) < pace.max_batch:
                    self._wake.clear()
                    await self._wake.wait()

    def _later(self, queued: _Queued) -> None:
        """Hold an event back for a few deliveries, so that later ones overtake it."""
        seconds = self._hook.pace.batch_seconds * self._faults.rng.uniform(2, 5) + 0.02
        self._held += 1
        asyncio.get_running_loop().call_later(seconds, self._release, queued)

    def _release(self, queued: _Queued) -> None:
        self._held -= 1
        if not self._forgets:
            self._enqueue(queued)

    async def _settle(self, hook: Hook, batch: list[_Queued]) -> None:
        try:
            for queued in batch:
                if not queued.copy and self._faults.strikes(self._faults.plan.duplicate):
                    self._later(_Queued(queued.event, copy=True))
            if batch:
                await self._deliver(hook, [queued.event for queued in batch])
        finally:
            self._in_flight -= len(batch)
            self._free.release()

    async def _deliver(self, hook: Hook, batch: list[Event]) -> None:
        if self._faults.strikes(self._faults.plan.drop):
            self.tally.dropped += 1
            return
        if self._clock() < self._quiet_until:
            self.tally.skipped += 1
            return
        delay = self._faults.plan.delay
        if self._faults.strikes(delay.probability):
            await asyncio.sleep(delay.seconds)
        self.tally.sent += 1
        answer = await self._attempt_twice(hook, as_body(self._courier.envelope(hook, batch)))
        setattr(self.tally, answer.verdict, getattr(self.tally, answer.verdict) + 1)
        if answer.why:
            self._note_failure()
            self._failed(hook, answer)

    async def _attempt_twice(self, hook: Hook, body: bytes) -> Answer:
        """Try, and once more after a failure; a patient hook is tried until it answers."""
        tries = 0
        while True:
            self.tally.attempts += 1
            answer = await self._courier.post(hook, body)
            tries += 1
            patient = hook.pace.patient and self._hook.listens
            if answer.verdict != "lost" or (tries >= 2 and not patient):
                return answer
            await asyncio.sleep(self._settings.hook_retry_seconds if tries < 2 else PATIENT_SECONDS)

    def _note_failure(self) -> None:
        now, most = self._clock(), self._settings.hook_quiet_failures
        self._failures.append(now)
        if most and len(self._failures) == most and now - self._failures[0] <= QUIET_SECONDS:
            self._quiet_until = now + QUIET_SECONDS
            self._failures.clear()
