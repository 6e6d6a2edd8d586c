"""The web process: the receiver in front, the API behind it, on uvicorn."""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import apsw
import structlog
import uvicorn
from starlette.types import ASGIApp

from rosterhook.admin import AdminGuard
from rosterhook.api import Api
from rosterhook.config import Config
from rosterhook.credentials import admin_token, require_secret
from rosterhook.data_dir import only_one
from rosterhook.hook_secrets import HookSecrets
from rosterhook.http_server import server_for
from rosterhook.inbox import SqliteInbox
from rosterhook.intake import handed_over
from rosterhook.late_target import LateTarget
from rosterhook.listener import address_of, inherited, listening
from rosterhook.loops import Loop
from rosterhook.model import ORG, Clock, now_ms
from rosterhook.notes import REFUSED, WEB, leave_note
from rosterhook.receiver import Receiver
from rosterhook.store.database import Database
from rosterhook.store.queries import run
from rosterhook.stores import opened_stores

PRUNE_SECONDS = 600.0
WATCH_SECONDS = 2.0
DAY_MS = 24 * 3600 * 1000

log = structlog.get_logger("rosterhook.web")


class Web:
    """The application over its stores.

    Attributes:
        app: the ASGI application: the hook first, then the API behind the admin token.
    """

    def __init__(self, config: Config, inbox: SqliteInbox, state: Database, api: Api, *, clock: Clock = now_ms) -> None:
        self._inbox = inbox
        self._state = state
        self._clock = clock
        self._retention_ms = int(config.store.retention_days * DAY_MS)
        token = None if config.server.open else admin_token(config)
        guarded: ASGIApp = AdminGuard(api.app, token)
        self._secrets = None if config.server.open else HookSecrets(config.hook, config.data_dir)
        self._receiver = Receiver(config.hook, self._secrets, inbox, guarded, clock=clock)
        self._noted: tuple[int, int] | None = None
        self._asked_for: int | None = None
        self.app: ASGIApp = self._receiver

    async def keep_watch(self) -> bool:
        """Let a secret go when a rotation has retired it (a new one is looked for when it comes), and tell the other
        processes of calls that were refused.
        """
        if self._secrets is not None:
            self._secrets.refresh()
        await self._ask_follower()
        refused = self._receiver.refused
        if refused != self._noted:
            told = {"count": refused[0], "last_ms": refused[1]}
            await self._state.write(lambda db: leave_note(db, REFUSED, told, self._clock()))
            self._noted = refused
        return False

    async def _ask_follower(self) -> None:
        """Have the System Log read at once, at the start and for deliveries that could not be stored: Okta sends each
        once more at most.
        """
        unstored = self._receiver.unstored
        if self._asked_for is None:
            await self._state.write(self._begin)
        elif unstored != self._asked_for:
            await self._state.write(lambda db: run(db, "ask_follower", {"org": ORG, "now": self._clock()}))
        self._asked_for = unstored

    def _begin(self, db: apsw.Connection) -> None:
        """Calls may have found nobody here until now, and do from now on."""
        now = self._clock()
        leave_note(db, WEB, {"at_ms": now}, now)
        run(db, "ask_follower", {"org": ORG, "now": now})

    async def prune(self) -> bool:
        """Forget old deliveries that the worker has taken in. Here, because this process alone writes the inbox."""
        return await self._inbox.prune(await self._state.read(handed_over), self._clock() - self._retention_ms) > 0


@asynccontextmanager
async def opened(config: Config, *, clock: Clock = now_ms) -> AsyncIterator[Web]:
    """The web application over the stores of a configuration, and its targets once they are asked for.

    Raises:
        ConfigError: there is no secret.
        StoreError: data_dir cannot be used, or another web process has it.
    """
    require_secret(config)
    targets = [LateTarget(each) for each in config.targets]
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(only_one(config.data_dir, "web"))
        stores = await stack.enter_async_context(opened_stores(config.data_dir))
        for target in targets:
            stack.push_async_callback(target.aclose)
        api = Api(stores.inbox, stores.state, targets)
        yield Web(config, stores.inbox, stores.state, api, clock=clock)


async def run_web(config: Config, stop: asyncio.Event, listen_fd: int | None = None, *, clock: Clock = now_ms) -> None:
    """The whole life of a web process. When `stop` is set, answers under way are finished first.

    Args:
        listen_fd: the supervisor's listening socket; None opens one.
    """
    with listening(config.server) if listen_fd is None else inherited(listen_fd) as listener:
        async with opened(config, clock=clock) as web:
            server = server_for(web.app)
            # What was loaded to get here stays for good: the collector need not walk through it, which costs pauses
            # of 80 ms under load.
            gc.collect()
            gc.freeze()
            log.info("web.listening", url=address_of(listener), hook=config.hook.path)
            loops = [
                Loop("prune", web.prune, idle_seconds=PRUNE_SECONDS),
                Loop("watch", web.keep_watch, idle_seconds=WATCH_SECONDS),
            ]
            await _serve(server, listener, loops, stop)
    log.info("web.stopped")


async def _serve(server: uvicorn.Server, listener: socket.socket, loops: list[Loop], stop: asyncio.Event) -> None:
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    beside = [asyncio.create_task(loop.run(), name=loop.name) for loop in loops]
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
    server.should_exit = True
    for loop in loops:
        loop.stop()
    stopping.cancel()
    await asyncio.gather(serving, *beside)
