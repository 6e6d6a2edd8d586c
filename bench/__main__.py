"""`python -m bench`: measure, print one table."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from bench.accept import accept
from bench.disk import disk
from bench.findings import Finding, show
from bench.lag import lag
from bench.memory import memory
from bench.processes import ROOT, BenchError
from bench.throughput import throughput

PARTS = ("accept", "memory", "lag", "throughput")


def main() -> int:
    """Measure what was asked for; return the exit code."""
    options = _options()
    signal.signal(signal.SIGTERM, _interrupt)
    options.dir.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="bench-", dir=options.dir))
    findings: list[Finding] = []
    try:
        findings += disk(folder / "disk")
        for name, measure in _parts(options).items():
            if name in options.parts:
                findings += measure(folder / name)
                shutil.rmtree(folder / name)
    except BenchError as error:
        print(f"The benchmark cannot go on: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        show(findings)
    return 1 if options.strict and any(finding.met is False for finding in findings) else 0


def _parts(options: argparse.Namespace) -> dict[str, Callable[[Path], Iterator[Finding]]]:
    quick = options.quick
    deliveries = options.deliveries or (50_000 if quick else 1_000_000)
    return {
        "accept": lambda folder: accept(folder, rounds=3 if quick else 7, seconds=2 if quick else 4),
        "memory": lambda folder: memory(folder, deliveries=deliveries, worker_seconds=30 if quick else 600),
        "lag": lambda folder: lag(folder, seconds=10 if quick else 30),
        "throughput": lambda folder: throughput(folder, events=4_000 if quick else 20_000),
    }


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description="What rosterhook does on this machine.")
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"only these: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="a minute instead of ten, with rougher numbers")
    parser.add_argument("--deliveries", type=int, help="for memory; default 1,000,000, or 50,000 with --quick")
    parser.add_argument("--dir", type=Path, default=ROOT / "build", help="a folder on a real disk (default: build)")
    parser.add_argument("--strict", action="store_true", help="exit code 1 when an aim is missed")
    options = parser.parse_args()
    if unknown := sorted(set(options.parts) - set(PARTS)):
        parser.error(f"no such part: {', '.join(unknown)}; there are {', '.join(PARTS)}")
    options.parts = options.parts or list(PARTS)
    options.dir = options.dir.absolute()
    return options


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
