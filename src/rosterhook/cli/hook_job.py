"""How a command about the hook is carried out and told: step by step to people, as one object to programs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.text import Text

from rosterhook.cli import EXIT_CONFIG, EXIT_FAILED
from rosterhook.cli.common import hanging, load, out, plain, print_json
from rosterhook.config import public_url
from rosterhook.data_dir import only_one
from rosterhook.errors import ConfigError, RosterhookError
from rosterhook.hook.okta_side import OktaSide, Step
from rosterhook.hook.opened import opened_side
from rosterhook.okta.connect import MANAGE_EVENT_HOOKS, READ_EVENT_HOOKS

Plan = Callable[[OktaSide], Awaitable[list[Step]]]
BUSY = "Another `rosterhook hook` command is at work: wait until it has ended."


def answering(work: Callable[[], int], told: dict[str, Any] | None) -> int:
    """Do the work of a command; for a program, an error too is an answer in JSON.

    Args:
        told: what the program is told beside the error; None for people, who get the error as of every command.

    Returns:
        The exit code.
    """
    try:
        return work()
    except RosterhookError as error:
        if told is None:
            raise
        print_json({**told, "error": {"message": error.message, "hint": error.hint}})
        return EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED


@dataclass(frozen=True, slots=True)
class Job:
    """One command, as it was asked for.

    Attributes:
        url: of the hook, as the command line names it.
        canary: login of the user who is touched.
        wait: seconds to wait for a delivery.
        question: what has to be agreed to before the steps are taken; "" needs no agreement.
        told: what a program is told at the end.
    """

    config: Path | None
    json: bool = False
    dry_run: bool = False
    url: str | None = None
    canary: str | None = None
    wait: float = 0.0
    question: str = ""
    told: dict[str, Any] = field(default_factory=dict)

    def run(self, plan: Plan) -> int:
        """Carry the steps out, or only tell them; the exit code."""
        self.told.update({"dry_run": self.dry_run, "steps": [], "notes": [], "arrived": None})
        return answering(lambda: asyncio.run(self._run(plan)), self.told if self.json else None)

    async def _run(self, plan: Plan) -> int:
        config = load(self.config)
        side_of = opened_side(
            config,
            READ_EVENT_HOOKS,
            MANAGE_EVENT_HOOKS,
            url=_checked(self.url, config.hook.url),
            canary=self.canary,
            wait_seconds=self.wait,
        )
        alone: AbstractAsyncContextManager[None] = nullcontext()
        if not self.dry_run:
            alone = only_one(config.data_dir, "hook", hint=BUSY)
        async with alone, side_of as side:
            await self._prepare(side)
            steps = await plan(side)
            self._note(side.notes)
            if self.question and not self.dry_run:
                self._ask(steps)
            try:
                for step in steps:
                    await self._take(step)
            finally:
                self.told["arrived"] = side.arrived
                self._note(side.prover.notes)
        if self.json:
            print_json({**self.told, "error": None})
        elif not self.dry_run:
            _tell_arrival(side.arrived)
        return 0

    async def _prepare(self, side: OktaSide) -> None:
        if self.canary and not side.prover.can_see:
            side.notes.append("The canary is not touched: no service has run over data_dir, so nobody could see it.")
        elif self.canary:
            await side.prover.prepare()

    def _note(self, notes: list[str]) -> None:
        for note in notes:
            self.told["notes"].append(note)
            self._say("!", "yellow", note)

    def _ask(self, steps: list[Step]) -> None:
        for step in steps:
            self._say("·", "yellow", step.description)
        # No markup: rich would take [y/N] for some.
        answer = out.input(f"{self.question} [y/N] ", markup=False) if sys.stdin.isatty() and not self.json else ""
        if answer.strip().lower() not in {"y", "yes"}:
            raise RosterhookError("Nothing was done.", hint="Give --yes to do it without being asked.")

    async def _take(self, step: Step) -> None:
        done = {"step": step.description, "done": False}
        self.told["steps"].append(done)
        if self.dry_run:
            self._say("·", "yellow", f"would: {step.description}")
            return
        try:
            with out.status(plain(step.description)) if out.is_terminal and not self.json else nullcontext():
                succeeded = await step.act()
        except (RosterhookError, asyncio.CancelledError) as error:
            self._say("✗", "red", step.description)
            if isinstance(error, asyncio.CancelledError):
                self._say("!", "yellow", "Interrupted. Run the command again: it goes on from here.")
            raise
        done["done"] = succeeded is not False
        self._say(*(("✓", "green") if done["done"] else ("!", "yellow")), step.description)

    def _say(self, mark: str, colour: str, words: str) -> None:
        if not self.json:
            say(mark, colour, words)


def say(mark: str, colour: str, words: str) -> None:
    """One line with its mark."""
    out.print(hanging(Text.assemble((mark, colour), " ", plain(words))), soft_wrap=True)


def _tell_arrival(arrived: bool | None) -> None:
    if arrived:
        say("✓", "green", "A delivery of this hook has arrived.")
    elif arrived is not None:
        say("!", "yellow", "No delivery has arrived yet. A new hook may need minutes, and a quiet org sends nothing.")
        out.print("  `rosterhook hook status` tells when the last one came; --canary LOGIN makes an event.")


def _checked(url: str | None, configured: str | None) -> str | None:
    if url is None:
        return None
    try:
        given = public_url(url)
    except ValueError as error:
        raise ConfigError(f"--url {error}.") from None
    if configured not in (None, given):
        raise ConfigError(
            f"--url is {given}, but hook.url is {configured}.", hint="Leave --url out, or change hook.url."
        )
    return given
