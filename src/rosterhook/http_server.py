"""uvicorn, as the web process runs it, with bounds on what strangers can make it hold."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from rosterhook.listener import BACKLOG

DRAIN_SECONDS = 5
#: Okta sends a few hundred bytes of headers. Neither uvicorn nor its parser has a bound of its own.
MAX_HEAD_BYTES = 64 * 1024
HEAD_SECONDS = 10.0
#: More connections are answered 503 at once, which Okta repeats.
MAX_CONNECTIONS = 1000


def server_for(app: ASGIApp) -> uvicorn.Server:
    """A server that leaves the signals, and the listening socket, to the process."""
    return _Server(settings(app, http=BoundedProtocol, limit_concurrency=MAX_CONNECTIONS))


def settings(app: ASGIApp, **others: Any) -> uvicorn.Config:
    """uvicorn's settings; the benchmark's bare server shares them."""
    return uvicorn.Config(
        app,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        **others,
    )


class BoundedProtocol(HttpToolsProtocol):
    """Hangs up on who sends too much, or waits too long, before the head of a request is complete."""

    _in_head = True
    _head_bytes = 0
    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first head."""
        super().connection_made(transport)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._unwatch()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take data, unless the head has become too long."""
        if self._in_head and self._head_bytes > MAX_HEAD_BYTES:
            self.transport.abort()
            return
        self._head_bytes += len(data)
        super().data_received(data)
        if not self._in_head:
            self._unwatch()
        elif self._timer is None:
            self._watch()

    def on_message_begin(self) -> None:
        """A new request's head begins."""
        self._in_head, self._head_bytes = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is complete."""
        self._in_head = False
        super().on_headers_complete()

    def _watch(self) -> None:
        self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _unwatch(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
