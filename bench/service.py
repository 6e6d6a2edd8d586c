"""The service that is measured: how it is configured, and how far it is by its own stores, read while it runs."""

from __future__ import annotations

import time
from pathlib import Path

from bench.databases import ask
from bench.processes import BenchError, configure

POLL_SECONDS = 0.1

#: Users are to come by the events alone, not by the full read of a first start.
_BY_EVENTS = """
[reconcile]
first_load = false
"""
_TARGET = """
[[targets]]
name = "users"
type = "sql"
url = "{url}"
"""

_LAST_DELIVERY = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'delivery'), 0)"
_TAKEN_IN = """SELECT coalesce((SELECT seq FROM "offset" WHERE reader = 'intake'), 0)"""
_LEFT = """
SELECT (SELECT count(*) FROM subject WHERE state <> 'parked') + (SELECT count(*) FROM link WHERE state = 'pending')
"""


def configure_by_events(folder: Path, org_url: str, target_url: str = "") -> Path:
    """A configuration as `bench.processes.configure` makes it, of a service that hears of users by events alone.

    Args:
        target_url: the database to write to; "" is the file `users.db` beside the stores.
    """
    config = configure(folder, org_url=org_url)
    with config.open("a") as file:
        file.write(_BY_EVENTS + (_TARGET.format(url=target_url) if target_url else ""))
    return config


def left(data: Path) -> int:
    """How much is still to be done of what was answered 200: deliveries, or else users to be read and to be written.

    Args:
        data: the service's `data_dir`.
    """
    last = int(ask(data / "inbox.db", _LAST_DELIVERY)[0][0])
    # In this order: what is taken in makes users due in the same transaction.
    waiting = last - int(ask(data / "state.db", _TAKEN_IN)[0][0])
    return waiting or int(ask(data / "state.db", _LEFT)[0][0])


def is_drained(data: Path, seconds: float) -> bool:
    """Wait until nothing is left, no longer than so many seconds; tell whether it came to that."""
    end = time.monotonic() + seconds
    while left(data):
        if time.monotonic() >= end:
            return False
        time.sleep(POLL_SECONDS)
    return True


def drain(data: Path, seconds: float) -> None:
    """As `is_drained`.

    Raises:
        BenchError: it did not.
    """
    if not is_drained(data, seconds):
        raise BenchError(f"{left(data):,} deliveries or users still wait after {seconds:.0f} s")


def seconds_to_rows(data: Path, after: int = 0) -> float:
    """From the arrival of the delivery behind number `after` to the last row that was written."""
    began = ask(data / "inbox.db", "SELECT min(received_ms) FROM delivery WHERE seq > ?", (after,))[0][0]
    ended = ask(data / "state.db", "SELECT max(done_ms) FROM link")[0][0]
    return (int(ended) - int(began)) / 1000
