"""The server's bounds on what strangers can make it hold."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rosterhook import http_server
from rosterhook.config import ServerConfig
from rosterhook.errors import ConfigError
from rosterhook.http_server import server_for
from rosterhook.listener import listening


async def answer(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@asynccontextmanager
async def connected() -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a running server."""
    with listening(ServerConfig(port=0)) as listener:
        server = server_for(answer)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        try:
            yield reader, writer
        finally:
            writer.close()
            server.should_exit = True
            await serving


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, head: bytes) -> bytes:
    writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n" + head + b"\r\n")
    return await reader.readuntil(b"ok")


async def test_ordinary_requests_are_answered_one_after_the_other() -> None:
    """Heads of ordinary size are taken, several on one connection."""
    async with connected() as (reader, writer):
        for _ in range(3):
            assert b"200" in await ask(reader, writer, b"X: " + b"y" * 1000 + b"\r\n")


async def test_endless_head_is_hung_up_on() -> None:
    """Who sends headers without end is cut off before they fill the memory."""
    async with connected() as (reader, writer):
        writer.write(b"GET / HTTP/1.1\r\n")
        with pytest.raises(ConnectionError):
            await pour(reader, writer, 50_000_000)


async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int) -> None:
    """Send headers until the other side hangs up, which raises ConnectionError, or so many bytes were taken."""
    for _ in range(most // 10_000):
        writer.write(b"X-Pad: " + b"y" * 10_000 + b"\r\n")
        await writer.drain()
        if reader.at_eof():
            raise ConnectionError


@pytest.mark.parametrize("head", [b"", b"GET / HTTP/1.1\r\nHost: x"])
async def test_head_that_does_not_come_is_not_waited_for(head: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection without a complete head is closed after a while."""
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.05)
    async with connected() as (reader, writer):
        writer.write(head)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)


async def test_second_head_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """After an answered request, an incomplete next head is closed as well."""
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.2)
    async with connected() as (reader, writer):
        await ask(reader, writer, b"")
        writer.write(b"GET / HTTP/1.1\r\nHos")
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)


def test_address_that_cannot_be_used_is_named_once() -> None:
    """A taken port, or a host that is not this machine's, is told with a cure."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError) as told, listening(ServerConfig(port=port)):
            pass
    assert told.value.message == f"Cannot listen on 127.0.0.1:{port}: Address already in use."
