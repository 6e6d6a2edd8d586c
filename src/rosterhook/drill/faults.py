"""What goes wrong in a step of the script, as context managers: while one is open the fault is there.

What a fault still has to do before it ends, such as to wait for a hold, comes after its `yield`; what it leaves to be
done, such as a reconcile, is done while the target is watched for convergence.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

from rosterhook import holds
from rosterhook.drill.child import CAN_LIMIT, Child
from rosterhook.drill.stage import Stage, until
from rosterhook.errors import RosterhookError
from rosterhook.holds import Hold, Limit

KILL_SECONDS = 2.0
JUMP_SECONDS = 1.5
MINUTE_MS = 60_000
JUMPS_MS = (60 * MINUTE_MS, -60 * MINUTE_MS, 3 * MINUTE_MS, -3 * MINUTE_MS, 24 * 60 * MINUTE_MS, 0)
#: Any write but into the first bytes of a file fails.
FULL_BYTES = 1
#: An hour that passes in so many parts, while the org goes on changing.
DOWNTIME_MS = 60 * MINUTE_MS
DOWNTIME_SECONDS = 6.0
DOWNTIME_PARTS = 12
OPERATOR_SECONDS = 240.0
#: More than the default limits let pass, in users and in percent.
MORE_USERS, MORE_PERCENT = 25, 10


@dataclass
class Act:
    """What a fault has to tell of its step.

    Attributes:
        ended: when the fault was over, by the loop's clock, if something had to be waited for after it.
        changes: that it made in the org itself.
        notes: what happened, in words.
        removed: users who were removed without the approval that it takes.
    """

    ended: float | None = None
    changes: int = 0
    notes: list[str] = field(default_factory=list)
    removed: int = 0


Fault = Callable[[Stage, Act], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def nothing(_stage: Stage, _act: Act) -> AsyncIterator[None]:
    """All is well."""
    yield


def simulated(**plan: Any) -> Fault:
    """What the simulated org does by itself: see `simulator.faults.Plan`."""

    @asynccontextmanager
    async def fault(stage: Stage, _act: Act) -> AsyncIterator[None]:
        stage.simulator.faults.merge(plan)
        try:
            yield
        finally:
            stage.simulator.faults.clear()

    return fault


@asynccontextmanager
async def target_down(stage: Stage, _act: Act) -> AsyncIterator[None]:
    """The service cannot reach the target."""
    async with stage.way.down():
        yield


@asynccontextmanager
async def disk_full(stage: Stage, _act: Act) -> AsyncIterator[None]:
    """No write of web or worker into a file succeeds."""
    _limit(stage.children, FULL_BYTES)
    try:
        yield
    finally:
        _limit(stage.children, None)


def disk_full_is_impossible() -> str:
    """Why there can be no `disk_full` on this machine; "" when there can."""
    return "" if CAN_LIMIT else "not possible here: only Linux can limit another process"


def _limit(children: tuple[Child, ...], most_bytes: int | None) -> None:
    for child in children:
        child.limit_files(most_bytes)


@asynccontextmanager
async def kills(stage: Stage, act: Act) -> AsyncIterator[None]:
    """SIGKILL, now and then, of web, worker or both."""
    dice, killed = _dice(stage, "kills"), dict.fromkeys(stage.children, 0)

    async def strike() -> None:
        for child in dice.choice([(stage.web,), (stage.worker,), stage.children]):
            killed[child] += child.kill()

    async with _every(KILL_SECONDS, strike):
        yield
    act.notes.append(", ".join(f"{child.name} killed {times} times" for child, times in killed.items()))


@asynccontextmanager
async def clock_jumps(stage: Stage, act: Act) -> AsyncIterator[None]:
    """The wall clock of web and worker is put forward and back, and is right again at the end."""
    dice, jumps = _dice(stage, "clock"), [0]

    async def jump() -> None:
        jumps.append(dice.choice([each for each in JUMPS_MS if each != jumps[-1]]))
        stage.clock.jump_to(jumps[-1])

    try:
        async with _every(JUMP_SECONDS, jump):
            yield
    finally:
        stage.clock.jump_to(0)
    act.notes.append(f"{len(jumps) - 1} jumps, and back")


def _dice(stage: Stage, what: str) -> Random:
    return Random(f"{stage.seed}/{what}")  # noqa: S311 - a failure can be had again


@asynccontextmanager
async def _every(seconds: float, work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Do something at once and again every few seconds, for as long as this is open."""

    async def go_on() -> None:
        while True:
            await work()
            await asyncio.sleep(seconds)

    going = asyncio.create_task(go_on())
    try:
        yield
    finally:
        going.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await going


