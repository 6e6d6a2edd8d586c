"""`serve`, `web` and `worker`. What only one of them needs is loaded when it is called."""

from __future__ import annotations

import asyncio
import os
from typing import Annotated

from cyclopts import Parameter

from rosterhook.cli.common import ConfigPath, load, out
from rosterhook.config import Config
from rosterhook.credentials import admin_token, require_secret, token_path
from rosterhook.hook_secrets import read_record
from rosterhook.listener import address_of, listening
from rosterhook.service import part, run_until_signal, supervise

Watched = Annotated[bool, Parameter(name="--supervised", negative="", show=False)]
ListenFd = Annotated[int | None, Parameter(show=False)]


def serve(*, config: ConfigPath = None) -> int:
    """Run the service: a web and a worker process; one that dies is started again. Ctrl-C ends it cleanly."""
    loaded = load(config)
    require_secret(loaded)
    env = dict(os.environ)
    if config is not None:
        env["ROSTERHOOK_CONFIG"] = str(config.absolute())
    codes: list[int] = []
    with listening(loaded.server) as listener:
        announce(loaded, address_of(listener))
        parts = [part("web", env=env, listener=listener), part("worker", env=env)]

        async def run(stop: asyncio.Event) -> None:
            codes.append(await supervise(parts, stop, listener))

        run_until_signal(run)
    return codes[0]


def web(*, config: ConfigPath = None, supervised: Watched = False, listen_fd: ListenFd = None) -> None:
    """Run the web process alone: it takes Okta's hooks and answers the API."""
    from rosterhook.web import run_web

    loaded = load(config)
    run_until_signal(lambda stop: run_web(loaded, stop, listen_fd), watch_stdin=supervised)


def worker(*, config: ConfigPath = None, supervised: Watched = False) -> None:
    """Run the worker process alone: it reads Okta and writes the targets."""
    from rosterhook.worker import run_worker

    loaded = load(config)
    run_until_signal(lambda stop: run_worker(loaded, stop), watch_stdin=supervised)


def announce(config: Config, address: str) -> None:
    """Say where to look. A token that is generated now is shown this once, as a link."""
    new = config.server.admin_token is None and not token_path(config).exists() and not config.server.open
    if new:
        _say(f"Open {address}/?token={admin_token(config)}")
    elif config.server.admin_token is None and not config.server.open:
        _say(f"Open {address}/?token=... with the token in {token_path(config)}")
    url = config.hook.url or read_record(config.data_dir).url
    if url is None:
        _say(f"Point Okta's event hook at https://<your host>{config.hook.path}")
    else:
        _say(f"Okta's event hook calls {url} (rosterhook hook status)")


def _say(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)
