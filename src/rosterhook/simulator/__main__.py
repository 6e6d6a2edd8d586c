"""The simulator as a program of its own: ``python -m rosterhook.simulator --port 8080 --users 50``."""

from __future__ import annotations

import argparse
import asyncio
import sys

from rosterhook.simulator.app import serve
from rosterhook.simulator.settings import Settings


def main(argv: list[str] | None = None, *, program: str = "python -m rosterhook.simulator") -> int:
    """Read the options, serve until told to stop. Returns the exit code.

    Args:
        program: the name by which help speaks of it.
    """
    options = vars(_parser(program).parse_args(argv))
    try:
        settings = Settings(**{name: value for name, value in options.items() if value is not None})
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    asyncio.run(serve(settings, tell=_tell))
    return 0


def _tell(url: str) -> None:
    sys.stdout.write(f"simulator listening on {url}\n")
    sys.stdout.flush()


def _parser(program: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=program, description="A fake Okta org.")
    add = parser.add_argument
    add("--host", help="a loopback address (default 127.0.0.1)")
    add("--port", type=int, help="default: a free one")
    add(
        "--allow-remote",
        action="store_true",
        help="allow a host that other machines reach; nothing asks for a password",
    )
    add("--seed", type=int, help="same seed, same users and same faults (default 1)")
    add("--token", help="the API token callers must send (default sim-token)")
    add("--users", type=int, help="random users at the start")
    add("--announce", action="store_true", help="make events for the users at the start")
    add("--test-user", action="store_true", help='begin with the Test User, id "1234"')
    add("--index-lag-seconds", type=float, help="how late search sees a change (default 0.3)")
    add("--latency-ms", type=float, help="what each API call takes")
    add("--rate-multiplier", type=float, help="times Okta's rate limits (default 1)")
    add("--hook-url", help="where events go; asked to verify itself for up to a minute")
    add("--hook-secret", help="the hook's secret")
    add("--hook-header", help="the header that carries it (default Authorization)")
    add("--batch-seconds", type=float, help="how long events are gathered into one delivery (default 0.1)")
    add("--max-batch", type=int, help="most events in a delivery (default 20)")
    add("--patient", action="store_true", help="deliver until accepted, which Okta does not do")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