@asynccontextmanager
async def downtime(stage: Stage, act: Act) -> AsyncIterator[None]:
    """For an hour neither web nor worker runs, so no hook is taken. The place in the log must do: no full read."""
    before, parts = await stage.sweeps_ordered(), iter(range(DOWNTIME_PARTS))
    await asyncio.gather(*(child.stop() for child in stage.children))

    async def later() -> None:
        if next(parts, None) is not None:
            stage.clock.let_pass(DOWNTIME_MS // DOWNTIME_PARTS)

    try:
        async with simulated(drop=1.0)(stage, act), _every(DOWNTIME_SECONDS / DOWNTIME_PARTS, later):
            yield
    finally:
        for child in stage.children:
            child.start()
    act.ended = asyncio.get_running_loop().time()
    await until(stage.is_equal, OPERATOR_SECONDS, "the target does not come up")
    if more := await stage.sweeps_ordered() - before:
        raise RosterhookError(f"It took {more} full reads to come up.")
    act.notes.append("down for an hour; the log alone brought it back, without a full read")


@asynccontextmanager
async def lost_access(stage: Stage, act: Act) -> AsyncIterator[None]:
    """The login's admin role is taken away: lists are empty, and nobody is found by id. Then somebody reconciles."""
    stage.simulator.faults.merge({"lost_role": True})
    try:
        yield
        sweep = await stage.reconciled(await stage.order_reconcile(), OPERATOR_SECONDS)
        act.notes.append(f"reconcile without a role: {sweep.phase}")
        await stage.watch.try_look()
    finally:
        stage.simulator.faults.clear()
    await stage.order_reconcile()


@asynccontextmanager
async def mass_removal(stage: Stage, act: Act) -> AsyncIterator[None]:
    """Very many users are deactivated at once, under the default limits. They are held until somebody approves.

    The limits stay: this is the last step.
    """
    await stage.worker.stop()
    stage.file.write(holds=True)
    mass = _deactivate_many(stage)
    act.changes = len(mass)
    stage.worker.start()
    yield
    await until(lambda: _is_accounted_for(stage, mass), OPERATOR_SECONDS, "not everybody was held, or removed")
    removed = _removed(stage, mass)
    act.removed = max(0, removed - _passing(len(stage.watch.rows)))
    for hold in await _held(stage):
        act.notes.append(f"{len(hold.users):,} held and approved, {removed:,} removed within the limits")
        await stage.stores.state.write(lambda db, number=hold.id: holds.approve(db, number, stage.clock.now_ms()))  # type: ignore[misc]


def _deactivate_many(stage: Stage) -> list[str]:
    org, dice = stage.simulator.org, _dice(stage, "mass")
    in_service = [user["id"] for user in org if user["status"] != "DEPROVISIONED"]
    mass = dice.sample(in_service, min(len(in_service), MORE_USERS + len(in_service) * MORE_PERCENT // 100))
    for user_id in mass:
        org.step(user_id, "deactivate")
    return mass


def _passing(users: int) -> int:
    """How many removals the default limits let pass at most."""
    limit = Limit()
    return max(limit.users, int(users * limit.percent / 100))


async def _is_accounted_for(stage: Stage, mass: list[str]) -> bool:
    if await stage.unsettled() or await stage.watch.try_look() is None:
        return False
    held = sum(len(hold.users) for hold in await _held(stage))
    return held + _removed(stage, mass) >= len(mass)


async def _held(stage: Stage) -> list[Hold]:
    return await stage.stores.state.read(holds.list_holds)


def _removed(stage: Stage, mass: list[str]) -> int:
    """How many of them the target does not show in service any more."""
    return sum(stage.watch.rows[key]["status"] in ("DEPROVISIONED", "DELETED") for key in mass)
