"""Delivering events to the hook: gathered, in parallel, with one retry, and with the faults that were asked for.

What Okta does (okta-facts 1.3 to 1.8): events within a short time share a delivery; 200 or 204 within 3 s is success;
a timeout, a broken connection or a 5xx is tried once more; a 4xx is final; nothing is remembered after that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from random import Random
from typing import Any, NamedTuple

import httpx2

from rosterhook.simulator.errors import OktaError
from rosterhook.simulator.events import Event, instant, new_id, new_uuid
from rosterhook.simulator.faults import Faults
from rosterhook.simulator.hook import Hook, verify
from rosterhook.simulator.settings import Settings

PATIENT_SECONDS = 0.25


@dataclass(slots=True)
class Tally:
    """What became of the deliveries: `sent` = acknowledged + refused + lost + those on the way.

    Attributes:
        lost: failed twice.
        dropped: never sent, by a fault; not in `sent`.
        attempts: HTTP requests, retries included.
    """

    sent: int = 0
    acknowledged: int = 0
    refused: int = 0
    lost: int = 0
    dropped: int = 0
    attempts: int = 0


class _Queued(NamedTuple):
    event: Event
    copy: bool = False


class Deliverer:
    """Everything between an event and the hook's answer."""

    def __init__(
        self,
        settings: Settings,
        faults: Faults,
        clock: Callable[[], float],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._faults = faults
        self._clock = clock
        self._rng = Random(f"{settings.seed}/delivery")  # noqa: S311
        self._client = _client(settings, transport)
        self._queue: deque[_Queued] = deque()
        self._wake = asyncio.Event()
        self._free = asyncio.Semaphore(settings.parallel_deliveries)
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight = 0
        self._held = 0
        self.hook: Hook | None = None
        self.verified = False
        self.tally = Tally()

    @property
    def pending(self) -> int:
        """How many events are still to be settled: queued, held back or in flight."""
        return len(self._queue) + self._held + self._in_flight

    def as_json(self) -> dict[str, int]:
        """The tally as `GET /_sim/traffic` shows it."""
        return {**asdict(self.tally), "pending": self.pending}

    async def set_hook(self, hook: Hook) -> None:
        """Take this hook instead of the last one; events go to it once it has proved itself. Raises E0000001."""
        self.hook, self.verified = hook, False
        challenge = new_id(self._rng, "", 40)
        try:
            await verify(self._client, hook, challenge, self._settings.hook_timeout_seconds)
        except OktaError:
            self._queue.clear()
            raise
        self.verified = self.hook is hook
        self._wake.set()

    def remove_hook(self) -> None:
        """No hook, no deliveries; what was queued is forgotten."""
        self.hook, self.verified = None, False
        self._queue.clear()

    def take(self, event: Event) -> None:
        """An event happened. Without a verified hook nobody will hear of it (okta-facts 1.11)."""
        if self.hook is None or not self.verified:
            return
        event["debugContext"]["debugData"]["targetEventHookIds"] = self.hook.id
        if self._faults.strikes(self._faults.plan.reorder):
            self._later(_Queued(event))
        else:
            self._enqueue(_Queued(event))

    async def run(self) -> None:
        """Send until cancelled."""
        try:
            while True:
                await self._send_next()
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._client.aclose()

    async def _send_next(self) -> None:
        await self._free.acquire()
        hook = await self._gather()
        batch = [self._queue.popleft() for _ in range(min(len(self._queue), hook.max_batch))]
        self._in_flight += len(batch)
        task = asyncio.create_task(self._settle(hook, batch))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _gather(self) -> Hook:
        """Wait until a delivery is due: full, or `batch_seconds` after its first event."""
        while not self._queue or self.hook is None or not self.verified:
            self._wake.clear()
            await self._wake.wait()
        hook = self.hook
        deadline = asyncio.get_running_loop().time() + hook.batch_seconds
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(deadline):
                while len(self._queue) < hook.max_batch:
                    self._wake.clear()
                    await self._wake.wait()
        return self.hook or hook

    def _enqueue(self, queued: _Queued) -> None:
        self._queue.append(queued)
        self._wake.set()

    def _later(self, queued: _Queued) -> None:
        """Hold an event back for a few deliveries, so that later ones overtake it."""
        hook = self.hook
        seconds = (hook.batch_seconds if hook else 0.0) * self._faults.rng.uniform(2, 5) + 0.02
        self._held += 1
        asyncio.get_running_loop().call_later(seconds, self._release, queued)

    def _release(self, queued: _Queued) -> None:
        self._held -= 1
        if self.verified:
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
        delay = self._faults.plan.delay
        if self._faults.strikes(delay.probability):
            await asyncio.sleep(delay.seconds)
        self.tally.sent += 1
        verdict = await self._attempt_twice(hook, self._envelope(hook, batch))
        setattr(self.tally, verdict, getattr(self.tally, verdict) + 1)

    async def _attempt_twice(self, hook: Hook, body: bytes) -> str:
        """Try, and once more after a failure; a patient hook is tried until it answers."""
        tries = 0
        while True:
            verdict = await self._attempt(hook, body)
            tries += 1
            if verdict != "lost" or (tries >= 2 and not hook.patient):
                return verdict
            await asyncio.sleep(self._settings.hook_retry_seconds if tries < 2 else PATIENT_SECONDS)

    async def _attempt(self, hook: Hook, body: bytes) -> str:
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": f"Okta Hook Service v1.0.0 - {hook.id}",
            **hook.own_headers(),
        }
        self.tally.attempts += 1
        try:
            async with asyncio.timeout(self._settings.hook_timeout_seconds):
                response = await self._client.post(hook.url, content=body, headers=headers)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError):
            return "lost"
        if response.status_code in {200, 204}:
            return "acknowledged"
        return "lost" if response.status_code >= 500 else "refused"

    def _envelope(self, hook: Hook, batch: list[Event]) -> bytes:
        """Made once per delivery: a retry repeats the `eventId` (inferred, okta-facts 1.5)."""
        envelope: dict[str, Any] = {
            "eventType": "com.okta.event_hook",
            "eventTypeVersion": "1.0",
            "cloudEventsVersion": "0.1",
            "source": f"https://{self._settings.org_host}/api/v1/eventHooks/{hook.id}",
            "eventId": new_uuid(self._rng),
            "data": {"events": batch},
            "eventTime": instant(self._clock()),
            "contentType": "application/json",
        }
        return json.dumps(envelope, ensure_ascii=False, separators=(",", ":")).encode()


def _client(settings: Settings, transport: httpx2.AsyncBaseTransport | None) -> httpx2.AsyncClient:
    # A connection kept longer than the receiver keeps it would break under the next delivery.
    limits = httpx2.Limits(max_connections=settings.parallel_deliveries + 2, keepalive_expiry=2.0)
    return httpx2.AsyncClient(
        transport=transport,
        limits=limits,
        timeout=settings.hook_timeout_seconds,
        trust_env=False,
        follow_redirects=False,
    )
