"""`python -m bench`: measure, print one table, keep the results."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from bench import results
from bench.conditions import conditions
from bench.figures import Figure, show
from bench.parts import PARTS, measured
from bench.processes import ROOT, BenchError
from bench.scale import FULL, SHORT, Scale


def main() -> int:
    """Measure what was asked for; return the exit code."""
    options = _options()
    # So that the processes that were started are ended in order.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.dir))
    figures: list[Figure] = []
    try:
        for part in options.parts:
            figures += _kept(part, folder / part, FULL if options.full else SHORT)
    except BenchError as error:
        print(f"The benchmark cannot go on: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        show(figures)
    return 1 if options.strict and any(figure.is_met is False for figure in figures) else 0


def _kept(part: str, folder: Path, scale: Scale) -> list[Figure]:
    """One part's figures. They are kept only when all of them could be had."""
    under = conditions(folder)
    figures = measured(part, folder, scale)
    shutil.rmtree(folder)
    path = results.save(scale, part, datetime.now(UTC).date().isoformat(), under, figures)
    print(f"... {part}: kept in {path.relative_to(ROOT)}", file=sys.stderr)
    return figures


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What rosterhook does on this machine.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--full", action="store_true", help="everything, beside everybody else's: an hour and a half")
    parser.add_argument("--dir", type=Path, default=ROOT / "build", help="a folder on a real disk (default: build)")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when an aim is missed")
    options = parser.parse_args()
    if unknown := sorted(set(options.parts) - set(PARTS)):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    options.parts = options.parts or list(PARTS)
    options.dir = options.dir.absolute()
    return options


if __name__ == "__main__":
    sys.exit(main())
