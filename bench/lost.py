"""How many deliveries are gone that were answered 200, when the server is killed in the middle of load."""

from __future__ import annotations

import os
import shutil
import signal
import time
from array import array
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.bodies import user_id
from bench.drive import CONNECTIONS, generate
from bench.figures import Aim, Figure
from bench.load import Met
from bench.processes import BenchError, Started
from bench.progress import tell
from bench.servers import ROSTERHOOK, Server

AIM = Aim("<=", 0.0)
#: The generator would load for so long: it ends when the server does.
LOAD_SECONDS = 60.0
#: What a server has used of the processor when it is sure to be under load.
BUSY_CPU_SECONDS = 0.1
POLL_SECONDS = 0.01
#: So many that each request is about a user of its own: what is kept is known by its user.
USERS = 10**15


def measure(folder: Path, servers: Sequence[Server], runs: int, seconds: float) -> Iterator[Figure]:
    """Kill each server, again and again.

    SIGKILL ends a process, and not the machine: what a server has given to the kernel is safe here, fsync or not.

    Args:
        seconds: from the first requests to the kill.
    """
    for server in servers:
        tell(f"accept: {server.name} is killed {runs} times")
        found = [lost(server, folder / "lost", seconds) for _ in range(runs)]
        yield Figure(
            f"accept/lost/{server.name}",
            f"{server.title}: answered 200 and gone after SIGKILL",
            "",
            [gone for gone, _ in found],
            AIM if server is ROSTERHOOK else None,
            f"of {sum(answered for _, answered in found):,} that were answered, in {runs} runs",
        )


def lost(server: Server, folder: Path, seconds: float) -> tuple[int, int]:
    """How many deliveries are gone that were answered, and how many were answered.

    Raises:
        BenchError: the server was not killed in the middle of load.
    """
    folder.mkdir(parents=True, exist_ok=True)
    answered = folder / "answered"
    options = {"connections": CONNECTIONS, "path": server.path, "seconds": LOAD_SECONDS, "users": USERS}
    with server.start(folder, {}) as started, ThreadPoolExecutor(1) as pool:
        loading = pool.submit(generate, started, folder, {**options, "answered": answered}, LOAD_SECONDS)
        try:
            _wait_until_busy(started)
            time.sleep(seconds)
        finally:
            os.kill(started.pid, signal.SIGKILL)
        _assert_killed_under_load(loading.result())
    numbers = array("Q")
    numbers.frombytes(answered.read_bytes())
    gone = {user_id(number) for number in numbers} - server.kept_users(folder)
    shutil.rmtree(folder)
    return len(gone), len(numbers)


def _wait_until_busy(started: Started) -> None:
    at_first, end = started.cpu_seconds(), time.monotonic() + LOAD_SECONDS
    while started.cpu_seconds() < at_first + BUSY_CPU_SECONDS:
        if time.monotonic() >= end:
            raise BenchError("the load did not reach the server")
        time.sleep(POLL_SECONDS)


def _assert_killed_under_load(met: Met) -> None:
    if met.others != {"connection lost": CONNECTIONS} or not met.accepted:
        raise BenchError(f"the server was not killed in the middle of load: {met.accepted} accepted, {met.others}")
