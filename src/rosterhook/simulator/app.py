"""The simulator as a web app: to be called in process, to be served, or to be run beside a test."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator

import httpx2
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route

from rosterhook.simulator.auth.endpoint import PATH as TOKEN_PATH
from rosterhook.simulator.control import Control
from rosterhook.simulator.gate import Gate
from rosterhook.simulator.problems import SimulatorError
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.state import opened
from rosterhook.simulator.tls import Authority, names_of, published
from rosterhook.simulator.welcome import Welcome
from rosterhook.simulator.world import Simulator

#: Who listens on all addresses is called by many, so links there are as the caller calls.
#: On this machine it is called by a loopback address.
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def create_app(
    settings: Settings | None = None,
    *,
    clock: Callable[[], float] = time.time,
    hook_transport: httpx2.AsyncBaseTransport | None = None,
) -> Starlette:
    """The app; its lifespan delivers events. The org is at `app.state.simulator`. It is kept in no file.

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
    async with _world(settings or Settings(), clock, hook_transport) as simulator:
        simulator.url = f"http://{simulator.settings.org_host}"
        headers = {"Authorization": f"SSWS {simulator.settings.token}"}
        transport = httpx2.ASGITransport(_app(simulator))
        async with (
            simulator.alive(),
            httpx2.AsyncClient(transport=transport, base_url=simulator.url, headers=headers) as client,
        ):
            yield simulator, client


@contextlib.asynccontextmanager
async def running(
    settings: Settings | None = None, *, clock: Callable[[], float] = time.time
) -> AsyncIterator[Simulator]:
    """Serve in this event loop, on a free port unless the settings name one. The clock is as of `create_app`.

    Raises:
        SimulatorError: an address, a file or a name of the settings cannot be used.
    """
    settings = settings or Settings()
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(_listening(settings))
        authority = Authority() if settings.tls else None
        ca_file = stack.enter_context(published(authority, settings.ca_file)) if authority else None
        tls = authority.server_context(names_of(settings)) if authority else None
        # Last, so that a start that fails has not made an org that the next one would go on with.
        async with _world(settings, clock) as simulator:
            if authority:
                simulator.authority, simulator.ca_file = authority, ca_file
                simulator.hooks.courier.trust(authority.certificate)
            simulator.address = _address(listener, "https" if tls else "http")
            simulator.url = "" if listener.getsockname()[0] in _EVERYWHERE else simulator.address
            simulator.hooks.courier.org_url = simulator.url or simulator.hooks.courier.org_url
            async with _served(_app(simulator), listener, tls):
                yield simulator


async def serve(settings: Settings, *, tell: Callable[[Simulator], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT; `tell` is called once callers can come. Raises as `running`."""
    stopped, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    try:
        async with running(settings) as simulator:
            if tell is not None:
                tell(simulator)
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
async def _world(
    settings: Settings,
    clock: Callable[[], float] = time.time,
    hook_transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[Simulator]:
    """The org, which is kept in a file as long as this is open if the settings name one."""
    if settings.state_file is None:
        yield Simulator(settings, clock=clock, hook_transport=hook_transport)
        return
    with opened(settings.state_file) as memory:
        simulator = Simulator(memory.adapted(settings), clock=clock, hook_transport=hook_transport)
        memory.recall(simulator)
        async with memory.kept(simulator):
            yield simulator


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    try:
        family = socket.getaddrinfo(settings.host, settings.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((settings.host, settings.port), family=family, backlog=512)
    except OSError as error:
        # The socket module adds the address to the system's words, and this message names it already.
        why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
        raise SimulatorError(
            f"cannot listen on {settings.host}:{settings.port}: {why}. Name another --host or --port"
        ) from None
    with listener:
        yield listener


def _address(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    host = _EVERYWHERE.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


@contextlib.asynccontextmanager
async def _served(app: Starlette, listener: socket.socket, tls: ssl.SSLContext | None) -> AsyncIterator[None]:
    # The API sets Date itself, as Okta's clock; a second one by the server would contradict it.
    config = uvicorn.Config(
        app, log_config=None, access_log=False, date_header=False, server_header=False, ws="none", lifespan="on",
        timeout_graceful_shutdown=2, ssl_context_factory=(lambda *_: tls) if tls else None,
    )  # fmt: skip
    server = _Server(config)
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
    gate, control, welcome = Gate(simulator), Control(simulator), Welcome(simulator)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with simulator.alive():
            yield

    routes = [
        Route("/api/v1/{path:path}", gate.answer, methods=_METHODS),
        # Recorded: to a caller whose address of the org ends in a slash Okta answers all the same.
        Route("//api/v1/{path:path}", gate.answer, methods=_METHODS),
        Route(TOKEN_PATH, gate.token, methods=_METHODS),
        Route("/", welcome.page),
        *control.routes(),
    ]
    app = Starlette(routes=routes, lifespan=lifespan)
    app.state.simulator = simulator
    return app
