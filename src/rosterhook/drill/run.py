"""Goes through the script: changes under a fault, the end of the fault, and how long the target needs from there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rosterhook.drill.faults import Act
from rosterhook.drill.script import Step
from rosterhook.drill.stage import Stage, staged, until
from rosterhook.drill.verdict import Difference
from rosterhook.errors import RosterhookError
from rosterhook.simulator.traffic import Job

FIRST_LOAD_SECONDS = 600.0
CONVERGE_SECONDS = 300.0
POLL_SECONDS = 0.1
#: Of who differs so many are told.
TOLD = 3


@dataclass(frozen=True, slots=True)
class Drill:
    """What is asked for.

    Attributes:
        changes: in all steps together.
        rate: changes a second.
        target: as `targets.url`; None is a file of SQLite.
        folder: for all that is written.
        converge_seconds: how long a step waits for the target at most.
    """

    users: int
    changes: int
    seed: int
    rate: float
    steps: Sequence[Step]
    target: str | None
    folder: Path
    converge_seconds: float = CONVERGE_SECONDS


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a drill is.

    Attributes:
        step: its title; "" before the first.
        number: of the step, from 1.
        doing: in a word or two.
        changes: made in this step so far.
    """

    step: str
    number: int
    doing: str
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one step.

    Attributes:
        lost: users whose row is not what the org says, in the end.
        wrongly_deleted: users of the org who were seen deleted in the target, at any look.
        seconds: from the end of the fault until the target was equal; None when it was not in time.
        calls: of Okta's API.
        problem: what still waited in the end, or could not be done; "" for nothing.
        differing: some of the lost, with how their rows differ.
        deleted: some of the wrongly deleted, with their status in the org.
        skipped: why the step was not done; "" when it was.
    """

    step: Step
    changes: int = 0
    lost: int = 0
    wrongly_deleted: int = 0
    seconds: float | None = None
    calls: int = 0
    notes: Sequence[str] = ()
    problem: str = ""
    differing: Mapping[str, Difference] = field(default_factory=dict)
    deleted: Mapping[str, str] = field(default_factory=dict)
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Nothing was lost or wrongly deleted, and the target came up in time."""
        unequal = self.lost or self.wrongly_deleted or self.seconds is None
        return bool(self.skipped) or not (unequal or self.problem)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "step": self.step.name,
            "about": self.step.title,
            "changes": self.changes,
            "lost": self.lost,
            "wrongly_deleted": self.wrongly_deleted,
            "converged_seconds": None if self.seconds is None else round(self.seconds, 1),
            "okta_calls": self.calls,
            "passed": self.passed,
            "skipped": self.skipped,
            "notes": list(self.notes),
            "problem": self.problem,
            "differing": {key: dict(fields) for key, fields in self.differing.items()},
            "deleted": dict(self.deleted),
        }


@dataclass(frozen=True, slots=True)
class Score:
    """The whole drill."""

    drill: Drill
    product: str
    results: Sequence[Result]

    @property
    def changes(self) -> int:
        """Made in all steps."""
        return sum(result.changes for result in self.results)

    @property
    def calls_per_1000(self) -> float:
        """Okta API calls for a thousand changes."""
        return sum(result.calls for result in self.results) * 1000 / max(1, self.changes)

    @property
    def passed(self) -> bool:
        """Every step did."""
        return all(result.passed for result in self.results)

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "seed": self.drill.seed,
            "users": self.drill.users,
            "target": self.product,
            "steps": [result.as_json() for result in self.results],
            "total": {
                "changes": self.changes,
                "lost": sum(result.lost for result in self.results),
                "wrongly_deleted": sum(result.wrongly_deleted for result in self.results),
                "okta_calls_per_1000_changes": round(self.calls_per_1000, 1),
            },
            "passed": self.passed,
        }


Tell = Callable[[Moment | Result], None]


async def run(drill: Drill, tell: Tell) -> Score:
    """Run the whole script.

    Args:
        tell: hears how far it is, and of each step that is over.

    Raises:
        RosterhookError: something could not be started, or did not do what it takes to go on.
    """
    tell(Moment("", 0, "starting"))
    async with staged(drill.folder, drill.target, drill.users, drill.seed) as stage:
        await _first_load(stage, tell)
        results = [await _play(stage, drill, number, tell) for number in range(1, len(drill.steps) + 1)]
        return Score(drill, stage.way.product, results)


