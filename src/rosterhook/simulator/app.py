"""The simulator as a web app: to be called in process, to be served, or to be run beside a test."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from rosterhook.simulator.control import Control
from rosterhook.simulator.gate import Gate
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.world import Simulator

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.time,
    hook_transport: httpx2.AsyncBaseTransport | None = None,
) -> Starlette:
    """The app; its lifespan delivers events. The org is at `app.state.simulator`.

    Args:
        clock: the time in seconds since 1970, of users, events, the index and the rate limits.
        hook_transport: how the hook is reached; for a receiver in the same process.
    """
    return _app(Simulator(settings or Settings(), clock=clock, hook_transport=hook_transport))


@contextlib.asynccontextmanager
async def in_process(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.time,
    hook_transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[tuple[Simulator, httpx2.AsyncClient]]:
    """The simulator without a socket, and a client that has its token. Arguments as of `create_app`."""
    app = create_app(settings, clock=clock, hook_transport=hook_transport)
    simulator: Simulator = app.state.simulator
    simulator.url = f"http://{simulator.settings.org_host}"
    headers = {"Authorization": f"SSWS {simulator.settings.token}"}
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=simulator.url, headers=headers)
    async with simulator.alive(), client:
        yield simulator, client


@contextlib.asynccontextmanager
async def running(settings: Settings | None = None) -> AsyncIterator[Simulator]:
    """Serve in this event loop, on a free port unless the settings name one."""
    app = create_app(settings)
    simulator: Simulator = app.state.simulator
    async with _served(app):
        yield simulator


async def serve(settings: Settings, *, tell: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `tell` hears the address once callers can come."""
    app = create_app(settings)
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        async with _served(app):
            if tell is not None:
                tell(app.state.simulator.url)
            await stopped.wait()
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


class _Server(uvicorn.Server):
    """uvicorn, which leaves the signals to whoever started it and says when it is ready."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextlib.asynccontextmanager
async def _served(app: Starlette) -> AsyncIterator[None]:
    simulator: Simulator = app.state.simulator
    listener = socket.create_server((simulator.settings.host, simulator.settings.port), backlog=512)
    simulator.url = "http://{}:{}".format(*listener.getsockname()[:2])
    # The API sets Date itself, as Okta's clock; a second one by the server would contradict it.
    config = uvicorn.Config(
        app, log_config=None, access_log=False, date_header=False, server_header=False, ws="none", lifespan="on",
        timeout_graceful_shutdown=2,
    )  # fmt: skip
    server = _Server(config)
    with listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait([task, ready], return_when=asyncio.FIRST_COMPLETED)
        try:
            if task.done():
                raise RuntimeError("the simulator could not start")
            yield
        finally:
            ready.cancel()
            server.should_exit = True
            await task


def _app(simulator: Simulator) -> Starlette:
    gate, control = Gate(simulator), Control(simulator)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with simulator.alive():
            yield

    routes = [Route("/api/v1/{path:path}", gate.answer, methods=_METHODS), *control.routes()]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.simulator = simulator
    return app
