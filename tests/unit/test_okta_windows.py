"""Budget against a fake Okta in virtual time: windows, latency, losses and neighbours of any kind."""

from __future__ import annotations

import asyncio
import itertools
import math
import selectors
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from okta_org import rate_headers

from rosterhook.okta.budget import Budget

EPOCH = 1_600_000_000


class _Selector(selectors.SelectSelector):
    """Waiting moves the clock of the loop at once; waiting for nothing at all is a deadlock."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        assert timeout is not None, "deadlock: nothing is left that could happen"
        self.now += timeout
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self.virtual = _Selector()
        super().__init__(self.virtual)

    def time(self) -> float:
        return self.virtual.now


def play(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(main)


@dataclass
class Server:
    """Okta's side: windows of 60 s that begin when it likes, latency, losses, other clients."""

    limit: int
    offset: float
    delays: Iterator[float]
    fates: Iterator[str]
    others: Iterator[int]
    own: Counter[int] = field(default_factory=Counter)
    all: Counter[int] = field(default_factory=Counter)
    refused: int = 0

    async def serve(self) -> tuple[int, dict[str, str]]:
        fate = next(self.fates)
        await asyncio.sleep(next(self.delays))
        if fate == "never arrives":
            return 0, {}
        now = asyncio.get_running_loop().time() + self.offset
        window = math.floor(now / 60)
        self.own[window] += 1
        self.all[window] += 1 + next(self.others)
        refused = self.all[window] > self.limit
        self.refused += refused
        left = max(0, self.limit - self.all[window])
        date, reset = math.floor(now), (window + 1) * 60
        await asyncio.sleep(next(self.delays))
        if fate == "no answer":
            return 0, {}
        return 429 if refused else 200, rate_headers(self.limit, left, reset - date, EPOCH + date)


@settings(max_examples=150, deadline=None)
@given(
    share=st.floats(0.05, 1.0),
    limit=st.integers(1, 60),
    offset=st.floats(0, 60),
    delays=st.lists(st.floats(0.001, 25), min_size=1, max_size=12),
    fates=st.lists(st.sampled_from(["answer", "answer", "answer", "no answer", "never arrives"]), min_size=1),
    others=st.lists(st.sampled_from([0, 0, 0, 1, 5]), min_size=1),
    calls=st.integers(1, 150),
)
def test_no_window_of_okta_sees_more_than_the_share(
    share: float,
    limit: int,
    offset: float,
    delays: list[float],
    fates: list[str],
    others: list[int],
    calls: int,
) -> None:
    """Whatever the latency, losses and neighbours: own calls stay within the share, all end, no wait is busy."""
    cycle = itertools.cycle
    server = Server(limit, offset, cycle(delays), itertools.chain(["answer"], cycle(fates)), cycle(others))
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        await asyncio.sleep(seconds)

    async def one(budget: Budget) -> None:
        await budget.acquire("users")
        budget.release("users", *await server.serve())

    async def main() -> None:
        loop = asyncio.get_running_loop()
        budget = Budget(share, clock=loop.time, sleep=sleep)
        await one(budget)  # the limit is learnt from it
        await asyncio.gather(*(one(budget) for _ in range(calls)))

    play(main())
    assert max(server.own.values()) <= max(1, math.floor(share * limit + 1e-9))
    assert all(wait > 0 for wait in waits)
    assert len(waits) <= 3 * calls + 3
