"""How long an answer takes while the worker beside does its first load of a large org."""

from __future__ import annotations

import shutil
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

import httpx2

from bench.drive import load
from bench.figures import Aim, Figure, ratio
from bench.load import Met
from bench.processes import BenchError, Started, configure, part, program
from bench.progress import tell
from bench.rounds import WARM_SECONDS
from bench.scale import Scale
from bench.servers import READY

AIM = Aim("<=", 2.0)
#: Paced, and the same on both sides. Each connection asking as fast as it is answered takes a core for the generator
#: and one for the server: on two cores, the worker would then take its part from both, and what is measured would be
#: how the kernel shares them. Okta does not send so much by far: a thousand a second is an import into a large org.
PER_SECOND = 1000
#: The first load of fewer could be over while deliveries are still counted.
LEAST_USERS = 50_000
FEW_ROUNDS = 3
BEGIN_SECONDS = 60.0
POLL_SECONDS = 0.01
ONLY_HOOKS = "\n[reconcile]\nfirst_load = false\n"


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """A worker that loads, and one that does not, in turn; the org is a process of its own.

    Okta has machines of its own: here, the org takes what the others leave.
    """
    users, rounds = max(scale.users, LEAST_USERS), scale.rounds if scale.is_full else FEW_ROUNDS
    simulator = ["rosterhook.simulator", "--users", str(users), "--rate-multiplier", "1000"]
    command = ["nice", "-n", "19", sys.executable, "-m", *simulator]
    idle: list[Met] = []
    loading: list[tuple[Met, int]] = []
    tell(f"accept: an org of {users:,} users")
    with program(command, folder, READY) as org:
        user = _anybody(org)
        for number in range(rounds):
            tell(f"accept: beside a worker that loads: round {number + 1} of {rounds}")
            idle.append(beside_idle(folder / "run", org, user, scale.seconds))
            loading.append(beside_loading(folder / "run", org, user, scale.seconds))
    rate = f"{PER_SECOND:,} deliveries a second"
    about = f"{median(loaded for _, loaded in loading) / scale.seconds:,.0f} users a second were loaded meanwhile"
    p99 = [met.p99 for met, _ in loading], [met.p99 for met in idle]
    yield Figure("accept/loading/p99", f"rosterhook, {rate}, worker loads: 99th percentile", "ms", p99[0], None, about)
    yield Figure("accept/loading/idle/p99", f"rosterhook, {rate}, worker idle: 99th percentile", "ms", p99[1])
    yield ratio("accept/ratio/loading", "99th percentile, worker loads beside worker idle", *p99, AIM)


def beside_idle(folder: Path, org: Started, user: str, seconds: float) -> Met:
    """One run beside a worker that only takes in what comes.

    Args:
        user: whom all deliveries are about, so that there is little more to do than that.
    """
    config = configure(folder, org_url=org.url)
    config.write_text(config.read_text() + ONLY_HOOKS)
    with part("web", config) as web:
        _paced(web, folder, user, WARM_SECONDS)
        with part("worker", config):
            met = _paced(web, folder, user, seconds)
    shutil.rmtree(folder)
    return met


def beside_loading(folder: Path, org: Started, user: str, seconds: float) -> tuple[Met, int]:
    """One run beside a first load, and how many users came meanwhile.

    Raises:
        BenchError: the load did not begin, or was over too soon.
    """
    config = configure(folder, org_url=org.url)
    state = folder / "data" / "state.db"
    with part("web", config) as web:
        _paced(web, folder, user, WARM_SECONDS)
        with part("worker", config):
            before = _begun(state)
            met = _paced(web, folder, user, seconds)
            after, is_over = _listed(state)
    if is_over:
        raise BenchError(f"the first load was over before {seconds:g} s of deliveries were: it needs more users")
    shutil.rmtree(folder)
    return met, after - before


def _paced(web: Started, folder: Path, user: str, seconds: float) -> Met:
    return load(web, folder, seconds=seconds, per_second=PER_SECOND, about=user)


def _anybody(org: Started) -> str:
    """The id of a user of the org."""
    headers = {"Authorization": "SSWS sim-token"}
    found = httpx2.get(f"{org.url}/api/v1/users", params={"limit": 1}, headers=headers, trust_env=False)
    return str(found.raise_for_status().json()[0]["id"])


def _begun(state: Path) -> int:
    """Wait for the first users; return how many there are."""
    end = time.monotonic() + BEGIN_SECONDS
    while time.monotonic() < end:
        listed, _ = _listed(state)
        if listed:
            return listed
        time.sleep(POLL_SECONDS)
    raise BenchError("the worker did not begin its first load")


def _listed(state: Path) -> tuple[int, bool]:
    """How many users the first load has met, and whether it is over."""
    with closing(sqlite3.connect(f"file:{state}?mode=ro", uri=True)) as db:
        row = db.execute("SELECT listed, finished_ms IS NOT NULL FROM sweep WHERE kind = 'backfill'").fetchone()
    return (int(row[0]), bool(row[1])) if row else (0, False)
