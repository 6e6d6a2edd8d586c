"""Results as files: what `make bench-full` found is kept in the repository, and the page is made of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.figures import Figure
from bench.processes import ROOT
from bench.scale import Scale

#: Of the last full run; a short one's are in a folder below, which is not kept.
FOLDER = ROOT / "bench" / "results"


def save(scale: Scale, part: str, date: str, under: dict[str, Any], figures: Sequence[Figure]) -> Path:
    """Keep what one part found, instead of what it found the last time.

    Args:
        date: when it was measured, as ISO 8601 writes a day.
        under: the conditions.
    """
    folder = FOLDER if scale.is_full else FOLDER / scale.name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{part}.json"
    command = f"make bench{'-full' if scale.is_full else ''} ARGS={part}"
    found = [figure.as_json() for figure in figures]
    told = {"part": part, "date": date, "command": command, "conditions": under, "figures": found}
    path.write_text(json.dumps(told, indent=2, ensure_ascii=False) + "\n")
    return path


def load(part: str) -> dict[str, Any]:
    """What the last full run of a part found.

    Raises:
        FileNotFoundError: there was none.
    """
    found: dict[str, Any] = json.loads((FOLDER / f"{part}.json").read_text())
    return found
