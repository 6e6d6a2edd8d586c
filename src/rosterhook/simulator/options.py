"""The simulator's command line: its options, and the settings that they make."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from rosterhook.simulator.auth.options import add_options as add_login
from rosterhook.simulator.auth.options import pop_apps
from rosterhook.simulator.checks import BadSetting
from rosterhook.simulator.settings import Settings

Add = Callable[..., Any]

#: Options that are not called like their setting.
_OTHER_NAMES = {"tls_names": "--tls-name", "state_file": "--state", "hook_ca_file": "--hook-ca"}


class Chosen(NamedTuple):
    """What somebody has typed.

    Attributes:
        certificates: host and folder of each certificate to be issued.
    """

    settings: Settings
    certificates: list[tuple[str, str]]


class OneLineParser(argparse.ArgumentParser):
    """Tells a mistake in one line: the usage of so many options would hide it."""

    def error(self, message: str) -> NoReturn:
        """Say it, and end with exit code 2."""
        self.exit(2, f"{self.prog}: {message}\n")


def option_parser(program: str) -> argparse.ArgumentParser:
    """The parser of all options.

    Args:
        program: the name by which help and errors speak of it.
    """
    parser = OneLineParser(prog=program, description="A simulated Okta org.", usage="%(prog)s [options]")
    parser.allow_abbrev = False
    groups = {
        "where it listens": _add_address,
        "org": _add_org,
        "login": _add_login,
        "hooks": _add_hooks,
        "limits and lateness": _add_limits,
        "files": _add_files,
    }
    for title, fill in groups.items():
        fill(parser.add_argument_group(title).add_argument)
    return parser


def chosen(parser: argparse.ArgumentParser, argv: list[str] | None) -> Chosen:
    """Read the options. What makes no sense ends the program, with the options named as they are typed."""
    options = {name: value for name, value in vars(parser.parse_args(argv)).items() if value is not None}
    certificates: list[tuple[str, str]] = options.pop("issue_cert", [])
    if certificates and not options["tls"]:
        parser.error("--issue-cert needs --tls")
    try:
        options["apps"] = pop_apps(options)
        return Chosen(Settings(**options), certificates)
    except BadSetting as error:
        parser.error(error.spelt(_as_typed))
    except ValueError as error:
        parser.error(str(error))


def _as_typed(setting: str) -> str:
    return _OTHER_NAMES.get(setting, f"--{setting.replace('_', '-')}")


def _add_address(add: Add) -> None:
    add("--host", help="a loopback address (default 127.0.0.1)")
    add("--port", type=int, help="default: a free one, which is printed")
    add("--allow-remote", action="store_true", help="allow a host that others reach; nothing asks for a password")
    add("--tls", action="store_true", help="https, with a certificate authority made at the start")
    add("--tls-name", action="append", dest="tls_names", metavar="NAME", help="another name or address it is called by")


def _add_org(add: Add) -> None:
    add("--users", type=int, help="random users at the start (default 0)")
    add("--announce", action="store_true", help="make events for them")
    add("--test-user", action="store_true", help='begin with the tutorial\'s Test User, id "1234"')
    add("--seed", type=int, help="same seed, same users and same faults (default 1)")


def _add_login(add: Add) -> None:
    add("--token", help="the API token that callers send (default sim-token)")
    add_login(add)


def _add_hooks(add: Add) -> None:
    add("--hook-url", metavar="URL", help="where events go; asked to verify itself for up to a minute")
    add("--hook-secret", metavar="SECRET", help="what is sent to it in a header")
    add("--hook-header", metavar="NAME", help="the name of that header (default Authorization)")
    add("--allow-http-hooks", action="store_true", help="let the API make hooks with an http address")
    add("--batch-seconds", type=float, metavar="S", help="how long events are gathered for a delivery (default 0.1)")
    add("--max-batch", type=int, metavar="N", help="most events in a delivery (default 20)")
    add("--patient", action="store_true", help="deliver until accepted, which Okta does not do")
    add("--hook-start-seconds", type=float, metavar="S", help="how long a new hook gets nothing yet (default 0)")
    add("--hook-daily-limit", type=int, metavar="N", help="most events for hooks in 24 hours (default 400000)")
    add(
        "--hook-quiet-failures",
        type=int,
        metavar="N",
        help="so many failures in 15 minutes, and a hook is skipped for 15 (default: never)",
    )


def _add_limits(add: Add) -> None:
    add("--rate-multiplier", type=float, metavar="X", help="times Okta's rate limits (default 1)")
    add("--principal-share", type=float, metavar="X", help="how much of each one caller may use (default 0.5)")
    add("--concurrency", type=int, metavar="N", help="how many API calls may run at a time (default 75)")
    add("--latency-ms", type=float, metavar="MS", help="what each API call takes (default 0)")
    add("--index-lag-seconds", type=float, metavar="S", help="how late search sees a change (default 0.3)")
    add("--late-rows", type=float, metavar="P", help="how likely a row of the System Log is late, 0 to 1 (default 0)")
    add("--late-seconds", type=float, metavar="S", help="how late at most (default 5)")


def _add_files(add: Add) -> None:
    add("--state", type=Path, dest="state_file", metavar="FILE", help="keep the org in this file over restarts")
    add("--ca-file", type=Path, metavar="FILE", help="where the CA certificate of --tls goes (default: a temporary)")
    add(
        "--issue-cert",
        action="append",
        nargs=2,
        metavar=("HOST", "FOLDER"),
        help="write a certificate and key for another server, such as a proxy before a receiver",
    )
    add("--hook-ca", dest="hook_ca_file", metavar="FILE", help="trust this certificate authority when calling hooks")