async def _first_load(stage: Stage, tell: Tell) -> None:
    """Wait until the target has everybody who was in the org before the service."""
    tell(Moment("", 0, f"first load of {len(stage.simulator.org):,} users"))
    await until(stage.is_equal, FIRST_LOAD_SECONDS, "the first load is not done")


async def _play(stage: Stage, drill: Drill, number: int, tell: Tell) -> Result:
    step = drill.steps[number - 1]
    if reason := step.impossible():
        result = Result(step, skipped=reason)
    else:
        result = await _Player(stage, drill, number, tell).play()
    tell(result)
    return result


class _Player:
    """One step."""

    def __init__(self, stage: Stage, drill: Drill, number: int, tell: Tell) -> None:
        self._stage = stage
        self._drill = drill
        self._number = number
        self._step = drill.steps[number - 1]
        self._tell = tell
        self._act = Act()
        self._ended = 0.0
        each, rest = divmod(drill.changes, len(drill.steps))
        self._changes = each + (number <= rest)

    async def play(self) -> Result:
        stage, act = self._stage, self._act
        calls, deaths = stage.calls, sum(child.deaths for child in stage.children)
        stage.watch.forget()
        problem = await self._under_the_fault()
        seconds = await self._converge()
        problem = problem or ("" if seconds is not None else await stage.unsettled())
        died = sum(child.deaths for child in stage.children) - deaths
        lost = _lost(stage)
        return Result(
            self._step,
            changes=self._changes + act.changes,
            lost=len(lost),
            wrongly_deleted=len(stage.watch.wrongly_deleted) + act.removed,
            deleted=dict(list(stage.watch.wrongly_deleted.items())[:TOLD]),
            seconds=seconds,
            calls=stage.calls - calls,
            notes=[*act.notes, *([f"died by themselves: {died}"] if died else [])],
            problem=problem,
            differing=dict(list(lost.items())[:TOLD]),
        )

    async def _under_the_fault(self) -> str:
        """Make the changes while the fault is there; tell what could not be done."""
        try:
            async with self._stage.watch.going_on():
                async with self._step.fault(self._stage, self._act):
                    await self._make_changes()
                    self._told("ending the fault")
                self._ended = self._act.ended or asyncio.get_running_loop().time()
        except RosterhookError as error:
            return str(error)
        return ""

    async def _make_changes(self) -> None:
        """This step's share of the changes, spread over the time that the fault shall last."""
        traffic, loop = self._stage.simulator.traffic, asyncio.get_running_loop()
        seconds = self._step.seconds
        rate = min(self._drill.rate, self._changes / seconds) if seconds else self._drill.rate
        end = loop.time() + seconds
        traffic.start(Job(self._changes, self._drill.seed * 1000 + self._number, rate, dict(self._step.mix)))
        while traffic.running or loop.time() < end:
            self._told("changing", traffic.done)
            await asyncio.sleep(POLL_SECONDS)
        if traffic.error:
            raise RosterhookError(f"The org could not be changed: {traffic.error}.")

    async def _converge(self) -> float | None:
        """Wait until nothing is on its way and the target equals the org; how long that took, or None."""
        watch, loop = self._stage.watch, asyncio.get_running_loop()
        began, next_look = self._ended or loop.time(), 0.0
        watch.verdict = None  # one of before the end of the fault tells nothing
        while (spent := loop.time() - began) < self._drill.converge_seconds:
            self._told(f"waiting for the target, {spent:.0f} s")
            if loop.time() >= next_look and not await self._stage.unsettled():
                verdict = await watch.try_look()
                if verdict is not None and not verdict.lost:
                    return loop.time() - began
                next_look = loop.time() + watch.pause
            await asyncio.sleep(POLL_SECONDS)
        await watch.try_look()
        return None

    def _told(self, doing: str, changes: int | None = None) -> None:
        made = self._changes if changes is None else changes
        self._tell(Moment(self._step.title, self._number, doing, made))


def _lost(stage: Stage) -> Mapping[str, Difference]:
    """Who is not as the org says; everybody, when the target could not be read once."""
    if stage.watch.verdict is None:
        return {user["id"]: {} for user in stage.simulator.org}
    return stage.watch.verdict.lost
