"""The page of benchmarks is made of what full runs have found, and of nothing else."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]

CONDITIONS = {
    "cores": 2,
    "processor": "Example 9000",
    "memory_gb": 8.2,
    "system": "Linux 6.1",
    "load_before": 0.1,
    "fsync_ms": 0.52,
    "python": "3.11.2",
    "sqlite": "3.51.3",
    "packages": {"uvicorn": "0.50.0"},
    "programs": {},
}


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The module `bench.page`: the benchmark is no part of the package."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("bench.page")


@pytest.fixture
def results(page: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An empty folder in place of the results."""
    monkeypatch.setattr(page.results, "FOLDER", tmp_path / "results")
    (tmp_path / "results").mkdir()
    return tmp_path / "results"


def keep(results: Path, *figures: dict[str, Any], part: str = "calls") -> None:
    """Keep figures as a full run does."""
    told = {"part": part, "date": "2026-01-02", "command": f"make bench-full ARGS={part}", "conditions": CONDITIONS}
    (results / f"{part}.json").write_text(json.dumps({**told, "figures": figures}))


def figure(name: str, median: float, **others: Any) -> dict[str, Any]:
    """A figure as results keep it."""
    return {"name": name, "title": f"title of {name}", "unit": "ms", "median": median, "runs": [median], **others}


def test_documentation_is_what_the_results_give(page: ModuleType) -> None:
    """The tables and plots in docs/benchmarks are those of the results in bench/results."""
    assert [path.name for path in page.stale()] == []


def test_other_results_make_their_own_files_stale(page: ModuleType, results: Path, tmp_path: Path) -> None:
    """When a part is measured anew, its table and its plot are stale until they are written; no other is."""
    page.write(tmp_path)
    assert list(page.stale(tmp_path)) == []
    for median in (12.0, 13.0):
        keep(results, figure("calls/import/per-1000", median))
        assert [path.name for path in page.stale(tmp_path)] == ["calls.md", "calls.svg"]
        page.write(tmp_path)
        assert list(page.stale(tmp_path)) == []


def test_files_that_are_missing_or_edited_are_stale(page: ModuleType, results: Path, tmp_path: Path) -> None:
    """Nobody can better a table by hand, or take a plot away."""
    keep(results, figure("calls/import/per-1000", 12.0))
    page.write(tmp_path)
    table = tmp_path / "calls.md"
    table.write_text(table.read_text().replace("12.0", "11.0"))
    (tmp_path / "calls.svg").unlink()
    assert list(page.stale(tmp_path)) == [table, tmp_path / "calls.svg"]


def test_a_table_tells_spread_aim_and_conditions(page: ModuleType, results: Path) -> None:
    """A missed aim is told as such, a met one too, and under which conditions it was; what has none comes last."""
    missed = {"aim": "<= 10", "met": False, "runs": [11.0, 12.0, 14.0], "about": "of 3 users"}
    met = {"aim": ">= 1000", "met": True}
    keep(results, figure("calls/a", 12.0, **missed), figure("calls/b", 2345.6, **met), figure("calls/c", 1.0))
    judged, everything = page.fragment(page.read("calls")).split("<!-- all -->")
    assert "| title of calls/a | 12.0 ms | 11.0 to 14.0 | <= 10.0 | **missed** |" in judged
    assert "| title of calls/b | 2,346 ms |  | >= 1,000 | met |" in judged
    assert "calls/c" not in judged
    assert "2 cores of Example 9000" in judged
    assert "an fsync takes 0.52 ms; Python 3.11.2" in judged
    assert "| title of calls/a (of 3 users) | 12.0 ms | 11.0 to 14.0 | <= 10.0 | **missed** |" in everything
    assert "| title of calls/c | 1 ms |" in everything


def test_a_part_that_was_not_measured_says_so(page: ModuleType, results: Path, tmp_path: Path) -> None:
    """Without a result there is a page and a plot all the same, and neither shows a figure."""
    page.write(tmp_path)
    assert "Not measured yet: `make bench-full ARGS=everybody`." in (tmp_path / "everybody.md").read_text()
    assert "not measured yet" in (tmp_path / "everybody.svg").read_text()


def test_a_plot_shows_what_was_found_and_loads_nothing(page: ModuleType, results: Path, tmp_path: Path) -> None:
    """The same result gives the same plot, with its numbers as text, and with nothing of anybody else's in it."""
    keep(results, figure("sustained/lag/50/p50", 123.0), figure("sustained/lag/50/p99", 456.0), part="sustained")
    page.write(tmp_path)
    plot = (tmp_path / "lag.svg").read_text()
    page.write(tmp_path)
    assert (tmp_path / "lag.svg").read_text() == plot
    assert ">123<" in plot
    assert ">456<" in plot
    assert "url(http" not in plot
