"""How many deliveries a second are answered 200, each on disk, beside what others would write and what is possible."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from bench import loading, lost, slow_disk
from bench.drive import CONNECTIONS
from bench.figures import Aim, Figure, ratio
from bench.progress import tell
from bench.rounds import Run, in_turn, one_run
from bench.scale import Scale
from bench.servers import AS_WRITTEN, CEILING, DURABLE, FASTAPI, ROSTERHOOK, Server, has_tutorial, need_tutorial

P99_AIM = Aim("<=", 10.0)
#: How many times as many as the other server, at 64 connections with one event a request.
RATIO_AIMS = {CEILING.name: Aim(">=", 0.5), AS_WRITTEN.name: Aim(">=", 15.0), DURABLE.name: Aim(">=", 5.0)}
#: Okta waits for so long.
WORST_AIM = Aim("<=", 3000.0)
FLOOD_CONNECTIONS = 256
MANY_EVENTS = 20
#: From here on, the generator may be what limits the rate.
FULL_CORE = 0.95


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Everything; for a gate, only rosterhook beside the ceiling.

    Raises:
        BenchError: for a full measurement, something is not installed.
    """
    servers = _compared(scale)
    for connections, events in _loads(scale):
        runs = in_turn(servers, folder, scale, connections=connections, events=events)
        for server in servers:
            yield from _figures(server, connections, events, runs[server.name])
        if (connections, events) == (CONNECTIONS, 1):
            yield from _ratios(servers, runs)
    if scale.name == "gate":
        return
    yield _flood(folder, scale)
    storing = [server for server in servers if server.kept]
    yield from lost.measure(folder, storing, scale.rounds if scale.is_full else 2, scale.seconds)
    yield from loading.measure(folder, scale)
    if scale.is_full:
        yield from slow_disk.measure(folder, scale)


def _compared(scale: Scale) -> list[Server]:
    if scale.is_full:
        need_tutorial()
        return [ROSTERHOOK, CEILING, AS_WRITTEN, DURABLE, FASTAPI]
    if scale.name == "gate":
        return [ROSTERHOOK, CEILING]
    if has_tutorial():
        return [ROSTERHOOK, CEILING, AS_WRITTEN]
    tell("accept: without the tutorial's app: it needs npm ci in bench/peers/tutorial")
    return [ROSTERHOOK, CEILING]


def _loads(scale: Scale) -> list[tuple[int, int]]:
    """Connections, and events a request."""
    if not scale.is_full:
        return [(CONNECTIONS, 1)]
    return [(connections, events) for events in (1, MANY_EVENTS) for connections in (16, CONNECTIONS, 256)]


def _figures(server: Server, connections: int, events: int, runs: Sequence[Run]) -> Iterator[Figure]:
    """Titles say connections x events a request."""
    name = f"accept/{connections}/{events}/{server.name}"
    who = f"{server.title}, {connections} x {events}"
    is_ours = server is ROSTERHOOK and (connections, events) == (CONNECTIONS, 1)
    rates = [run.met.per_second for run in runs]
    yield Figure(f"{name}/rate", f"{who}: requests a second", "/s", rates, None, _about_generator(runs))
    yield Figure(f"{name}/p50", f"{who}: median answer", "ms", [run.met.p50 for run in runs])
    p99 = [run.met.p99 for run in runs]
    yield Figure(f"{name}/p99", f"{who}: 99th percentile", "ms", p99, P99_AIM if is_ours else None)
    yield Figure(f"{name}/cpu", f"{who}: processor time a request", "us", [run.cpu_us for run in runs])
    yield Figure(f"{name}/memory", f"{who}: resident memory at its end", "MB", [run.resident_mb for run in runs])


def _about_generator(runs: Sequence[Run]) -> str:
    used = median(run.met.client_cpu for run in runs)
    limit = ": it, and not the server, is the limit" if used >= FULL_CORE else ""
    return f"the generator used {used:.0%} of a core{limit}"


def _ratios(servers: Sequence[Server], runs: Mapping[str, Sequence[Run]]) -> Iterator[Figure]:
    """Rosterhook beside each other server."""
    rates = {name: [run.met.per_second for run in some] for name, some in runs.items()}
    for other in servers:
        if other is not ROSTERHOOK:
            title = f"rosterhook beside {other.title}"
            aim = RATIO_AIMS.get(other.name)
            yield ratio(f"accept/ratio/{other.name}", title, rates[ROSTERHOOK.name], rates[other.name], aim)


def _flood(folder: Path, scale: Scale) -> Figure:
    """Every answer counts: one that is not 200 ends the benchmark."""
    rounds = scale.rounds if scale.is_full else 1
    tell(f"accept: a flood of {FLOOD_CONNECTIONS} connections, {rounds} times")
    runs = [one_run(ROSTERHOOK, folder / "run", scale.seconds, FLOOD_CONNECTIONS, 1, {}) for _ in range(rounds)]
    title = f"rosterhook, {FLOOD_CONNECTIONS} connections as fast as they can: worst answer"
    about = f"of {sum(run.met.accepted for run in runs):,} answers"
    return Figure("accept/flood/worst", title, "ms", [run.met.worst for run in runs], WORST_AIM, about)
