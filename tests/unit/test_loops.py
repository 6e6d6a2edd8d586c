"""The shape of every loop: busy while there is work, patient after a failure, and gone when told."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from rosterhook import loops
from rosterhook.errors import StoreError
from rosterhook.loops import Loop


async def test_works_until_there_is_nothing_to_do_then_waits_to_be_woken() -> None:
    """A loop repeats a step that did something, sleeps after one that did not, and wakes when it is rung."""
    work = [True, True, False, True, False]
    done: list[bool] = []
    slept = asyncio.Event()

    async def step() -> bool:
        done.append(work[len(done)])
        if not done[-1]:
            slept.set()
        if len(done) == len(work):
            loop.stop()
        return done[-1]

    loop = Loop("test", step, idle_seconds=60)
    running = asyncio.create_task(loop.run())
    await slept.wait()
    await asyncio.sleep(0)
    assert done == work[:3]
    loop.ring()
    await running
    assert done == work


@pytest.mark.parametrize("error", [StoreError("locked"), RuntimeError("a bug")])
async def test_failure_is_tried_again_and_ringing_does_not_hurry_it(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failure a loop waits its time, however often it is rung; then it goes on."""
    waits: list[int] = []

    def backoff(attempt: int, **_: object) -> int:
        waits.append(attempt)
        return 30

    monkeypatch.setattr(loops, "backoff_ms", backoff)
    tries = 0

    async def step() -> bool:
        nonlocal tries
        tries += 1
        if tries <= 3:
            raise error
        loop.stop()
        return False

    loop = Loop("test", step, idle_seconds=60)
    running = asyncio.create_task(loop.run())
    while not running.done():
        loop.ring()
        await asyncio.sleep(0)
    assert (tries, waits) == (4, [1, 2, 3])


async def test_stop_before_the_start_does_nothing() -> None:
    """A loop that is stopped before it runs ends at once."""

    async def step() -> bool:
        raise AssertionError("it must not run")

    loop = Loop("test", step, idle_seconds=60)
    loop.stop()
    await loop.run()


@pytest.mark.parametrize("kind", [StoreError, RuntimeError])
async def test_the_same_failure_is_logged_once_a_minute(kind: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure that stays is told at first and each minute; another one, and the end of it, at once."""
    monkeypatch.setattr(loops, "backoff_ms", lambda *_, **__: 0.001)
    now, steps = 0.0, ["a"] * 70 + ["b", "a", "", "a"]  # a second each

    async def step() -> bool:
        nonlocal now
        said, now = steps[int(now)], now + 1.0
        if now == len(steps):
            loop.stop()
        if said:
            raise kind(said)
        return True

    loop = Loop("test", step, idle_seconds=60, clock=lambda: now)
    with capture_logs() as logs:
        await loop.run()
    told = [(log["event"], log.get("error"), log.get("failures")) for log in logs]
    failed = ["a", "a", "b", "a", "a"] if kind is StoreError else [None] * 5
    again = ("loop.works_again", None, 72)
    assert told == [*[("loop.failed", each, None) for each in failed[:4]], again, ("loop.failed", failed[4], None)]
