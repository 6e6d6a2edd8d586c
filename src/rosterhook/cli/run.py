"""`serve`, `web` and `worker`."""

from __future__ import annotations

import os
from typing import Annotated

from cyclopts import Parameter

from rosterhook.admin import admin_token, token_path
from rosterhook.cli.common import ConfigPath, load, out
from rosterhook.config import Config
from rosterhook.service import part, run_until_signal, supervise
from rosterhook.web import require_secret, run_web
from rosterhook.worker import run_worker

Watched = Annotated[bool, Parameter(name="--supervised", negative="", show=False)]


def serve(*, config: ConfigPath = None) -> int:
    """Run the service: a web and a worker process; one that dies is started again. Ctrl-C ends it cleanly."""
    loaded = load(config)
    require_secret(loaded)
    announce(loaded)
    env = dict(os.environ)
    if config is not None:
        env["ROSTERHOOK_CONFIG"] = str(config.absolute())
    parts = [part("web", env=env), part("worker", env=env)]
    codes: list[int] = []

    async def run(stop: object) -> None:
        codes.append(await supervise(parts, stop))  # type: ignore[arg-type]

    run_until_signal(run)
    return codes[0]


def web(*, config: ConfigPath = None, supervised: Watched = False) -> None:
    """Run the web process alone: it takes Okta's hooks and answers the API."""
    loaded = load(config)
    run_until_signal(lambda stop: run_web(loaded, stop), watch_stdin=supervised)


def worker(*, config: ConfigPath = None, supervised: Watched = False) -> None:
    """Run the worker process alone: it reads Okta and writes the targets."""
    loaded = load(config)
    run_until_signal(lambda stop: run_worker(loaded, stop), watch_stdin=supervised)


def announce(config: Config) -> None:
    """Say where to look. A token that is generated now is shown this once, as a link."""
    new = config.server.admin_token is None and not token_path(config).exists() and not config.server.open
    if new:
        _say(f"Open {_page(config)}?token={admin_token(config)}")
    elif config.server.admin_token is None and not config.server.open:
        _say(f"Open {_page(config)}?token=... with the token in {token_path(config)}")
    if not config.server.port:
        _say("The port is any free one: the log line web.listening tells it.")
    _say(f"Point Okta's event hook at https://<your host>{config.hook.path}")


def _page(config: Config) -> str:
    host = config.server.host
    # Port 0 is not where it listens: which one that is, only the web process will know.
    return f"http://{f'[{host}]' if ':' in host else host}:{config.server.port or '<port>'}/"


def _say(text: str) -> None:
    out.print(text, markup=False, soft_wrap=True)
