"""What the benchmark has found, and how it is shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the table. `met` is None where there is no aim."""

    what: str
    result: str
    aim: str = ""
    met: bool | None = None


def show(findings: Sequence[Finding]) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "Result", "Aim", ""):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        verdict = {None: "", True: "met", False: "[bold]MISSED[/bold]"}[finding.met]
        table.add_row(finding.what, finding.result, finding.aim, verdict)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 140
    console.print(table)
