"""Figures: what was measured, run by run, and what was aimed at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from rich.console import Console
from rich.table import Table

WIDTH = 140


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure's median is held against."""

    sign: Literal[">=", "<="]
    value: float

    def is_met(self, found: float) -> bool:
        """Tell whether a value is good enough."""
        return found >= self.value if self.sign == ">=" else found <= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure.

    Attributes:
        name: for floors and plots, such as "accept/64/1/rosterhook/rate"; it stays when the title changes.
        title: what it is, in words.
        unit: "/s", "ms", "MB" and so on; "x" for a ratio.
        runs: the value of each run, in the order in which they were made. A ratio's are of both sides' runs in turn.
        aim: None where there is none.
        about: what else must be known to judge it.
    """

    name: str
    title: str
    unit: str
    runs: Sequence[float]
    aim: Aim | None = None
    about: str = ""

    @property
    def median(self) -> float:
        """The middle one of the runs."""
        return median(self.runs)

    @property
    def is_met(self) -> bool | None:
        """Whether the aim is met; None without one."""
        return None if self.aim is None else self.aim.is_met(self.median)

    def shown(self) -> str:
        """Median, unit and spread."""
        value = f"{amount(self.median)} {self.unit}".rstrip()
        low, high = min(self.runs), max(self.runs)
        return value if len(self.runs) == 1 else f"{value} ({amount(low)} to {amount(high)})"

    def as_json(self) -> dict[str, Any]:
        """As results are kept."""
        told: dict[str, Any] = {"name": self.name, "title": self.title, "unit": self.unit}
        told |= {"median": significant(self.median), "runs": [significant(each) for each in self.runs]}
        if self.aim is not None:
            told |= {"aim": f"{self.aim.sign} {self.aim.value:g}", "met": self.is_met}
        return told | ({"about": self.about} if self.about else {})


def ratio(
    name: str, title: str, ours: Sequence[float], others: Sequence[float], aim: Aim | None = None, about: str = ""
) -> Figure:
    """How many times as much ours is: a ratio a round, so that what else the machine does hits both."""
    return Figure(name, title, "x", [one / other for one, other in zip(ours, others, strict=True)], aim, about)


def amount(value: float) -> str:
    """A number as people read it.

    >>> amount(12345.6), amount(0.4321), amount(7.25), amount(0)
    ('12,346', '0.43', '7.2', '0')
    """
    if value == 0 or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 2 else f"{value:.2g}"


def significant(value: float) -> float:
    """A number with as many digits as a measurement is worth.

    >>> significant(12345.678)
    12350.0
    """
    return float(f"{value:.4g}")


def show(figures: Sequence[Figure]) -> None:
    """Print the table."""
    table = Table(box=None, pad_edge=False)
    for heading in ("", "Median (spread)", "Aim", ""):
        table.add_column(heading, overflow="fold")
    for figure in figures:
        verdict = {None: "", True: "met", False: "[bold]MISSED[/bold]"}[figure.is_met]
        aim = f"{figure.aim.sign} {amount(figure.aim.value)}" if figure.aim else ""
        table.add_row(f"{figure.name.partition('/')[0]}: {figure.title}", figure.shown(), aim, verdict)
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = WIDTH
    console.print(table)
