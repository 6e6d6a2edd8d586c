"""Budget: never more than the share, never stuck, never busy."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from okta_org import rate_headers

from rosterhook.okta.budget import Budget
from rosterhook.okta.rates import read_rates
from rosterhook.okta.window import UNLEARNT

EPOCH = 1_600_000_000


@dataclass
class Clock:
    now: float = 1000.0
    waits: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.waits.append(seconds)
        self.now += seconds


def budget_on(clock: Clock, share: float = 1.0) -> Budget:
    return Budget(share, clock=lambda: clock.now, sleep=clock.sleep)


async def call(budget: Budget, status: int, answer: dict[str, str], bucket: str = "users") -> None:
    await budget.acquire(bucket)
    budget.release(bucket, status, answer)


async def test_before_anything_is_learnt_a_few_calls_are_free() -> None:
    """Without knowing a limit, a handful of calls may run at a time."""
    budget = budget_on(Clock())
    assert budget.free("users") == UNLEARNT
    for _ in range(UNLEARNT):
        await budget.acquire("users")
    assert budget.free("users") == 0
    assert budget.free("user") == UNLEARNT


async def test_the_share_of_the_limit_is_spent_and_no_more() -> None:
    """Half of a limit of 10 is five calls, the first one included; the sixth waits for the next window."""
    clock = Clock()
    budget = budget_on(clock, share=0.5)
    for number in range(5):
        assert budget.free("users") == min(UNLEARNT, 5 - number)
        await call(budget, 200, rate_headers(10, 9 - number, left=30))
    assert budget.free("users") == 0
    assert clock.waits == []
    await budget.acquire("users")
    assert clock.waits == [31.0]


async def test_never_more_calls_than_remain() -> None:
    """What others have left of the limit is all there is, calls in flight taken off."""
    clock = Clock()
    budget = budget_on(clock)
    await call(budget, 200, rate_headers(100, 3, left=30))
    await budget.acquire("users")
    assert budget.free("users") == 2
    await budget.acquire("users")
    await budget.acquire("users")
    assert budget.free("users") == 0
    assert clock.waits == []


@pytest.mark.parametrize(("left", "wait"), [(20, 21.0), (0, 1.0), (-50, 1.0), (88, 89.0), (5000, 90.0), (None, 5.0)])
async def test_a_429_closes_the_bucket_until_reset(left: int | None, wait: float) -> None:
    """The wait is Reset - Date + 1 s, between 1 and 90 s; without these headers it is 5 s."""
    clock = Clock()
    budget = budget_on(clock)
    await call(budget, 429, {} if left is None else rate_headers(50, 0, left))
    assert budget.free("users") == 0
    assert budget.free("user") == UNLEARNT
    await budget.acquire("users")
    assert sum(clock.waits) == pytest.approx(wait)


async def test_the_local_clock_has_no_say_in_the_wait() -> None:
    """An org whose clock is years away is waited for no longer than its own headers say."""
    clock = Clock()
    budget = budget_on(clock)
    await call(budget, 429, rate_headers(50, 0, left=10, date=EPOCH + 10**8))
    await budget.acquire("users")
    assert clock.waits == [11.0]


async def test_a_complaint_about_parallel_calls_halves_them_once() -> None:
    """One crowd is one complaint: ten calls that all get limit 0 leave five at a time, not one."""
    clock = Clock()
    budget = budget_on(clock)
    await call(budget, 200, rate_headers(600, 599, left=60))
    for _ in range(10):
        await budget.acquire("users")
    for _ in range(10):
        budget.release("users", 429, rate_headers(0, 0, left=60))
    assert budget.parallel == 5
    await call(budget, 429, rate_headers(0, 0, left=60))
    assert budget.parallel == 2
    for _ in range(9):
        await call(budget, 429, rate_headers(0, 0, left=60))
    assert budget.parallel == 1
    assert all(wait > 0 for wait in clock.waits)


async def test_parallel_calls_come_back_slowly() -> None:
    """Twenty good answers allow one more call at a time, up to the ceiling and not beyond."""
    budget = budget_on(Clock())
    await call(budget, 429, rate_headers(0, 0, left=60))
    for number in range(19):
        await call(budget, 200, rate_headers(600, 500 - number, left=60))
    assert budget.parallel == 5
    await call(budget, 200, rate_headers(600, 400, left=60))
    assert budget.parallel == 6
    for _ in range(500):
        await call(budget, 200, rate_headers(600, 599, left=60))
    assert budget.parallel == 10


async def test_a_complaint_about_parallel_calls_teaches_no_limit() -> None:
    """Limit 0 is no rate limit: what was learnt before stays."""
    budget = budget_on(Clock())
    await call(budget, 200, rate_headers(600, 599, left=60))
    await call(budget, 429, rate_headers(0, 0, left=60))
    assert budget.as_dict()["users"]["limit"] == 600


async def test_a_waiter_that_is_cancelled_blocks_nobody() -> None:
    """The next in line gets the place that a cancelled caller waited for."""
    budget = budget_on(Clock())
    for _ in range(UNLEARNT):
        await budget.acquire("users")
    first = asyncio.create_task(budget.acquire("users"))
    second = asyncio.create_task(budget.acquire("users"))
    await asyncio.sleep(0)
    first.cancel()
    budget.release("users", 200, {})
    await second
    assert budget.free("users") == 0


async def test_a_share_of_a_tiny_limit_is_at_least_one_call() -> None:
    """A limit of one with a share of a tenth is slow, not stuck."""
    clock = Clock()
    budget = budget_on(clock, share=0.1)
    for number in range(3):
        await call(budget, 200, rate_headers(1, 0, left=60, date=EPOCH + 61 * number))
    assert clock.waits == [61.0, 61.0]


async def test_a_late_answer_of_the_last_window_is_not_counted_in_this_one() -> None:
    """An answer is counted in the window that it names."""
    budget = budget_on(Clock())
    for _ in range(3):
        await budget.acquire("users")
    budget.release("users", 200, rate_headers(50, 0, left=1))
    budget.release("users", 200, rate_headers(50, 49, left=60, date=EPOCH + 1))
    assert budget.free("users") == 48
    budget.release("users", 200, rate_headers(50, 0, left=1))
    assert budget.free("users") == 49


async def test_a_call_without_an_answer_counts_in_both_windows_that_it_may_be_in() -> None:
    """Okta may have counted a lost call after its window turned: it is taken off there too, and then forgotten."""
    clock = Clock()
    budget = budget_on(clock)
    await call(budget, 200, rate_headers(10, 9, left=60))
    for _ in range(3):
        await call(budget, 0, {})
    assert budget.free("users") == 6
    clock.now += 61
    assert budget.free("users") == 7
    clock.now += 61
    assert budget.free("users") == 10


async def test_a_window_ends_a_second_after_its_reset_and_no_sooner() -> None:
    """Okta's stamps are whole seconds: only Reset - Date + 1 s later is the window over for certain."""
    clock = Clock()
    budget = budget_on(clock)
    await call(budget, 200, rate_headers(10, 0, left=30))
    clock.now += 30.9
    assert budget.free("users") == 0
    clock.now += 0.2
    assert budget.free("users") == 10


