"""The simulator as a program of its own: ``python -m rosterhook.simulator --port 8080 --users 50``."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

from rosterhook.simulator.app import serve
from rosterhook.simulator.auth.options import add_options as add_app_options
from rosterhook.simulator.auth.options import pop_apps
from rosterhook.simulator.problems import SimulatorError
from rosterhook.simulator.settings import Settings
from rosterhook.simulator.world import Simulator


def main(argv: list[str] | None = None, *, program: str = "python -m rosterhook.simulator") -> int:
    """Read the options, serve until told to stop. Returns the exit code.

    Args:
        program: the name by which help speaks of it.
    """
    parser = _parser(program)
    options = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    certificates: list[tuple[str, str]] = options.pop("issue_cert", [])
    if certificates and not options["tls"]:
        parser.error("--issue-cert needs --tls")
    try:
        options["apps"] = pop_apps(options)
        settings = Settings(**options)
    except ValueError as error:
        return _give_up(error)
    goes_on = settings.state_file is not None and settings.state_file.exists()

    def tell(simulator: Simulator) -> None:
        lines = [f"simulator listening on {simulator.address}", *_news(simulator, goes_on=goes_on)]
        if simulator.authority is not None:
            for host, folder in certificates:
                lines.append("certificate and key: {}, {}".format(*simulator.authority.issue(host, Path(folder))))
        # At once, so that whoever waits for the first line can read the others too.
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()

    try:
        asyncio.run(serve(settings, tell=tell))
    except SimulatorError as error:
        return _give_up(error)
    return 0


def _give_up(error: Exception) -> int:
    sys.stderr.write(f"{error}\n")
    return 2


def _news(simulator: Simulator, *, goes_on: bool) -> Iterator[str]:
    if simulator.ca_file is not None:
        yield f"CA certificate: {simulator.ca_file}"
    if goes_on:
        yield (
            f"going on with the org of {simulator.settings.state_file} ({len(simulator.org)} users); "
            "--seed, --users, --announce and --test-user are for a new one"
        )


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
    add("--tls", action="store_true", help="https, with a certificate authority made at the start")
    add(
        "--ca-file",
        type=Path,
        metavar="FILE",
        help="where its certificate goes (default a file that is removed at the end)",
    )
    add("--tls-name", action="append", dest="tls_names", metavar="NAME", help="another name or address it is called by")
    add(
        "--issue-cert",
        action="append",
        nargs=2,
        metavar=("HOST", "FOLDER"),
        help="write a certificate and key for another server, such as a proxy before a receiver",
    )
    add("--state", type=Path, dest="state_file", metavar="FILE", help="keep the org in this file over restarts")
    add("--seed", type=int, help="same seed, same users and same faults (default 1)")
    add("--token", help="the API token callers must send (default sim-token)")
    add_app_options(add)
    add("--users", type=int, help="random users at the start")
    add("--announce", action="store_true", help="make events for the users at the start")
    add("--test-user", action="store_true", help='begin with the Test User, id "1234"')
    add("--index-lag-seconds", type=float, help="how late search sees a change (default 0.3)")
    add("--late-rows", type=float, help="how likely a row of the System Log is late, 0 to 1 (default 0)")
    add("--late-seconds", type=float, help="how late at most (default 5)")
    add("--latency-ms", type=float, help="what each API call takes")
    add("--rate-multiplier", type=float, help="times Okta's rate limits (default 1)")
    add("--hook-url", help="where events go; asked to verify itself for up to a minute")
    add("--hook-secret", help="the hook's secret")
    add("--hook-header", help="the header that carries it (default Authorization)")
    add("--allow-http-hooks", action="store_true", help="let the API make hooks with an http address")
    add("--hook-ca", dest="hook_ca_file", metavar="FILE", help="trust this certificate authority when calling hooks")
    add("--hook-start-seconds", type=float, help="how long a new hook gets nothing yet (default 0)")
    add("--hook-daily-limit", type=int, help="most events for hooks in 24 hours (default 400000)")
    add("--hook-quiet-failures", type=int, help="so many failures in 15 minutes, and a hook is skipped for 15")
    add("--batch-seconds", type=float, help="how long events are gathered into one delivery (default 0.1)")
    add("--max-batch", type=int, help="most events in a delivery (default 20)")
    add("--patient", action="store_true", help="deliver until accepted, which Okta does not do")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
