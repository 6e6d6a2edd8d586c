"""Puts the generator's load on a server and tells what it met."""

from __future__ import annotations

import json
from pathlib import Path

from bench.bodies import PATH
from bench.load import DRAIN_SECONDS, Met
from bench.processes import BenchError, Started, output_of

CONNECTIONS = 64
#: For the generator itself, from its start to its end.
STEP_SECONDS = 60.0


def load(
    server: Started,
    folder: Path,
    *,
    seconds: float | None = None,
    count: int | None = None,
    first: int = 0,
    connections: int = CONNECTIONS,
    events: int = 1,
    path: str = PATH,
    per_second: float | None = None,
    about: str | None = None,
) -> Met:
    """Put load on a server: for some seconds, or so many requests.

    Args:
        first: number of the first request: no two of a benchmark should have the same.
        events: in each request.
        per_second: not as many as the server can take, but so many.
        about: the id of the user whom all events are about; otherwise they are about many, who are nowhere.

    Raises:
        BenchError: an answer was not 200.
    """
    limit_seconds = (seconds or 0.0) + (count or 0) / 500 + DRAIN_SECONDS
    options = {
        "connections": connections,
        "events": events,
        "path": path,
        "seconds": seconds,
        "count": count,
        "per-second": per_second,
        "about": about,
        "first": first,
        "limit-seconds": limit_seconds,
    }
    met = generate(server, folder, options, limit_seconds)
    if met.others:
        raise BenchError(f"not every answer was 200: {met.others}")
    return met


def generate(server: Started, folder: Path, options: dict[str, object], limit_seconds: float) -> Met:
    """Run the generator with these options, but for those that are None."""
    given = [text for name, value in options.items() if value is not None for text in (f"--{name}", str(value))]
    said = output_of(["bench.load", str(server.port), *given], folder, limit_seconds + STEP_SECONDS)
    return Met(**json.loads(said))
