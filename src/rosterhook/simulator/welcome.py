"""What a newcomer is told about the org: at the start, and by a browser at `/`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from rosterhook.simulator.settings import Settings, is_loopback
from rosterhook.simulator.world import Simulator

_PAGE = """\
This is a simulated Okta org, for tests. It is run by `rosterhook simulate`.

Its API answers below /api/v1 as Okta's does:

  {example}

What goes wrong, what changes and what is so: {url}/_sim/
"""
_USUAL_TOKEN = next(each.default for each in fields(Settings) if each.name == "token")


def news(simulator: Simulator, *, goes_on: bool, terminal: bool) -> Iterator[str]:
    """The lines at the start. The first one ends in the address, for programs to read.

    Args:
        goes_on: whether the org was there before.
        terminal: whether a person reads them.
    """
    settings = simulator.settings
    yield f"simulator listening on {simulator.address}"
    if simulator.ca_file is not None:
        yield f"CA certificate: {simulator.ca_file}"
    if not simulator.url:
        # Who listens on all addresses has none of its own (see `Simulator.url`).
        names = "; name each by --tls-name for its certificate" if settings.tls and not settings.tls_names else ""
        yield f"others call it by any name or address of this machine{names}"
    if goes_on:
        yield (
            f"going on with the org of {settings.state_file} ({len(simulator.org)} users); "
            "--seed, --users, --announce and --test-user are for a new one"
        )
    if terminal:
        yield f"try: {example(simulator, simulator.address)}"


def example(simulator: Simulator, url: str) -> str:
    """A command that can be typed. It has the token only if that is no secret."""
    settings = simulator.settings
    known = settings.token == _USUAL_TOKEN and is_loopback(settings.host)
    trusted = f"--cacert {simulator.ca_file} " if simulator.ca_file else ""
    return f'curl {trusted}-H "Authorization: SSWS {_USUAL_TOKEN if known else "<the token>"}" {url}/api/v1/users'


class Welcome:
    """The page at `/`."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator

    async def page(self, request: Request) -> Response:
        """In plain text."""
        url = str(request.base_url).rstrip("/")
        return PlainTextResponse(_PAGE.format(example=example(self._simulator, url), url=url))
