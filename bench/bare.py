"""The bare ceiling, a program of its own: the web process's uvicorn, and an application that stores nothing."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import uvicorn

from rosterhook.http_server import settings
from rosterhook.listener import BACKLOG
from rosterhook.service import run_until_signal


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, say 200."""
    more = True
    while more:
        more = (await receive()).get("more_body", False)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


async def serve(config: uvicorn.Config, stop: asyncio.Event) -> None:
    """Serve on a free port of loopback, which is printed, until told to stop."""
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0), backlog=BACKLOG) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        stopping = asyncio.create_task(stop.wait())
        print(f"listening on http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        server.should_exit = True
        stopping.cancel()
        await serving


if __name__ == "__main__":
    run_until_signal(lambda stop: serve(settings(answer, http="httptools"), stop), watch_stdin=True)
