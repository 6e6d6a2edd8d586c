"""How many deliveries a second are answered 200, each on disk, beside a server that stores nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Aim, Figure, ratio
from bench.load import DRAIN_SECONDS, Met
from bench.processes import BenchError, Started, configure, output_of, part, process
from bench.progress import tell
from bench.scale import Scale

CONNECTIONS = 64
CEILING_AIM = Aim(">=", 0.5)
P99_AIM = Aim("<=", 10.0)
STEP_SECONDS = 60.0


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Both servers in turn."""
    config = configure(folder)
    bare: list[Met] = []
    durable: list[Met] = []
    with process(["bench.bare"], folder, r"listening on (\S+)") as ceiling, part("web", config) as web:
        for number in range(scale.rounds):
            tell(f"accept: round {number + 1} of {scale.rounds}")
            bare.append(load(ceiling, folder, seconds=scale.seconds, first=number * 10_000_000))
            durable.append(load(web, folder, seconds=scale.seconds, first=number * 10_000_000))
    for name, title, met in (("bare", "the same server, no storage", bare), ("rosterhook", "rosterhook", durable)):
        yield Figure(f"accept/{name}/rate", f"deliveries a second, {title}", "/s", [each.per_second for each in met])
    yield Figure("accept/rosterhook/p99", "99th percentile", "ms", [each.p99 for each in durable], P99_AIM)
    rates = [each.per_second for each in durable], [each.per_second for each in bare]
    yield ratio("accept/ceiling", "rosterhook beside the ceiling", *rates, CEILING_AIM)


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
