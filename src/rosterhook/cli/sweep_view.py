"""How a full read is shown: its progress, what it found, and the proof."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any, Self

from rich.progress import BarColumn, SpinnerColumn, TaskID, TextColumn
from rich.progress import Progress as RichProgress
from rich.text import Text

from rosterhook.cli.common import hanging, out, plain
from rosterhook.cli.tables import add, print_under, table_of
from rosterhook.full_read import PAGE
from rosterhook.model import DELETED
from rosterhook.status import Status
from rosterhook.sweeps import MOST_FINDINGS, Sweep

#: So many differences are printed; --json has all that are kept.
SHOWN = 50
WINDOW_SECONDS = 60.0
PHASES = {
    "asked": "Waiting for the worker",
    "reading": "Reading Okta",
    "confirming": "Asking for who is missing",
    "filling": "Filling the targets",
    "comparing": "Comparing the targets",
    "repairing": "Mending",
    "done": "Done",
    "failed": "Failed",
}


class Progress:
    """A bar in a terminal; elsewhere a line at each phase.

    Args:
        share: part of Okta's limit that is spent.
        quiet: show nothing.
    """

    def __init__(self, share: float, *, quiet: bool) -> None:
        self._share = share
        self._quiet = quiet
        self._bar = RichProgress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[told]}"),
            console=out,
            transient=True,
            disable=quiet or not out.is_terminal,
        )
        self._task: TaskID | None = None
        self._phase = ""
        self._begun = (time.monotonic(), 0)

    def __enter__(self) -> Self:
        self._bar.start()
        self._task = self._bar.add_task("", total=None, told="")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def show(self, sweep: Sweep, status: Status) -> None:
        """Show how far it is."""
        name = PHASES[sweep.phase]
        if sweep.phase != self._phase:
            self._phase, self._begun = sweep.phase, (time.monotonic(), sweep.listed)
            if not (self._quiet or out.is_terminal):
                out.print(f"{name} ...")
        told = f"{sweep.error}" if sweep.error else self._told(sweep, status)
        total = max(sweep.known, sweep.listed) if sweep.phase == "reading" and sweep.known else None
        assert self._task is not None  # noqa: S101 - for the type checker
        self._bar.update(self._task, description=name, completed=sweep.listed, total=total, told=told)

    def _told(self, sweep: Sweep, status: Status) -> str:
        pending = sum(target["pending"] for target in status["targets"])
        if sweep.phase != "reading":
            return f"{pending:,} users wait to be written" if pending else ""
        rate = (sweep.listed - self._begun[1]) / max(time.monotonic() - self._begun[0], 0.1)
        free = status["okta"]["budget"].get("users", {}).get("free")
        of = f" of about {max(sweep.known, sweep.listed):,}" if sweep.known else ""
        parts = [f"{sweep.listed:,}{of} users", f"{rate:,.0f}/s", f"{sweep.calls:,} calls"]
        if sweep.known > sweep.listed and rate > 0:
            parts.append(f"{_time_left(sweep, rate, status, self._share)} left")
        if free is not None:
            parts.append(f"{free:,} calls free in this minute")
        return ", ".join(parts)


def _time_left(sweep: Sweep, rate: float, status: Status, share: float) -> str:
    """By the rate so far, or by Okta's limit if that is slower."""
    users = sweep.known - sweep.listed
    limit = status["okta"]["budget"].get("users", {}).get("limit")
    by_limit = users / PAGE / (limit * share) * WINDOW_SECONDS if limit else 0.0
    seconds = max(users / rate, by_limit)
    return f"{seconds:,.0f} s" if seconds < 120 else f"{seconds / 60:,.0f} min"


