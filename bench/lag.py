"""How long it takes from an event in Okta to the row in the target, by the service itself and seen from outside."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import uvloop

from bench.bodies import PATH, SECRET
from bench.databases import ask
from bench.figures import Aim, Figure
from bench.processes import BenchError, Started, part, process
from bench.progress import tell
from bench.ranks import rank
from bench.scale import Scale
from bench.service import configure_by_events, drain

RATES = (5, 50, 500)
AIM_RATE, AIM = 50, Aim("<=", 300.0)
#: Seconds of traffic at each rate: at 5 a second, a hundred events, so that there is a 99th percentile.
FULL_SECONDS, SHORT_SECONDS = 20.0, 5.0
ROUNDS = 5
USERS = 20_000
LATENCY_MS = 50
#: How long the org gathers events for a delivery. Okta takes about ten seconds, which nobody can shorten.
BATCH_SECONDS = 0.1
PROBES_A_SECOND = 2
POLL_SECONDS = 0.005
SETTLE_SECONDS = 60.0
TRAFFIC = "/_sim/traffic"


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Steady traffic in a simulated org; a hook, the web process, the worker, a table in SQLite."""
    command = ["rosterhook.simulator", "--users", str(USERS), "--latency-ms", str(LATENCY_MS)]
    command += ["--batch-seconds", str(BATCH_SECONDS), "--principal-share", "1", "--rate-multiplier", "1000"]
    with process(command, folder, r"listening on (\S+)") as org:
        config = configure_by_events(folder, org.url)
        with (
            part("web", config) as web,
            part("worker", config),
            asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        ):
            yield from runner.run(_Stage(folder, org, web).play(scale))


class _Stage:
    """The org, the service, and who watches them."""

    def __init__(self, folder: Path, org: Started, web: Started) -> None:
        self._data = folder / "data"
        self._org = org
        self._hook = {"url": web.url + PATH, "secret": SECRET}
        headers = {"Authorization": "SSWS sim-token"}
        self._http = httpx2.AsyncClient(base_url=org.url, headers=headers, trust_env=False, timeout=30)
        self._number = 0

    async def play(self, scale: Scale) -> list[Figure]:
        """Each rate, round by round."""
        async with self._http:
            (await self._http.post("/_sim/hook", json=self._hook)).raise_for_status()
            # What a service has to open and to learn at its start is not what is measured.
            await self._run(AIM_RATE, 1.0)
            rounds, seconds = (ROUNDS, FULL_SECONDS) if scale.is_full else (1, SHORT_SECONDS)
            return [figure for rate in RATES for figure in await self._measure(rate, rounds, seconds)]

    async def _measure(self, rate: int, rounds: int, seconds: float) -> list[Figure]:
        lags, outside = [], []
        cpu, started = self._org.cpu_seconds(), time.monotonic()
        for number in range(rounds):
            tell(f"lag: {rate} changes a second for {seconds:.0f} s, round {number + 1} of {rounds}")
            books, seen = await self._run(rate, seconds)
            lags.append(books)
            outside.append(seen)
        used = (self._org.cpu_seconds() - cpu) / (time.monotonic() - started)
        about = f"{len(lags[0]):,} users a round; the simulated org used {used:.2f} of a core"
        figures = [
            Figure(
                f"sustained/lag/{rate}/p{percent}",
                f"event to row at {rate} changes a second, {title}",
                "ms",
                [rank(each, percent) for each in lags],
                AIM if (rate, percent) == (AIM_RATE, 99) else None,
                about,
            )
            for percent, title in ((50, "median"), (99, "99th percentile"))
        ]
        if rate == AIM_RATE:
            name, title = f"sustained/lag/{rate}/outside/p99", "the same from outside, from the call that makes a user"
            about = f"{len(outside[0])} users made; with the call itself, which takes {LATENCY_MS} ms"
            figures.append(Figure(name, title, "ms", [rank(each, 99) for each in outside], about=about))
        return figures

    async def _run(self, rate: int, seconds: float) -> tuple[list[float], list[float]]:
        """Milliseconds, in order: from `published` to done by the service's own books, and what the probes saw."""
        began_ms = time.time() * 1000
        job = {"changes": int(rate * seconds), "per_second": rate, "mix": {"update": 1}}
        (await self._http.post(TRAFFIC, json=job)).raise_for_status()
        seen = await asyncio.gather(*(self._probe(turn) for turn in range(int(PROBES_A_SECOND * seconds))))
        await self._settled()
        await asyncio.to_thread(drain, self._data, SETTLE_SECONDS)
        query = "SELECT lag_ms FROM link WHERE lag_ms IS NOT NULL AND done_ms >= ? ORDER BY lag_ms"
        lags = [float(lag) for (lag,) in ask(self._data / "state.db", query, (began_ms,))]
        if not lags:
            raise BenchError("no event became a row")
        return lags, sorted(seen)

    async def _probe(self, turn: int) -> float:
        """Make a user, in its turn, and watch for the row."""
        self._number += 1
        name = f"probe{self._number}@example.com"
        await asyncio.sleep(turn / PROBES_A_SECOND)
        profile = {"login": name, "email": name, "firstName": "Pro", "lastName": "Be"}
        started = time.perf_counter()
        made = await self._http.post("/api/v1/users", params={"activate": "false"}, json={"profile": profile})
        user_id = made.raise_for_status().json()["id"]
        while time.perf_counter() - started < SETTLE_SECONDS:
            if self._has_row(user_id):
                return (time.perf_counter() - started) * 1000
            await asyncio.sleep(POLL_SECONDS)
        raise BenchError(f"{name} has no row after {SETTLE_SECONDS:.0f} s")

    def _has_row(self, user_id: str) -> bool:
        try:
            return bool(ask(self._data / "users.db", "SELECT 1 FROM users WHERE id = ?", (user_id,)))
        except sqlite3.OperationalError:
            return False  # file and table come with the first user

    async def _settled(self) -> None:
        """Wait until the org has nothing left to tell."""
        end = time.perf_counter() + SETTLE_SECONDS
        while time.perf_counter() < end:
            found: dict[str, Any] = (await self._http.get(TRAFFIC)).json()
            if not found["running"] and not found["deliveries"]["pending"]:
                return
            await asyncio.sleep(0.1)
        raise BenchError("the org's traffic does not end")
