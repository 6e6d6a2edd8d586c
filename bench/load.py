"""The generator of load, a program of its own: keep-alive connections, each with one request on its way.

`python -m bench.load PORT --connections 64 --seconds 5` prints what it met as one line of JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from array import array
from collections import Counter
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

from bench.bodies import Requests
from bench.ranks import rank

#: Answers that are still out when the time is over are waited for so long.
DRAIN_SECONDS = 30.0


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
    """The work of all connections together: until the time is over, or so many requests are answered."""

    def __init__(self, requests: Requests, first: int, count: int | None, seconds: float | None) -> None:
        self._requests = requests
        self._next = first
        self._last = first + count if count is not None else None
        self._end = time.perf_counter() + seconds if seconds is not None else None
        self.waits = array("d")
        self.others: Counter[str] = Counter()

    def next_request(self) -> bytes | None:
        """What to send now; None when it is enough."""
        if self._last is not None and self._next >= self._last:
            return None
        if self._end is not None and time.perf_counter() >= self._end:
            return None
        self._next += 1
        return self._requests.make(self._next)


class Connection(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._sent = 0.0
        self._got = b""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """The receiver's 200 has no body: it is whole at the empty line."""
        self._got += data
        if not self._got.endswith(b"\r\n\r\n"):
            return
        if self._got.startswith(b"HTTP/1.1 200 "):
            self._load.waits.append(time.perf_counter() - self._sent)
        else:
            self._load.others[self._got[9:12].decode("latin-1")] += 1
        self._got = b""
        self._send()

    def connection_lost(self, error: Exception | None) -> None:
        """The end, whoever wanted it."""
        if self._got:
            self._load.others[self._got[9:12].decode("latin-1")] += 1
        elif not self.done.done():
            self._load.others["connection lost"] += 1
        if not self.done.done():
            self.done.set_result(None)

    def _send(self) -> None:
        request = self._load.next_request()
        if request is None:
            self.done.set_result(None)
            self._transport.close()
            return
        self._sent = time.perf_counter()
        self._transport.write(request)


async def run(port: int, connections: int, load: Load, limit_seconds: float) -> Met:
    """Put the load on a server on loopback."""
    started, cpu = time.perf_counter(), time.process_time()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(limit_seconds):
        opened = [await loop.create_connection(lambda: Connection(load), "127.0.0.1", port) for _ in range(connections)]
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
    parser = argparse.ArgumentParser(prog="python -m bench.load")
    parser.add_argument("port", type=int)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--count", type=int)
    parser.add_argument("--first", type=int, default=0, help="number of the first request")
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--limit-seconds", type=float, default=None)
    options = parser.parse_args()
    load = Load(Requests(options.users), options.first, options.count, options.seconds)
    limit_seconds = options.limit_seconds or (options.seconds or 0.0) + DRAIN_SECONDS
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        met = runner.run(run(options.port, options.connections, load, limit_seconds))
    print(json.dumps(asdict(met)))


if __name__ == "__main__":
    main()
