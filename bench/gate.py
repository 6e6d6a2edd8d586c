"""`python -m bench.gate`: a short run that fails when a ratio has fallen under its floor.

Ratios alone: both sides of one run on the same machine at the same time, so a slow machine is no reason to fail. What
is held, and why at that number, is in floors.toml.
"""

from __future__ import annotations

import operator
import signal
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure
from bench.parts import PARTS, measured
from bench.processes import ROOT, BenchError
from bench.progress import tell
from bench.scale import GATE

FLOORS = Path(__file__).with_name("floors.toml")
#: What a figure's median must be beside its limit.
_SIDES: dict[str, Callable[[float, float], bool]] = {"floors": operator.ge, "ceilings": operator.le}


@dataclass(frozen=True, slots=True)
class Limit:
    """What a ratio must not pass.

    Attributes:
        side: "floors" or "ceilings".
    """

    name: str
    side: str
    value: float

    @property
    def part(self) -> str:
        """Who measures it."""
        return self.name.partition("/")[0]

    def is_kept(self, figures: Sequence[Figure]) -> bool:
        """Tell whether it is, by these figures.

        Raises:
            BenchError: it is not among them, or it is no ratio.
        """
        return _SIDES[self.side](_ratio(self.name, figures).median, self.value)

    def told(self, figures: Sequence[Figure]) -> str:
        """What was found, in words."""
        verdict = "kept" if self.is_kept(figures) else "NOT KEPT"
        return f"{self.name}: {_ratio(self.name, figures).shown()}, {self.side[:-1]} {self.value:g}: {verdict}"


def read(path: Path = FLOORS) -> list[Limit]:
    """The limits.

    Raises:
        BenchError: a table or a part is unknown.
    """
    tables = tomllib.loads(path.read_text(encoding="utf-8"))
    if unknown := sorted(set(tables) - set(_SIDES)):
        raise BenchError(f"{path.name} has no table {', '.join(unknown)}; there are {', '.join(_SIDES)}")
    limits = [Limit(name, side, float(value)) for side, table in tables.items() for name, value in table.items()]
    if unknown := sorted({limit.name for limit in limits if limit.part not in PARTS}):
        raise BenchError(f"no part measures {', '.join(unknown)}")
    return limits


def hold(limits: Sequence[Limit], measure: Callable[[str], Sequence[Figure]]) -> list[Limit]:
    """Measure each part, once more where a limit is not kept; return those that are not kept then either.

    Raises:
        BenchError: a figure is not there, or something could not be measured.
    """
    broken = _broken(limits, measure)
    if broken:
        tell(f"gate: once more, as others may use this machine: {', '.join(limit.name for limit in broken)}")
        broken = _broken(broken, measure)
    return broken


def _broken(limits: Sequence[Limit], measure: Callable[[str], Sequence[Figure]]) -> list[Limit]:
    broken = []
    for part in PARTS:
        held = [limit for limit in limits if limit.part == part]
        figures = measure(part) if held else ()
        for limit in held:
            print(limit.told(figures), flush=True)
        broken += [limit for limit in held if not limit.is_kept(figures)]
    return broken


def _ratio(name: str, figures: Sequence[Figure]) -> Figure:
    found = next((figure for figure in figures if figure.name == name), None)
    if found is None:
        raise BenchError(f"{name} is in {FLOORS.name}, but nothing measures it")
    if found.unit != "x":
        raise BenchError(f"{name} is no ratio: it would fail on a slower machine")
    return found


def main() -> int:
    """Hold every limit; return the exit code: 1 when one is not kept, 2 when that cannot be told."""
    # So that the processes that were started are ended in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    try:
        with tempfile.TemporaryDirectory(prefix="bench-", dir=build, ignore_cleanup_errors=True) as folder:
            broken = hold(read(), lambda part: measured(part, Path(tempfile.mkdtemp(dir=folder)), GATE))
    except BenchError as error:
        print(f"The gate cannot tell: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
