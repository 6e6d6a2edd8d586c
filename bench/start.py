"""How long it takes until a command has told its help, and until the service answers."""

from __future__ import annotations

import http.client
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from bench.figures import Aim, Figure, ratio
from bench.processes import BenchError, Started, configure, output_of, process
from bench.progress import tell
from bench.scale import Scale

#: A start is short beside a run under load: there can be more of them.
RUNS_A_ROUND = 4
LIMIT_SECONDS = 30.0
HELP_AIM = Aim("<=", 1.3)
LIVEZ_AIM = Aim("<=", 1.0)
OURS = ("rosterhook", "--help")
BARE = ("bench.peers.bare_cli", "--help")


def measure(folder: Path, scale: Scale) -> Iterator[Figure]:
    """Both helps in turn, then the service, each time in a fresh folder."""
    folder.mkdir(parents=True, exist_ok=True)
    runs = scale.rounds * RUNS_A_ROUND
    tell(f"start: --help, {runs} runs")
    for command in (OURS, BARE):
        _help_ms(command, folder)  # writes what Python compiles, and fills the system's cache
    pairs = [(_help_ms(OURS, folder), _help_ms(BARE, folder)) for _ in range(runs)]
    ours, bare = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    yield Figure("start/help/rosterhook", "rosterhook --help", "ms", ours)
    yield Figure("start/help/bare", "--help of a command line that does nothing", "ms", bare)
    yield ratio("start/help/ratio", "rosterhook --help beside the bare one", ours, bare, HELP_AIM)
    tell(f"start: serve, {scale.rounds} runs")
    seconds = [_livez_seconds(folder / "service") for _ in range(scale.rounds)]
    yield Figure("start/serve/livez", "rosterhook serve until GET /livez is answered", "s", seconds, LIVEZ_AIM)


def _help_ms(command: tuple[str, ...], folder: Path) -> float:
    """From the start of a process to its end."""
    began = time.perf_counter()
    output_of(command, folder, LIMIT_SECONDS)
    return (time.perf_counter() - began) * 1000


def _livez_seconds(folder: Path) -> float:
    """From the start of the supervisor over an empty folder to the first answer.

    Whoever calls before the web process has come waits in the queue of the socket, which the supervisor has opened
    before it tells its address.
    """
    command = ["rosterhook", "serve", "--config", str(configure(folder))]
    began = time.perf_counter()
    with process(command, folder, r"Open (http://[^/\s]+)/") as serving:
        _call(serving)
        seconds = time.perf_counter() - began
    shutil.rmtree(folder)
    return seconds


def _call(serving: Started) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", serving.port, timeout=LIMIT_SECONDS)
    try:
        connection.request("GET", "/livez")
        status = connection.getresponse().status
    except OSError as error:
        raise BenchError(f"GET /livez was not answered: {error}") from None
    finally:
        connection.close()
    if status != 200:
        raise BenchError(f"GET /livez was answered {status}")
