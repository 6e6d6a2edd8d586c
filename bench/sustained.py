"""From POST to row, everything on: how many users a second, and how long each takes."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bench import lag, postgres
from bench.databases import rows_in, sqlite_url
from bench.drive import generate
from bench.figures import Aim, Figure
from bench.processes import BenchError, Started, part, process
from bench.progress import tell
from bench.scale import Scale
from bench.service import configure_by_events, drain, seconds_to_rows

MOST_USERS = 50_000
ROUNDS = 5
#: Each round has users of its own: a number in an id stands for one user.
NUMBERS = 1_000_000_000
#: The slowest that is waited for.
USERS_A_SECOND = 200
START_SECONDS = 60.0

SQLITE_AIM = Aim(">=", 2500.0)
POSTGRES_AIM = Aim(">=", 1500.0)


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """A flood of events about users who are not known yet, then steady traffic."""
    yield _rate(folder / "sqlite", scale, "sqlite", sqlite_url(folder / "sqlite" / "users.db"), SQLITE_AIM)
    if scale.is_full and postgres.is_installed():
        with postgres.server(folder / "postgresql") as url:
            yield _rate(folder / "service", scale, "postgresql", url, POSTGRES_AIM)
    else:
        why = "not installed" if scale.is_full else "measured by `make bench-full` alone"
        tell(f"sustained: no PostgreSQL: {why}")
    yield from lag.measure(folder / "lag", scale)


def _rate(folder: Path, scale: Scale, database: str, url: str, aim: Aim) -> Figure:
    """Users a second through the whole way, round by round."""
    count, rounds = min(MOST_USERS, scale.users), ROUNDS if scale.is_full else 1
    with process(["bench.instant_okta"], folder, r"listening on (\S+)") as org:
        config = configure_by_events(folder, org.url, url)
        with part("web", config) as web, part("worker", config) as worker:
            processes = {"web": web, "worker": worker, "Okta": org}
            before = {name: each.cpu_seconds() for name, each in processes.items()}
            seconds = []
            for number in range(rounds):
                tell(f"sustained: {count:,} events, a user each, into {database}, round {number + 1} of {rounds}")
                seconds.append(_flood(folder, web, count, number * count))
            used = {name: each.cpu_seconds() - before[name] for name, each in processes.items()}
    if (found := rows_in(url)) != count * rounds:
        raise BenchError(f"the target has {found:,} rows, not {count * rounds:,}")
    cores = ", ".join(f"{name} {spent / sum(seconds):.2f}" for name, spent in used.items())
    about = f"{count:,} users a round; cores used: {cores}; the generator of load had the rest"
    title = f"users changed a second, from POST to row, into {database}"
    return Figure(f"sustained/{database}/rate", title, "/s", [count / each for each in seconds], aim, about)


def _flood(folder: Path, web: Started, count: int, first: int) -> float:
    """Post as fast as the web process accepts; seconds from the first POST to the last row."""
    limit_seconds = count / USERS_A_SECOND + START_SECONDS
    options: dict[str, object] = {"count": count, "first": first, "users": NUMBERS, "limit-seconds": limit_seconds}
    met = generate(web, folder, options, limit_seconds)
    if met.others:
        raise BenchError(f"not every answer was 200: {met.others}")
    drain(folder / "data", limit_seconds)
    return seconds_to_rows(folder / "data", first)
