"""The command line. Each command is imported when it is called: `--help` and `status` start fast."""

from __future__ import annotations

import gc
import io
import shutil
import sys
import textwrap

from cyclopts import App, Parameter

from rosterhook import __version__
from rosterhook.errors import ConfigError, RosterhookError, StoreError

EXIT_FAILED = 1
EXIT_CONFIG = 2
#: With Python's own few hundred it looks for garbage 140 times among the modules while they are loaded: a seventh of
#: a start.
OBJECTS_A_COLLECTION = 5_000

app = App(
    name="rosterhook",
    version=__version__,
    help="Keeps your own user stores in step with Okta, and loses nothing.",
    help_epilogue="Start with `rosterhook demo`. Settings: rosterhook.toml, the environment, or .env.",
    help_format="markdown",
    default_parameter=Parameter(show_default=False),  # "[default: False]" behind each flag says nothing
)
#: Each command and its one line in the list; `--help` of the command itself says more.
COMMANDS = {
    "demo": ("demo:demo", "Try everything in one terminal: a simulated Okta org, synced into data/users.db."),
    "init": ("init:init", "Ask five questions and write rosterhook.toml and .env; needs no network."),
    "serve": ("run:serve", "Run the service: a web and a worker process; one that dies is started again."),
    "web": ("run:web", "Run the web process alone: it takes Okta's hooks and answers the API."),
    "worker": ("run:worker", "Run the worker process alone: it reads Okta and writes the targets."),
    "check": ("check:check", "Ask Okta and every target whether it would work; say what is wrong."),
    "hook": ("hook:app", "Set up the event hook in Okta: create, status, verify, rotate, repair, delete."),
    "status": ("look:status", "Show how things stand: what arrived, what waits, how each target keeps up."),
    "users": ("look:users", "List the users as Okta has them."),
    "events": ("look:events", "List the events that Okta sent, or follow them."),
    "parked": ("parked:parked", "List what could not be understood, read or written, each with its reason."),
    "backfill": ("sweep:backfill", "Read every user of the org once, and fill the targets."),
    "reconcile": ("sweep:reconcile", "Compare Okta, the own store and every target; mend, and prove both sides equal."),
    "audit": ("audit:audit", "Tell what became of each event: received, repaired by the log, or still open."),
    "holds": ("holds:holds", "List the removals that were too many at once and wait for a person."),
    "approve": ("holds:approve", "Let exactly this batch of removals happen."),
    "reject": ("holds:reject", "Leave exactly this batch of removals undone."),
    "replay": ("act:replay", "Try again: users, all that is parked, the quarantine, or a whole target."),
    "forget": ("forget:forget", "Erase what is stored of one person who is gone from Okta."),
    "simulate": ("simulate:simulate", "Run a simulated Okta org, for trying things and for tests."),
    "drill": ("drill:drill", "Run everything through a script of faults, and prove that nothing is lost."),
}
for name, (place, line) in COMMANDS.items():
    # The simulator reads its own options, --help among them: it is a program of its own.
    flags: dict[str, list[str]] = {"help_flags": []} if name == "simulate" else {}
    app.command(f"rosterhook.cli.{place}", name=name, help=line, **flags)


def main() -> None:
    """Run a command; an error that was foreseen is two lines on standard error, never a traceback."""
    gc.set_threshold(OBJECTS_A_COLLECTION)
    _print_whatever_comes()
    try:
        result = app(sys.argv[1:], result_action="return_value")
    except RosterhookError as error:
        _tell(f"rosterhook: {error.message}")
        _tell(_hint(error))
        sys.exit(EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader, such as `head`, has seen enough
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)


def _hint(error: RosterhookError) -> str:
    """The cure, and first of all that the command may be at the wrong place."""
    from rosterhook.cli.common import lost_advice

    lost = lost_advice() if isinstance(error, ConfigError | StoreError) else ""
    return f"{lost} {error.hint}".strip()


def _tell(text: str) -> None:
    """Print on standard error; on a terminal broken at words."""
    width = shutil.get_terminal_size().columns if sys.stderr.isatty() else sys.maxsize
    for line in text.splitlines():
        broken = textwrap.wrap(line, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)
        print("\n".join(broken), file=sys.stderr)  # noqa: T201 - before rich is needed


def _print_whatever_comes() -> None:
    """A character that the terminal has not, such as in a name, is escaped: it must not end the command."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
