"""The generator of load, a program of its own: keep-alive connections, each with one request on its way.

`python -m bench.load PORT --connections 64 --seconds 5` prints what it met as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import time
from array import array
from collections import Counter, deque
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import cast

import uvloop

from bench.bodies import PATH, Requests
from bench.ranks import rank

#: Answers that are still out when the time is over are waited for so long.
DRAIN_SECONDS = 30.0
#: How often a paced load looks for what is due.
TICK_SECONDS = 0.001

_CONTENT_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Met:
    """What the generator met. Times are in milliseconds; `client_cpu` is the part of one core that it used itself."""

    accepted: int
    per_second: float
    p50: float
    p99: float
    worst: float
    client_cpu: float
    others: dict[str, int]


class Load:
    """The work of all connections together: until the time is over, or so many requests are answered.

    Attributes:
        waits: for each answer 200, in seconds; `answered`: the number of its request.
        others: how often each other answer came, by its status.
    """

    def __init__(self, requests: Requests, first: int, count: int | None, seconds: float | None) -> None:
        self._requests = requests
        self._next = first
        self._last = first + count if count is not None else None
        self._end = time.perf_counter() + seconds if seconds is not None else None
        self.waits = array("d")
        self.answered = array("Q")
        self.others: Counter[str] = Counter()

    def begin(self) -> None:
        """All connections are open."""

    def is_over(self) -> bool:
        """Tell whether it is enough."""
        if self._last is not None and self._next >= self._last:
            return True
        return self._end is not None and time.perf_counter() >= self._end

    def has_room(self, connection: Connection) -> None:
        """A connection can take a request: it gets the next one at once."""
        if self.is_over():
            connection.close()
        else:
            self._give(connection, time.perf_counter())

    def _give(self, connection: Connection, since: float) -> None:
        self._next += 1
        connection.send(self._requests.make(self._next), self._next, since)


class PacedLoad(Load):
    """So many requests a second, whatever the server does.

    One that is due while no connection is free waits for one, and that counts as the server's time. What does not
    count is a generator that the machine itself holds up.
    """

    def __init__(self, requests: Requests, first: int, seconds: float, per_second: float) -> None:
        super().__init__(requests, first, None, seconds)
        self._per_second = per_second
        self._due: deque[float] = deque()
        self._free: list[Connection] = []
        self._told = 0

    def begin(self) -> None:
        """From here on, requests become due."""
        self._started = time.perf_counter()
        self._tick()

    def has_room(self, connection: Connection) -> None:
        """A connection can take a request: when one is due."""
        self._free.append(connection)
        self._share()
        if self.is_over():
            self._close()

    def _tick(self) -> None:
        now = time.perf_counter()
        due = int((now - self._started) * self._per_second)
        self._due.extend([now] * (due - self._told))
        self._told = due
        self._share()
        if self.is_over():
            self._close()
        else:
            asyncio.get_running_loop().call_later(TICK_SECONDS, self._tick)

    def _share(self) -> None:
        while self._due and self._free:
            self._give(self._free.pop(), self._due.popleft())

    def _close(self) -> None:
        while self._free:
            self._free.pop().close()


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._number = 0
        self._since = 0.0
        self._got = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._load.has_room(self)

    def send(self, request: bytes, number: int, since: float) -> None:
        """Send a request whose answer is waited for since then."""
        self._number, self._since = number, since
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Every server here tells the length of its answer."""
        self._got += data
        if not _is_whole(self._got):
            return
        if self._got.startswith(b"HTTP/1.1 200 "):
            self._load.waits.append(time.perf_counter() - self._since)
            self._load.answered.append(self._number)
        else:
            self._load.others[self._got[9:12].decode("latin-1")] += 1
        self._got = b""
        self._load.has_room(self)

    def connection_lost(self, error: Exception | None) -> None:
        """The end, whoever wanted it."""
        if not self.done.done():
            self._load.others["connection lost"] += 1
            self.done.set_result(None)

    def close(self) -> None:
        """It is enough."""
        if not self.done.done():
            self.done.set_result(None)
            self._transport.close()


def _is_whole(got: bytes) -> bool:
    head = got.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = _CONTENT_LENGTH.search(got, 0, head)
    return len(got) >= head + 4 + (int(length[1]) if length else 0)


async def run(port: int, connections: int, load: Load, limit_seconds: float) -> Met:
    """Put the load on a server on loopback."""
    started, cpu = time.perf_counter(), time.process_time()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit_seconds):
        opened = [await loop.create_connection(lambda: Connection(load), "127.0.0.1", port) for _ in range(connections)]
        load.begin()
        await asyncio.gather(*(connection.done for _, connection in opened))
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    waits = sorted(wait * 1000 for wait in load.waits)
    return Met(
        accepted=len(waits),
        per_second=len(waits) / took,
        p50=rank(waits, 50),
        p99=rank(waits, 99),
        worst=rank(waits, 100),
        client_cpu=cpu / took,
        others=dict(load.others),
    )


def main() -> None:
    """Read the options, load, print."""
    options = _options()
    requests = Requests(options.users, events=options.events, path=options.path, about=options.about)
    if options.per_second is None:
        load = Load(requests, options.first, options.count, options.seconds)
    else:
        load = PacedLoad(requests, options.first, options.seconds, options.per_second)
    limit_seconds = options.limit_seconds or (options.seconds or 0.0) + DRAIN_SECONDS
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        met = runner.run(run(options.port, options.connections, load, limit_seconds))
    if options.answered is not None:
        with options.answered.open("wb") as file:
            load.answered.tofile(file)
    print(json.dumps(asdict(met)))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--events", type=int, default=1, help="in each request")
    parser.add_argument("--path", default=PATH)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--count", type=int)
    parser.add_argument("--per-second", type=float, help="no faster than this; needs --seconds")
    parser.add_argument("--first", type=int, default=0, help="number of the first request")
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--about", help="id of a user whom all events are about, instead")
    parser.add_argument("--limit-seconds", type=float, default=None)
    parser.add_argument("--answered", type=Path, help="a file for the numbers of all requests that were answered 200")
    options = parser.parse_args()
    if options.per_second is not None and options.seconds is None:
        parser.error("--per-second needs --seconds")
    return options


if __name__ == "__main__":
    main()
