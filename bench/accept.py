"""How many deliveries a second are answered 200, each on disk, beside a server that stores nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench.bodies import Requests
from bench.findings import Finding
from bench.load import DRAIN_SECONDS, Met
from bench.processes import BenchError, Started, configure, output_of, part, process
from bench.progress import tell

CONNECTIONS = 64
AIM = 0.4
STEP_SECONDS = 60.0


def accept(folder: Path, *, rounds: int, seconds: float) -> Iterator[Finding]:
    """Both servers in turn; the ratio is the median of each pair's, so that what else the machine does hits both."""
    config = configure(folder)
    bare: list[Met] = []
    durable: list[Met] = []
    with process(["bench.bare"], folder, r"listening on (\S+)") as ceiling, part("web", config) as web:
        for number in range(rounds):
            tell(f"accept: round {number + 1} of {rounds}")
            bare.append(load(ceiling, folder, seconds=seconds, first=number * 10_000_000))
            durable.append(load(web, folder, seconds=seconds, first=number * 10_000_000))
    ratio = median(one.per_second / other.per_second for one, other in zip(durable, bare, strict=True))
    yield _rate("bare uvicorn, no storage", bare)
    yield _rate("durable deliveries", durable)
    yield Finding(
        f"accept: durable / bare, {CONNECTIONS} connections, {Requests(1).body_bytes} bytes",
        f"{ratio:.2f}",
        f">= {AIM}",
        ratio >= AIM,
    )


def load(
    server: Started, folder: Path, *, seconds: float | None = None, count: int | None = None, first: int = 0
) -> Met:
    """Put load on a server: for some seconds, or so many requests.

    Raises:
        BenchError: an answer was not 200.
    """
    limit_seconds = (seconds or 0.0) + (count or 0) / 500 + DRAIN_SECONDS
    command = ["bench.load", str(server.port), "--connections", str(CONNECTIONS), "--first", str(first)]
    command += ["--limit-seconds", str(limit_seconds)]
    command += ["--seconds", str(seconds)] if seconds is not None else ["--count", str(count)]
    met = Met(**json.loads(output_of(command, folder, limit_seconds + STEP_SECONDS)))
    if met.others:
        raise BenchError(f"not every answer was 200: {met.others}")
    return met


def _rate(what: str, rounds: list[Met]) -> Finding:
    middle = sorted(rounds, key=lambda met: met.per_second)[len(rounds) // 2]
    rates = ", ".join(f"{met.per_second:,.0f}" for met in rounds)
    worst = max(met.worst for met in rounds)
    return Finding(
        f"accept: {what}",
        f"{rates} /s; p50 {middle.p50:.1f} ms, p99 {middle.p99:.1f} ms, max {worst:.1f} ms"
        f" (client: {middle.client_cpu:.0%} of a core)",
    )