def print_outcome(sweep: Sweep) -> None:
    """What a sweep that is over has found, and the proof."""
    if sweep.error:
        out.print(hanging(plain(f"{sweep.kind} failed: {sweep.error}", "red")))
        return
    seconds = ((sweep.finished_ms or 0) - (sweep.started_ms or 0)) / 1000
    out.print(f"{sweep.listed:,} users in {sweep.calls:,} calls, {seconds:,.1f} s.")
    report = sweep.report
    out.print(
        f"{_counted(report.get('changed', 0), 'user')} changed in the own store;"
        f" {report.get('missing', 0):,} missing in Okta's list."
    )
    for key, words in (("unanswered", "did not get an answer by id"), ("unread", "could not be read again")):
        if report.get(key):
            out.print(hanging(plain(f"{_counted(report[key], 'user')} {words}.", "red")))
    if report.get("not_found"):
        out.print(hanging(plain(f"{report['not_found']:,} are not found by id either: `rosterhook parked`.", "red")))
    _print_proof(report)


def print_dry_run(sweep: Sweep, found: list[dict[str, Any]]) -> None:
    """Who differs, in which field, from what, to what."""
    if sweep.error:
        out.print(hanging(plain(f"The comparison failed: {sweep.error}", "red")))
        return
    by_target: dict[str, list[dict[str, Any]]] = {}
    for one in found:
        by_target.setdefault(one["target"], []).append(one)
    for target, differing in by_target.items():
        title = f"Target {target}: what would be written" if target else "Okta: what the own store does not hold yet"
        table = table_of("User", "", "Field", "From", "To")
        for one in differing[:SHOWN]:
            _add_finding(table, one)
        print_under(title, table)
        if len(differing) > SHOWN:
            out.print(f"... and {len(differing) - SHOWN:,} more: --json lists {MOST_FINDINGS:,} of each kind.")
    if not found:
        out.print("Nothing differs.")
    _print_proof(sweep.report)
    out.print("Nothing was changed.")


def _add_finding(table: Any, one: dict[str, Any]) -> None:
    who, kind = one["user"], _KINDS[one["kind"]]
    for field, (held, wanted) in sorted(one["fields"].items()) or [("", ("", ""))]:
        add(table, who, kind, field, _value(held), _value(wanted))
        who = kind = ""


_KINDS = {"changed": "differs", "missing": "is missing", "surplus": "is too many"}


def _value(value: object) -> Text:
    return plain("-", "dim") if value is None else plain(value, "red" if value == DELETED else "")


def _print_proof(report: dict[str, Any]) -> None:
    if "okta" not in report:
        return
    table = table_of("Proof", "Users", "Digest", "")
    okta, ours = report["okta"], report["directory"]
    add(table, "Okta", f"{okta['count']:,}", okta["digest"], "")
    add(table, "own store", f"{ours['count']:,}", ours["digest"], _verdict(okta == ours))
    for name, told in report.get("targets", {}).items():
        if "held" not in told:
            add(table, name, "", plain(told["error"], "red"), plain("not compared", "red"))
            continue
        add(table, f"{name}, wanted", f"{told['wanted']['count']:,}", told["wanted"]["digest"], "")
        add(table, f"{name}, held", f"{told['held']['count']:,}", told["held"]["digest"], _verdict(told["equal"]))
    out.print(table)
    for name, told in report.get("targets", {}).items():
        if notes := _notes(told):
            out.print(hanging(plain(f"{name}: {notes}.")))


def _counted(number: int, one: str) -> str:
    return f"{number:,} {one}{'' if number == 1 else 's'}"


def _verdict(equal: bool) -> Text:
    return plain("equal", "green") if equal else plain("NOT EQUAL", "red")


def _notes(told: dict[str, Any]) -> str:
    before = told.get("found", told)
    words = {
        "changed": f"{_counted(before.get('changed', 0), 'row')} differed",
        "missing": f"{_counted(before.get('missing', 0), 'row')} lacked",
        "surplus": f"{_counted(before.get('surplus', 0), 'row')} too many",
    }
    parts = [text for key, text in words.items() if before.get(key)]
    parts += [f"{told['mended']:,} of them mended"] if told.get("mended") else []
    parts += [f"{told['waiting']:,} of them wait for a person"] if told.get("waiting") else []
    parts += [f"{_counted(told['foreign'], 'row')} of nobody in Okta left alone"] if told.get("foreign") else []
    parts += [f"{_counted(told['moving'], 'user')} written meanwhile"] if told.get("moving") else []
    return ", ".join(parts)
