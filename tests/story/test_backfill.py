"""The first load of a large org, and what the log alone brings back: no user lost, and no more read than must be."""

from __future__ import annotations

import asyncio
import json
import math
import os
import sqlite3
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from harness import Org, Service, free_port, running, wait_until
from test_crashes import expected_rows, rows_of

#: Taken out of the environment, where the service would refuse a key that it does not know.
USERS = int(os.environ.pop("ROSTERHOOK_BACKFILL_USERS", "20000"))
PAGE = 200
#: How much of the org is listed when the worker is killed.
KILLS = (0.05, 0.25, 0.5, 0.75, 0.9)
MEMORY_MB = 200
#: For a small machine that does other things too.
LOAD_SECONDS = 60 + USERS / 200
BY_THE_LOG_SECONDS = 20
#: No nightly reconcile may come in between.
NOT_BY_NIGHT = '[reconcile]\nat = ""\n'
FOLLOWER = f"{NOT_BY_NIGHT}[follower]\npoll_seconds = 2\n"

pytestmark = [pytest.mark.story, pytest.mark.timeout(600 + USERS // 100)]


def test_first_load_survives_five_kills(tmp_path: Path) -> None:
    """However often the worker is killed, each page is read once, a page more a kill at most; memory stays bounded."""
    org = Org("--users", str(USERS), "--rate-multiplier", "1000")
    service = Service(tmp_path, org, f'url = "sqlite:///{tmp_path / "users.db"}"', more=NOT_BY_NIGHT)
    org.client.timeout = 120
    try:
        began = time.monotonic()
        with running(service):
            peaks = [_killed_at(service, share) for share in KILLS]
            wait_until(lambda: _loaded(service), LOAD_SECONDS, lambda: _told(service))
            peaks.append(peak_mb(service))
            took = time.monotonic() - began
            sweep = service.status()["sweeps"]["last"]
        calls = org.ask("calls")["by_bucket"]["users"]
        # For who asks with `-rP`, or after a failure.
        sys.stdout.write(f"{USERS:,} users: {took:.1f} s, {calls} calls, peaks of {[round(mb) for mb in peaks]} MB\n")
        assert (sweep["id"], sweep["kind"], sweep["phase"], sweep["listed"]) == (1, "backfill", "done", USERS)
        assert calls <= 1.02 * math.ceil(USERS / PAGE) + len(KILLS)
        assert max(peaks) < MEMORY_MB
        assert differences(org, service) == []
    finally:
        org.close()


def test_log_alone_brings_everything(tmp_path: Path) -> None:
    """With every hook dropped, the target equals the org within a poll and the time to read."""
    with hooked_up(tmp_path) as (org, service), running(service):
        wait_until(org.hears, 60, lambda: service.output[-2000:])
        wait_until(lambda: _loaded(service), 60, lambda: _told(service))
        org.ask("faults", drop=1.0)
        org.ask("traffic", changes=200, seed=5)
        wait_until(org.quiet, 60, lambda: str(org.ask("traffic")))
        wait_until(lambda: differences(org, service) == [], BY_THE_LOG_SECONDS, lambda: _told(service))
        assert service.status()["deliveries"]["received"] == 0
        assert org.ask("traffic")["events"] >= 200


def test_downtime_needs_no_full_read(tmp_path: Path) -> None:
    """What happens while the service is down, and no hook reaches, comes back by the log; nobody is listed again."""
    with hooked_up(tmp_path) as (org, service):
        with running(service):
            wait_until(org.hears, 60, lambda: service.output[-2000:])
            wait_until(lambda: _loaded(service), 60, lambda: _told(service))
        org.ask("traffic", changes=300, seed=6)
        wait_until(org.quiet, 60, lambda: str(org.ask("traffic")))
        assert differences(org, service) != []
        with running(service):
            wait_until(lambda: differences(org, service) == [], 60, lambda: _told(service))
            status = service.status()
        assert status["deliveries"]["received"] == 0
        assert status["sweeps"]["current"] is None
        assert _sweeps(service) == [(1, "backfill", "done")]


@contextmanager
def hooked_up(folder: Path) -> Iterator[tuple[Org, Service]]:
    """An org of 300 that calls a service as Okta does: what is not accepted at the second try is lost."""
    port = free_port()
    hook = ("--hook-url", f"http://127.0.0.1:{port}/okta/events")
    org = Org("--users", "300", "--rate-multiplier", "30", *hook)
    target = f'url = "sqlite:///{folder / "users.db"}"\nhold_percent = 100'
    try:
        yield org, Service(folder, org, target, port=port, more=FOLLOWER)
    finally:
        org.close()


def differences(org: Org, service: Service) -> list[str]:
    """Users whose row is not what the org demands; who is deleted there may have a marked row, or none."""
    truth = org.ask("truth")
    expected = expected_rows(truth)
    rows = asyncio.run(rows_of(service))
    alive = {key: row for key, row in rows.items() if row["status"] != "DELETED" or key not in truth["deleted"]}
    return sorted(key for key in alive.keys() | expected.keys() if alive.get(key) != expected.get(key))


def peak_mb(service: Service) -> float:
    """The most memory that the worker has had so far, in megabytes."""
    lines = Path(f"/proc/{service.pid_of('worker')}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


def _killed_at(service: Service, share: float) -> float:
    """Kill the worker once so much of the org is listed, and wait for the next; return the peak of its memory."""
    wait_until(lambda: _listed(service) >= share * USERS, LOAD_SECONDS, lambda: _told(service))
    assert not _loaded(service), "the load was over before the worker could be killed"
    worker, peak = service.pid_of("worker"), peak_mb(service)
    service.kill("worker")
    wait_until(lambda: service.pid_of("worker") != worker, 30, "a new worker")
    return peak


def _listed(service: Service) -> int:
    current = service.status()["sweeps"]["current"]
    return int(current["listed"]) if current else 0


def _loaded(service: Service) -> bool:
    """The first load is over, and everybody is in the target."""
    status = service.status()
    return bool(status["sweeps"]["last"]) and service.settled()


def _sweeps(service: Service) -> list[tuple[Any, ...]]:
    with sqlite3.connect(service.folder / "data" / "state.db") as state:
        return state.execute("SELECT id, kind, phase FROM sweep ORDER BY id").fetchall()


def _told(service: Service) -> str:
    return f"{json.dumps(service.status())} {service.output[-2000:]}"
