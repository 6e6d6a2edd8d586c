"""What the demo shows: who changes in Okta, what arrives, what is read, and what is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rosterhook.cli.common import plain
from rosterhook.status import Status
from rosterhook.targets import Row

ROWS = 8
EVENTS = 9


@dataclass(frozen=True, slots=True)
class Glimpse:
    """Everything that is shown at one moment.

    Attributes:
        rows: of the target, oldest first.
        org_users: how many users the simulated org has.
        org_calls: how many calls its API has answered.
        deliveries: how the org's deliveries went: sent, acknowledged, refused, lost, pending.
        events: the newest events as (type, login), newest first.
        url: of the service.
    """

    status: Status
    rows: Sequence[Row]
    org_users: int
    org_calls: int
    deliveries: dict[str, int]
    events: Sequence[tuple[str, str]]
    url: str
    database: Path


def line(glimpse: Glimpse) -> str:
    """A glimpse on one line, for where there is no terminal."""
    status = glimpse.status
    return (
        f"okta {glimpse.org_users} users | deliveries {status['deliveries']['received']} | events"
        f" {status['events']['stored']} | read with {glimpse.org_calls} calls | rows {len(glimpse.rows)} | lag"
        f" {_lag(status)} | {glimpse.url}/getUsers"
    )


def view(glimpse: Glimpse) -> RenderableType:
    """A glimpse as a full screen."""
    flow = Table.grid(expand=True, padding=(0, 1))
    for _ in range(4):
        flow.add_column(ratio=1)
    flow.add_row(*_steps(glimpse))
    lower = Table.grid(expand=True, padding=(0, 1))
    lower.add_column(ratio=2)
    lower.add_column(ratio=3)
    lower.add_row(
        Panel(_events(glimpse), title="events, newest first", title_align="left", border_style="cyan"),
        Panel(_rows(glimpse), title=f"{glimpse.database.name}: Users", title_align="left", border_style="green"),
    )
    head = Text.assemble(("rosterhook demo", "bold"), "  a simulated Okta org, kept in step with a database")
    return Group(head, flow, lower, _links(glimpse))


def _steps(glimpse: Glimpse) -> list[Panel]:
    status, sent = glimpse.status, glimpse.deliveries
    target = status["targets"][0]
    return [
        _step("1 Okta changes", f"{glimpse.org_users:,} users", f"{sent['sent']:,} deliveries sent", "magenta"),
        _step(
            "2 arrives",
            f"{status['deliveries']['received']:,} stored",
            f"{status['events']['stored']:,} events, {sent['lost']:,} lost",
            "cyan",
        ),
        _step("3 is read", f"{glimpse.org_calls:,} calls", f"{status['subjects']['due']:,} users due", "yellow"),
        _step(
            "4 is written",
            f"{target['in_sync']:,} in sync",
            f"{target['pending']:,} pending, {_lag(status)} lag",
            "green",
        ),
    ]


def _step(title: str, number: str, detail: str, colour: str) -> Panel:
    text = Text.assemble((number, f"bold {colour}"), "\n", (detail, "dim"))
    return Panel(text, title=title, title_align="left", border_style=colour)


def _events(glimpse: Glimpse) -> RenderableType:
    table = Table.grid(expand=True, padding=(0, 1))
    table.add_column(no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, overflow="ellipsis", style="dim")
    for number in range(EVENTS):
        table.add_row(*map(plain, glimpse.events[number] if number < len(glimpse.events) else ("", "")))
    return table


def _rows(glimpse: Glimpse) -> RenderableType:
    columns = list(glimpse.rows[0]) if glimpse.rows else ["id"]
    table = Table(expand=True, box=None, pad_edge=False, header_style="bold")
    for column in columns:
        # The row's own number is short and must stay readable; the rest shares what is left.
        table.add_column(column, no_wrap=True, overflow="ellipsis", min_width=4 if column == "id" else None)
    first, last = glimpse.rows[:1], glimpse.rows[1:][-(ROWS - 1) :]
    shown: list[Sequence[Any]] = [list(row.values()) for row in (*first, *last)]
    for number in range(ROWS):
        values = shown[number] if number < len(shown) else [""] * len(columns)
        table.add_row(*(plain("" if value is None else value) for value in values))
    return table


def _links(glimpse: Glimpse) -> Text:
    return Text.assemble(
        ("Open  ", "bold"),
        f"{glimpse.url}/  ",
        f"{glimpse.url}/getUsers  ",
        f"{glimpse.url}/api/users",
        ("    Ctrl-C ends it.", "dim"),
    )


def _lag(status: Status) -> str:
    lag = status["lag_seconds"]["p50"]
    return "no" if lag is None else f"{lag:.2f} s"
