"""`hook`: the event hook on Okta's side."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.text import Text

from rosterhook.cli.common import AsJson, ConfigPath, DryRun, load, out, plain, print_json
from rosterhook.config import Config, public_url
from rosterhook.data_dir import only_one
from rosterhook.errors import ConfigError, RosterhookError
from rosterhook.hook import doctor
from rosterhook.hook.compare import path_problem
from rosterhook.hook.okta_side import OktaSide, Step, describe
from rosterhook.hook.opened import opened_side
from rosterhook.hook.rotation import rotate as rotation
from rosterhook.hook_secrets import in_force, record_path
from rosterhook.model import iso
from rosterhook.okta.connect import MANAGE_EVENT_HOOKS, READ_EVENT_HOOKS
from rosterhook.receiver import TUTORIAL_PATH

EXIT_FAILED = 1

Wait = Annotated[float, Parameter(name="--wait", help="Seconds to wait for a delivery.")]
CanaryLogin = Annotated[
    str | None,
    Parameter(
        name="--canary",
        help="Login of a user of whom an empty attribute (such as nickName) is set for a moment, to make an event.",
    ),
]

app = App(name="hook", default_parameter=Parameter(show_default=False))


@app.command
def create(
    *,
    url: Annotated[str | None, Parameter(help="Public https address that Okta shall call; default hook.url.")] = None,
    canary: CanaryLogin = None,
    wait: Wait = 60.0,
    config: ConfigPath = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Create the hook in Okta, have it verified, and see a delivery arrive."""
    job = _Job(load(config), json=json, dry_run=dry_run, url=_checked(url), canary=canary, wait=wait)
    return job.run(doctor.create)


@app.command
def status(*, config: ConfigPath = None, dry_run: DryRun = False, json: AsJson = False) -> int:
    """Compare the hook in Okta with the configuration, and say what differs and what happens because of it."""
    return asyncio.run(_status(_Job(load(config), json=json, dry_run=dry_run)))


@app.command
def verify(*, config: ConfigPath = None, dry_run: DryRun = False, json: AsJson = False) -> int:
    """Have Okta verify the hook's address again."""
    return _Job(load(config), json=json, dry_run=dry_run).run(doctor.verify)


