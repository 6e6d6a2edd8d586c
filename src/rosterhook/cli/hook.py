"""`hook`: the event hook on Okta's side."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from cyclopts import App, Parameter

from rosterhook.cli import EXIT_FAILED
from rosterhook.cli.common import AsJson, ConfigPath, DryRun, hanging, load, out, plain, print_json
from rosterhook.cli.hook_job import Job, answering, say
from rosterhook.config import Config
from rosterhook.errors import RosterhookError
from rosterhook.hook import doctor, rotation
from rosterhook.hook.compare import describe
from rosterhook.hook.diagnosis import Diagnosis
from rosterhook.hook.okta_side import OktaSide, not_ours
from rosterhook.hook.opened import opened_side
from rosterhook.hook.rotation import Haste
from rosterhook.hook_secrets import GRACE_SECONDS, in_force, record_path
from rosterhook.model import iso
from rosterhook.okta.connect import READ_EVENT_HOOKS
from rosterhook.receiver import TUTORIAL_PATH

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
    return Job(config, json, dry_run, url, canary, wait).run(doctor.plan_create)


@app.command
def status(*, config: ConfigPath = None, dry_run: DryRun = False, json: AsJson = False) -> int:
    """Compare the hook in Okta with the configuration, and say what differs and what happens because of it.

    It changes nothing, with --dry-run or without.
    """
    return answering(lambda: asyncio.run(_status(config, json)), {"hook": None} if json else None)


@app.command
def verify(*, config: ConfigPath = None, dry_run: DryRun = False, json: AsJson = False) -> int:
    """Have Okta verify the hook's address again."""
    return Job(config, json, dry_run).run(doctor.plan_verify)


@app.command
def rotate(
    *,
    in_place: Annotated[
        bool,
        Parameter(negative="", help="Replace the only hook, in an org with 25: Okta drops the events of some seconds."),
    ] = False,
    abandon: Annotated[bool, Parameter(negative="", help="Go back from a rotation that was begun.")] = False,
    drain: Annotated[float, Parameter(help="Seconds that the first hook lives on, to send what it has.")] = (
        rotation.DRAIN_SECONDS
    ),
    retire_now: Annotated[
        bool, Parameter(negative="", help="Refuse the old secret at once, because others know it; else in 24 hours.")
    ] = False,
    canary: CanaryLogin = None,
    wait: Wait = 120.0,
    config: ConfigPath = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Give the hook a new secret. Interrupted at any point, deliveries go on; run it again to go on."""
    job = Job(config, json, dry_run, None, canary, wait)
    if abandon:
        return job.run(rotation.plan_abandon)
    haste = Haste(drain, 0.0 if retire_now else GRACE_SECONDS)
    return job.run(lambda side: rotation.plan_rotation(side, in_place=in_place, haste=haste))


@app.command
def repair(
    *,
    adopt: Annotated[
        str | None, Parameter(help="Id of a hook that is this service's, though it calls elsewhere.")
    ] = None,
    canary: CanaryLogin = None,
    wait: Wait = 60.0,
    config: ConfigPath = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Make the hook in Okta what the configuration says, its secret too."""
    job = Job(config, json, dry_run, None, canary, wait)
    return job.run(lambda side: doctor.plan_repair(side, adopt=adopt))


@app.command
def delete(
    *,
    yes: Annotated[bool, Parameter(negative="", help="Do not ask.")] = False,
    config: ConfigPath = None,
    dry_run: DryRun = False,
    json: AsJson = False,
) -> int:
    """Remove the hook from Okta: from then on no change arrives by it."""
    question = "" if yes else "Okta then tells of no change any more. Go on?"
    return Job(config, json, dry_run, question=question).run(doctor.plan_delete)


async def _status(path: Path | None, json: bool) -> int:
    config = load(path)
    async with opened_side(config, READ_EVENT_HOOKS) as side:
        found = await doctor.look(side)
        arrived = iso(await side.prover.last(str(found.hook["id"]))) if found.hook else None
        address = await side.diagnosis() if found.hook is not None else None
    notes = _notes(config, side, found)
    if json:
        differences = [asdict(each) for each in found.differences]
        hook = found.hook and {key: found.hook.get(key) for key in ("id", "name", "status", "verificationStatus")}
        told = {"hook": hook, "differences": differences, "address": address and asdict(address), "notes": notes}
        print_json({**told, "last_arrival": arrived, "error": None})
    else:
        _show(found, address, notes, arrived)
    grave = [each for each in found.differences if not each.is_harmless]
    is_wrong = found.hook is None or grave or (address is not None and address.is_reached and not address.is_good)
    return EXIT_FAILED if is_wrong else 0


def _show(found: doctor.Findings, address: Diagnosis | None, notes: list[str], arrived: str | None) -> None:
    if found.hook is None:
        missing = RosterhookError("Okta has no event hook for this service.", hint="Make it: rosterhook hook create")
        told = missing if found.namesake is None else not_ours(found.namesake)
        say("✗", "red", told.message)
        out.print(hanging(plain(f"  {told.hint}")), soft_wrap=True)
        return
    say("·" if found.differences else "✓", "green", f"Okta has the hook {describe(found.hook)}.")
    for each in found.differences:
        say(*(("!", "yellow") if each.is_harmless else ("✗", "red")), each.words)
        out.print(hanging(plain(f"  {each.consequence}")), soft_wrap=True)
    if found.differences:
        out.print("  Mend it: rosterhook hook repair")
    if address is not None and address.is_good:
        say("✓", "green", "Its address answers with the secret in force. Which one Okta sends it never shows.")
    elif address is not None:
        say(*(("✗", "red") if address.is_reached else ("!", "yellow")), address.words)
    last = f"The last delivery of it came at {arrived}." if arrived else "No delivery of it is in the inbox."
    say(*(("✓", "green") if arrived else ("·", "yellow")), last)
    for note in notes:
        say("·", "yellow", note)


def _notes(config: Config, side: OktaSide, found: doctor.Findings) -> list[str]:
    notes, path = [], urlsplit(side.wanted().url).path.rstrip("/")
    if side.record.rotation is not None:
        notes.append("A rotation of the secret was begun and not ended: `rosterhook hook rotate` goes on.")
    if side.record.secret is not None and in_force(config.hook, side.record) == side.record.secret:
        kept = record_path(config.data_dir)
        notes.append(f"The secret in force is in {kept}: a rotation has retired the configured one.")
    notes += [f"The hook {describe(other)}, too." for other in found.others]
    if path not in {config.hook.path.rstrip("/"), TUTORIAL_PATH}:
        ours = config.hook.path
        notes.append(f"Okta calls the path {path or '/'}, and the service listens on {ours}: a proxy must rewrite it.")
    return notes