async def test_a_slow_answer_does_not_move_the_end_of_the_window() -> None:
    """An answer that was long on its way tells an end that is too late: the earliest told end counts."""
    clock = Clock()
    budget = budget_on(clock)
    await call(budget, 200, rate_headers(10, 5, left=30))
    clock.now += 20
    await call(budget, 200, rate_headers(10, 4, left=30))
    assert budget.as_dict()["users"]["reset_in_seconds"] == 11
    await call(budget, 200, rate_headers(10, 4, left=5, date=EPOCH + 25))
    assert budget.as_dict()["users"]["reset_in_seconds"] == 6


async def test_a_reset_that_slides_opens_no_new_window() -> None:
    """A gateway that always says "in 60 s" cannot make the count start anew with every answer."""
    clock = Clock()
    budget = budget_on(clock, share=0.5)
    for number in range(10):
        await call(budget, 200, rate_headers(20, 19, left=60, date=EPOCH + number))
        clock.now += 1
    assert budget.free("users") == 0


async def test_the_snapshot_tells_what_is_known() -> None:
    """`status` shows limit, remaining, free calls and seconds to the reset of each bucket."""
    clock = Clock()
    budget = budget_on(clock, share=0.5)
    await call(budget, 200, rate_headers(50, 40, left=30))
    clock.now += 10.5
    unknown = {"limit": None, "remaining": None, "free": UNLEARNT, "reset_in_seconds": None}
    assert budget.as_dict() == {
        "users": {"limit": 50, "remaining": 40, "free": 24, "reset_in_seconds": 21},
        "user": unknown,
        "logs": unknown,
        "other": unknown,
    }


@pytest.mark.parametrize("value", ["", "x", "-1", "1.5", "٣", "9" * 400, "600, 600"])
def test_unreadable_numbers_are_unknown(value: str) -> None:
    """A header that is no number is as good as none; the first of several counts."""
    rates = read_rates({"x-rate-limit-limit": value, "date": value})
    assert rates.limit == (600 if value == "600, 600" else None)
    assert rates.date is None
