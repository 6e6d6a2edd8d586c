"""The plots of the documentation: small, the same from the same results, readable on a light and on a dark page."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.figures import amount

OURS, OTHERS, SECOND, GREY = "#3b82c4", "#9aa0a6", "#d98c2b", "#808080"
DATABASES = {"sqlite": ("solid", "SQLite"), "postgresql": ("dashed", "PostgreSQL")}
WIDTH, HEIGHT = 7.5, 2.8
STYLE: dict[Any, Any] = {
    # Text as text, in the reader's own fonts: a tenth of the size, and it can be searched.
    "svg.fonttype": "none",
    "svg.hashsalt": "rosterhook",
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    **dict.fromkeys(("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), GREY),
    "legend.frameon": False,
}

#: A figure as results keep it.
Found = dict[str, Any]
#: Draws what it finds; False when there is nothing that it could draw.
Draw = Callable[[Figure, Sequence[Found]], bool]


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot of one part's figures."""

    part: str
    draw: Draw


def svg(plot: Plot, figures: Sequence[Found], digest: str) -> str:
    """The plot, with the digest of the result in it."""
    with mpl.rc_context(STYLE):
        drawing = Figure(figsize=(WIDTH, HEIGHT), layout="constrained")
        if not plot.draw(drawing, figures):
            drawing.clear()
            drawing.text(0.5, 0.5, "not measured yet", ha="center", va="center")
        file = io.StringIO()
        metadata = {"Date": None, "Creator": None, "Description": digest}
        drawing.savefig(file, format="svg", transparent=True, metadata=metadata)
    return "".join(f"{line.rstrip()}\n" for line in file.getvalue().splitlines())


def mark(digest: str) -> str:
    """What stands in a plot that was drawn from the result with this digest."""
    return f"<dc:description>{digest}</dc:description>"


def accept(drawing: Figure, figures: Sequence[Found]) -> bool:
    """Deliveries a second at 64 connections, and how long the slowest hundredth waits."""
    found = _by_name(figures, r"accept/64/1/(?P<who>[^/]+)/(?P<what>rate|p99)")
    servers = list(dict.fromkeys(who for who, _ in found))
    if not servers:
        return False
    titles = {"rate": "deliveries a second, 64 connections", "p99": "99th percentile, ms"}
    for axes, (what, title) in zip(drawing.subplots(1, 2, sharey=True), titles.items(), strict=True):
        _bars(axes, {who: found[who, what] for who in servers if (who, what) in found}, title)
    return True


def everybody(drawing: Figure, figures: Sequence[Found]) -> bool:
    """How a first load goes on: users in the target over time, by equal parts of all."""
    loads = [figure for figure in figures if re.fullmatch(r"everybody/load/\d+/\w+/held", figure["name"])]
    if not loads:
        return False
    axes = drawing.subplots()
    for figure, colour in zip(loads, cycle((OURS, SECOND)), strict=False):
        _, _, users, database, _ = figure["name"].split("/")
        style, product = DATABASES.get(database, ("dotted", database))
        seconds = [0.0, *figure["runs"]]
        thousands = [int(users) / 1000 * place / len(figure["runs"]) for place in range(len(seconds))]
        axes.plot(seconds, thousands, color=colour, linestyle=style, label=f"{int(users):,} users, {product}")
    axes.set_xlabel("seconds")
    axes.set_ylabel("thousands of users in the target")
    axes.legend()
    return True


def lag(drawing: Figure, figures: Sequence[Found]) -> bool:
    """From event to row, by how much happens."""
    found = _by_name(figures, r"sustained/lag/(?P<who>\d+)/(?P<what>p50|p99)")
    rates = list(dict.fromkeys(rate for rate, _ in found))
    if not rates:
        return False
    axes = drawing.subplots()
    for what, colour, shift in (("p50", OURS, -0.2), ("p99", SECOND, 0.2)):
        values = [found.get((rate, what), 0.0) for rate in rates]
        drawn = axes.bar([place + shift for place in range(len(rates))], values, 0.38, color=colour, label=what)
        axes.bar_label(drawn, [amount(value) for value in values])
    axes.set_xticks(range(len(rates)), [f"{rate} a second" for rate in rates])
    axes.set_ylabel("ms from event to row")
    axes.legend(loc="upper left")
    return True


def calls(drawing: Figure, figures: Sequence[Found]) -> bool:
    """Calls to Okta for a thousand events."""
    found = _by_name(figures, r"calls/(?P<who>\w+)/(?P<what>per-1000)")
    if not found:
        return False
    titles = {"import": "rosterhook, a large import", "hot": "rosterhook, the same few users"}
    ours = {titles.get(who, who): value for (who, _), value in found.items()}
    _bars(drawing.subplots(), {**ours, "one call an event": 1000.0}, "calls to Okta for 1,000 events")
    return True


PLOTS = {
    "accept": Plot("accept", accept),
    "everybody": Plot("everybody", everybody),
    "lag": Plot("sustained", lag),
    "calls": Plot("calls", calls),
}


def _by_name(figures: Sequence[Found], pattern: str) -> dict[tuple[str, str], float]:
    """Medians by the groups `who` and `what` of a pattern for names, in the order of the results."""
    matches = [(re.fullmatch(pattern, figure["name"]), figure["median"]) for figure in figures]
    return {(match["who"], match["what"]): median for match, median in matches if match}


def _bars(axes: Axes, values: dict[str, float], title: str) -> None:
    """Lying bars, the first on top; ours in another colour."""
    colours = [OURS if who.startswith("rosterhook") else OTHERS for who in values]
    drawn = axes.barh(list(values), list(values.values()), color=colours)
    axes.bar_label(drawn, [amount(value) for value in values.values()], padding=4)
    axes.margins(x=0.2)
    axes.set_title(title, fontsize="medium")
    axes.yaxis.set_inverted(True)
