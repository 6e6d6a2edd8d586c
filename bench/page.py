"""`python -m bench.page`: the results of the last full run as tables and plots of the documentation.

With --check, exit with 1 unless they are what the results give. A plot is not compared byte by byte, as another
matplotlib draws it a little differently: it carries the digest of the result that it was drawn from.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import plots, results
from bench.figures import amount
from bench.parts import PARTS
from bench.processes import ROOT

FOLDER = ROOT / "docs" / "benchmarks"

FRAGMENT = """\
---
orphan: true
---

# Benchmarks: {part}

<!-- Written by `python -m bench.page` from bench/results/{part}.json ({digest}): change that, not this. -->
<!-- figures -->

{figures}

<!-- all -->

## All figures

{all}
"""
NOT_MEASURED = "Not measured yet: `make bench-full ARGS={part}`."
#: Of a result that is not there.
NONE = "none"


@dataclass(frozen=True, slots=True)
class Result:
    """What one part has found. `digest` is of the file as it is; `told` is empty when there is none."""

    part: str
    digest: str
    told: Mapping[str, Any]

    @property
    def figures(self) -> list[dict[str, Any]]:
        """As `bench.figures.Figure.as_json`."""
        return list(self.told.get("figures", ()))


def read(part: str) -> Result:
    """The result of a part's last full run."""
    path = results.FOLDER / f"{part}.json"
    if not path.exists():
        return Result(part, NONE, {})
    content = path.read_bytes()
    return Result(part, f"sha256:{hashlib.sha256(content).hexdigest()[:16]}", json.loads(content))


def fragment(result: Result) -> str:
    """The page of a part: what is judged, which docs/benchmarks.md includes, and all figures."""
    figures = everything = NOT_MEASURED.format(part=result.part)
    if result.told:
        judged = [figure for figure in result.figures if "aim" in figure or figure["unit"] == "x"]
        figures = f"{_table(judged, told=False)}\n\n{_conditions(result.told)}"
        everything = _table(result.figures, told=True)
    return FRAGMENT.format(part=result.part, digest=result.digest, figures=figures, all=everything)


def write(folder: Path = FOLDER) -> None:
    """Write every fragment and plot."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {part: read(part) for part in PARTS}
    for part, result in found.items():
        (folder / f"{part}.md").write_text(fragment(result), encoding="utf-8")
    for name, plot in plots.PLOTS.items():
        result = found[plot.part]
        (folder / f"{name}.svg").write_text(plots.svg(plot, result.figures, result.digest), encoding="utf-8")


def stale(folder: Path = FOLDER) -> Iterator[Path]:
    """The files that are not what the results give."""
    found = {part: read(part) for part in PARTS}
    for part, result in found.items():
        path = folder / f"{part}.md"
        if not path.exists() or path.read_text(encoding="utf-8") != fragment(result):
            yield path
    for name, plot in plots.PLOTS.items():
        path = folder / f"{name}.svg"
        if not path.exists() or plots.mark(found[plot.part].digest) not in path.read_text(encoding="utf-8"):
            yield path


def _table(figures: Sequence[Mapping[str, Any]], *, told: bool) -> str:
    """A row for each figure; with `told`, what must be known to judge it too."""
    rows = [" | ".join(_cells(figure, told=told)).rstrip() for figure in figures]
    return "\n".join(
        ["| What | Median | Spread | Aim | |", "| --- | ---: | ---: | ---: | --- |", *map("| {} |".format, rows)]
    )


def _cells(figure: Mapping[str, Any], *, told: bool) -> Iterator[str]:
    about = figure.get("about") if told else ""
    yield (figure["title"] + (f" ({about})" if about else "")).replace("|", "\\|")
    yield f"{amount(figure['median'])} {figure['unit']}".rstrip()
    low, high = min(figure["runs"]), max(figure["runs"])
    yield f"{amount(low)} to {amount(high)}" if len(figure["runs"]) > 1 else ""
    sign, _, value = figure.get("aim", "").partition(" ")
    yield f"{sign} {amount(float(value))}" if value else ""
    yield {None: "", True: "met", False: "**missed**"}[figure.get("met")]


def _conditions(told: Mapping[str, Any]) -> str:
    """Under which all of it was measured, in one line."""
    under = told["conditions"]
    versions = {"Python": under["python"], "SQLite": under["sqlite"], **under["packages"], **under["programs"]}
    machine = f"{under['cores']} cores of {under['processor']}, {under['memory_gb']} GB, {under['system']}"
    disk = f"an fsync takes {amount(under['fsync_ms'])} ms"
    named = ", ".join(f"{name} {version}" for name, version in versions.items())
    return f"Measured on {told['date']} by `{told['command']}`: {machine}; {disk}; {named}."


def main() -> int:
    """Write, or with --check tell what is stale; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description="The results as docs/benchmarks/.")
    parser.add_argument("--check", action="store_true", help="write nothing; exit code 1 when something is stale")
    if not parser.parse_args().check:
        write()
        return 0
    old = [str(path.relative_to(ROOT)) for path in stale()]
    if old:
        sys.stderr.write(f"{', '.join(old)}: not what bench/results gives. Run: python -m bench.page\n")
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
