"""How long it takes from an event in Okta to the row in the target, by the service itself and seen from outside."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx2
import uvloop

from bench.bodies import PATH, SECRET
from bench.findings import Finding
from bench.processes import BenchError, configure, output_of, part, process
from bench.progress import tell
from bench.ranks import rank, spread

AIM_SECONDS = 1.0
USERS = 500
LATENCY_MS = 50
BATCH_SECONDS = 0.1
CHANGES_A_SECOND = 20
PROBES_A_SECOND = 2
POLL_SECONDS = 0.005
SETTLE_SECONDS = 30.0


def lag(folder: Path, *, seconds: float) -> Iterator[Finding]:
    """Steady traffic in a simulated org; a hook, the web process, the worker, a table in SQLite."""
    command = ["rosterhook.simulator", "--users", str(USERS), "--latency-ms", str(LATENCY_MS)]
    command += ["--batch-seconds", str(BATCH_SECONDS), "--principal-share", "1"]
    tell(f"lag: {CHANGES_A_SECOND} changes a second for {seconds:.0f} s")
    with process(command, folder, r"listening on (\S+)") as org:
        config = configure(folder, org_url=org.url)
        with part("web", config) as web, part("worker", config):
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                seen = runner.run(_traffic(folder, org.url, web.url, seconds))
            status = json.loads(output_of(["rosterhook", "status", "--json", "--config", str(config)], folder, 60))
    told = status["lag_seconds"]
    if told["p99"] is None:
        raise BenchError("no event became a row")
    yield Finding(
        f"lag: event published -> row, by `status` ({status['events']['stored']} events)",
        f"p50 {told['p50']:.3f} s, p99 {told['p99']:.3f} s",
        f"p99 < {AIM_SECONDS:.0f} s",
        told["p99"] < AIM_SECONDS,
    )
    yield Finding(
        f"lag: call that makes a user ({LATENCY_MS} ms) -> row, from outside",
        spread(seen, "s"),
        f"p99 < {AIM_SECONDS:.0f} s",
        rank(seen, 99) < AIM_SECONDS,
    )


async def _traffic(folder: Path, org_url: str, web_url: str, seconds: float) -> list[float]:
    headers = {"Authorization": "SSWS sim-token"}
    async with httpx2.AsyncClient(base_url=org_url, headers=headers, trust_env=False, timeout=30) as org:
        (await org.post("/_sim/hook", json={"url": web_url + PATH, "secret": SECRET})).raise_for_status()
        job = {"changes": int(CHANGES_A_SECOND * seconds), "per_second": CHANGES_A_SECOND, "mix": {}}
        (await org.post("/_sim/traffic", json=job)).raise_for_status()
        target, probes = folder / "data" / "users.db", int(PROBES_A_SECOND * seconds)
        seen = await asyncio.gather(*(_probe(org, target, number) for number in range(probes)))
        await _settled(org)
    return sorted(seen)


async def _probe(org: httpx2.AsyncClient, target: Path, number: int) -> float:
    """Make a user, in its turn, and watch for the row."""
    await asyncio.sleep(number / PROBES_A_SECOND)
    name = f"probe{number}@example.com"
    profile = {"login": name, "email": name, "firstName": "Pro", "lastName": "Be"}
    started = time.perf_counter()
    made = (await org.post("/api/v1/users", params={"activate": "true"}, json={"profile": profile})).raise_for_status()
    while time.perf_counter() - started < SETTLE_SECONDS:
        if _has_row(target, made.json()["id"]):
            return time.perf_counter() - started
        await asyncio.sleep(POLL_SECONDS)
    raise BenchError(f"{name} has no row after {SETTLE_SECONDS:.0f} s")


def _has_row(target: Path, user_id: str) -> bool:
    try:
        with closing(sqlite3.connect(f"file:{target}?mode=ro", uri=True)) as db:
            return db.execute("SELECT 1 FROM users WHERE id = ?", (user_id,)).fetchone() is not None
    except sqlite3.OperationalError:
        return False  # file and table come with the first user


async def _settled(org: httpx2.AsyncClient) -> None:
    """Wait until the org has nothing left to tell."""
    end = time.perf_counter() + SETTLE_SECONDS
    while time.perf_counter() < end:
        found: dict[str, Any] = (await org.get("/_sim/traffic")).json()
        if not found["running"] and not found["deliveries"]["pending"]:
            return
        await asyncio.sleep(0.1)
    raise BenchError("the org's traffic does not end")
