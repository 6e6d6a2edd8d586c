"""The way from the service to its target, with a switch in it: a lock on SQLite's file, or a proxy that goes away."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from rosterhook.errors import ConfigError
from rosterhook.targets.sql_engine import PRODUCTS

HOST = "127.0.0.1"
PORTS = {"postgresql": 5432, "mysql": 3306, "mariadb": 3306}
LOCK_SECONDS = 30.0
REOPEN_SECONDS = 30.0
CHUNK = 65536


@dataclass(frozen=True, slots=True)
class Way:
    """How the target is reached.

    Attributes:
        product: its kind of database, for the report.
        service_url: what the service is given.
        own_url: how the drill reads the same table, whatever is wrong.
        down: while it is open, the service cannot reach the target. SQLite's file cannot be read then, by nobody.
    """

    product: str
    service_url: str
    own_url: str
    down: Callable[[], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def way_to(url: str | None, folder: Path) -> AsyncIterator[Way]:
    """The way to a target.

    Args:
        url: as `targets.url`; None is a new file of SQLite.
        folder: where that file is made.

    Raises:
        ConfigError: no drill is possible with this address.
    """
    parsed = _parsed(url) if url is not None else URL.create("sqlite", database=str(folder / "users.db"))
    product = PRODUCTS.get(parsed.get_backend_name())
    if product is None:
        raise ConfigError("--target is no database of a kind that rosterhook writes.", hint="See docs/targets.md.")
    if product == "SQLite":
        file = _file_of(parsed)
        text = _text(parsed.set(database=str(file)))
        yield Way(product, text, text, partial(_locked, file))
        return
    if not parsed.host:
        raise ConfigError("--target must name a host: the drill cuts the connection to it.", hint=f"Write {HOST}.")
    proxy = Proxy(parsed.host, parsed.port or PORTS[parsed.get_backend_name()])
    await proxy.open()
    try:
        yield Way(product, _text(parsed.set(host=HOST, port=proxy.port)), _text(parsed), partial(_cut, proxy))
    finally:
        await proxy.aclose()


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise ConfigError("--target is no address of a database.", hint="Write it as targets.url.") from None


def _file_of(url: URL) -> Path:
    if not url.database or url.database.startswith((":memory:", "file:")):
        raise ConfigError("--target must be a file: other processes write it.", hint="Write sqlite:///file.")
    return Path(url.database).absolute()


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


@asynccontextmanager
async def _locked(file: Path) -> AsyncIterator[None]:
    connection = await asyncio.to_thread(_lock, file)
    try:
        yield
    finally:
        await asyncio.to_thread(connection.close)


def _lock(file: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(file, timeout=LOCK_SECONDS, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN EXCLUSIVE")
    return connection


@asynccontextmanager
async def _cut(proxy: Proxy) -> AsyncIterator[None]:
    proxy.close()
    try:
        yield
    finally:
        await proxy.open()


class Proxy:
    """Passes connections on to another address, until it is closed; then it can be opened again, on the same port.

    Args:
        host, port: where the server is.
    """

    def __init__(self, host: str, port: int) -> None:
        self.port = 0
        self._to = (host, port)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen. Somebody may have taken the port for a moment.

        Raises:
            OSError: the port is still taken.
        """
        end = asyncio.get_running_loop().time() + REOPEN_SECONDS
        while self._server is None:
            try:
                self._server = await asyncio.start_server(self._begin, HOST, self.port)
            except OSError:
                if asyncio.get_running_loop().time() > end:
                    raise
                await asyncio.sleep(0.1)
        self.port = self._server.sockets[0].getsockname()[1]

    def close(self) -> None:
        """Refuse who comes, and cut off who is there. Safe to repeat."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in self._writers:
            writer.transport.abort()

    async def aclose(self) -> None:
        """Close it for good, and see every connection go."""
        self.close()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    def _begin(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.create_task(self._carry(reader, writer))
        self._carrying.add(task)
        task.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            with contextlib.suppress(OSError):
                far_reader, far_writer = await asyncio.open_connection(*self._to)
                self._writers.add(far_writer)
                try:
                    pumps = [asyncio.create_task(_pump(*pair)) for pair in ((reader, far_writer), (far_reader, writer))]
                    await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
                    for pump in pumps:
                        pump.cancel()
                    await asyncio.gather(*pumps, return_exceptions=True)
                finally:
                    self._writers.discard(far_writer)
                    far_writer.transport.abort()
        finally:
            self._writers.discard(writer)
            writer.transport.abort()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