@app.command
def rotate(
    *,
    in_place: Annotated[
        bool,
        Parameter(
            negative="", help="Replace the only hook: for an org with 25. Okta drops the events of some seconds."
        ),
    ] = False,
    canary: CanaryLogin = None,
    wait: Wait = 120.0,
    config: ConfigPath = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Give the hook a new secret. Interrupted at any point, deliveries go on; run it again to go on."""
    job = _Job(load(config), json=json, dry_run=dry_run, canary=canary, wait=wait)
    return job.run(lambda side: rotation(side, in_place=in_place))


@app.command
def repair(
    *,
    secret: Annotated[
        bool, Parameter(negative="", help="Set the secret again, even if all that can be compared is as it should be.")
    ] = False,
    canary: CanaryLogin = None,
    wait: Wait = 60.0,
    config: ConfigPath = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Make the hook in Okta what the configuration says."""
    job = _Job(load(config), json=json, dry_run=dry_run, canary=canary, wait=wait)
    return job.run(lambda side: doctor.repair(side, secret=secret))


@app.command
def delete(
    *,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    config: ConfigPath = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Remove the hook from Okta: from then on no change arrives by it."""
    loaded = load(config)
    if not (yes or dry_run or _agrees()):
        raise RosterhookError("Nothing was deleted.", hint="Give --yes to delete the hook without being asked.")
    return _Job(loaded, json=json, dry_run=dry_run).run(doctor.delete)


def _agrees() -> bool:
    question = "Delete the hook in Okta? It hears of nothing that happens after that. [y/N] "
    return sys.stdin.isatty() and out.input(question).strip().lower() in {"y", "yes"}


def _checked(url: str | None) -> str | None:
    try:
        return None if url is None else public_url(url)
    except ValueError as error:
        raise ConfigError(f"--url {error}.") from None


Plan = Callable[[OktaSide], Awaitable[list[Step]]]


@dataclass(frozen=True, slots=True)
class _Job:
    """One command: how it was asked for, and how it is carried out and told."""

    config: Config
    json: bool = False
    dry_run: bool = False
    url: str | None = None
    canary: str | None = None
    wait: float = 0.0

    def run(self, plan: Plan) -> int:
        """Carry the steps out, or only tell them; the exit code."""
        return asyncio.run(self._run(plan))

    async def _run(self, plan: Plan) -> int:
        told: dict[str, Any] = {"dry_run": self.dry_run, "steps": [], "hook_id": None, "arrived": None, "error": None}
        try:
            alone = nullcontext() if self.dry_run else only_one(self.config.data_dir, "hook")
            async with alone, self.okta_side() as side:
                await self._carry_out(await plan(side), side, told)
        except RosterhookError as error:
            if not self.json:
                raise
            told["error"] = {"message": error.message, "hint": error.hint}
        if self.json:
            print_json(told)
        return EXIT_FAILED if told["error"] else 0

    async def _carry_out(self, steps: list[Step], side: OktaSide, told: dict[str, Any]) -> None:
        if not steps and not self.json:
            _say("✓", "green", "Nothing to do: the hook in Okta is as configured.")
        for step in steps:
            if not self.dry_run:
                await self._take(step)
            elif not self.json:
                _say("·", "yellow", f"would: {step.words}")
            told["steps"].append({"step": step.words, "done": not self.dry_run})
        told |= {"hook_id": side.hook_id or None, "arrived": side.arrived}
        if steps and not self.dry_run and not self.json:
            self._tell_arrival(side.arrived)

    async def _take(self, step: Step) -> None:
        if self.json:
            await step.act()
            return
        try:
            with out.status(plain(step.words)) if out.is_terminal else nullcontext():
                await step.act()
        except RosterhookError:
            _say("✗", "red", step.words)
            raise
        _say("✓", "green", step.words)

    def _tell_arrival(self, arrived: bool | None) -> None:
        if arrived is None:
            return
        if arrived:
            _say("✓", "green", "A delivery of this hook has arrived.")
        else:
            _say(
                "!",
                "yellow",
                "No delivery has arrived yet. A new hook may need minutes, and a quiet org sends nothing:",
            )
            out.print("  `rosterhook hook status` tells when the last one came; --canary LOGIN makes an event.")

    def okta_side(self) -> AbstractAsyncContextManager[OktaSide]:
        """Okta's event hooks, with the proof that deliveries arrive."""
        return opened_side(
            self.config, READ_EVENT_HOOKS, MANAGE_EVENT_HOOKS, url=self.url, canary=self.canary, wait_seconds=self.wait
        )


async def _status(job: _Job) -> int:
    async with opened_side(job.config, READ_EVENT_HOOKS) as side:
        found = await doctor.look(side)
        arrived_ms = await side.prover.last(side.hook_id) if found.hook else None
    notes = _notes(job.config, side, found)
    if job.json:
        differences = [asdict(each) for each in found.differences]
        hook = found.hook and {key: found.hook.get(key) for key in ("id", "name", "status", "verificationStatus")}
        print_json({"hook": hook, "differences": differences, "notes": notes, "last_arrival": iso(arrived_ms)})
    else:
        _show(found, notes, arrived_ms)
    return EXIT_FAILED if found.hook is None or found.differences else 0


def _show(found: doctor.Findings, notes: list[str], arrived_ms: int | None) -> None:
    if found.hook is None:
        _say("✗", "red", "Okta has no event hook for this service.")
        out.print("  Make it: rosterhook hook create")
        return
    _say("✓" if not found.differences else "·", "green", f"Okta has the hook {describe(found.hook)}.")
    for each in found.differences:
        _say("✗", "red", each.words)
        out.print(plain(f"  {each.consequence}"), soft_wrap=True)
    if found.differences:
        out.print("  Mend it: rosterhook hook repair")
    last = f"The last delivery of it came at {iso(arrived_ms)}." if arrived_ms else "No delivery of it is in the inbox."
    _say("✓" if arrived_ms else "·", "green" if arrived_ms else "yellow", last)
    for note in notes:
        _say("·", "yellow", note)


def _notes(config: Config, side: OktaSide, found: doctor.Findings) -> list[str]:
    notes = []
    if found.rotating:
        notes.append("A rotation of the secret was begun and not ended: `rosterhook hook rotate` goes on.")
    if in_force(config.hook, side.record) == side.record.secret and side.record.secret is not None:
        notes.append(
            f"The secret in force is in {record_path(config.data_dir)}: a rotation has retired the configured one."
        )
    odd = path_problem(side.wanted().url, config.hook.path, TUTORIAL_PATH)
    return notes if odd is None else [*notes, odd]


def _say(mark: str, colour: str, words: str) -> None:
    out.print(Text.assemble((mark, colour), " ", plain(words)), soft_wrap=True)
