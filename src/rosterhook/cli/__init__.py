"""The command line. Each command is imported when it is called: `--help` and `status` start fast."""

from __future__ import annotations

import sys

from cyclopts import App

from rosterhook import __version__
from rosterhook.errors import ConfigError, RosterhookError

EXIT_FAILED = 1
EXIT_CONFIG = 2

app = App(
    name="rosterhook",
    version=__version__,
    help="Keeps your own user stores in step with Okta, and loses nothing.",
    help_epilogue="Start with `rosterhook demo`. Settings: rosterhook.toml, the environment, or .env.",
    help_format="markdown",
)
for command in (
    "rosterhook.cli.demo:demo",
    "rosterhook.cli.run:serve",
    "rosterhook.cli.run:web",
    "rosterhook.cli.run:worker",
    "rosterhook.cli.check:check",
    "rosterhook.cli.look:status",
    "rosterhook.cli.look:users",
    "rosterhook.cli.look:events",
    "rosterhook.cli.look:parked",
    "rosterhook.cli.act:replay",
    "rosterhook.cli.simulate:simulate",
):
    app.command(command)


def main() -> None:
    """Run a command; an error that was foreseen is two lines on standard error, never a traceback."""
    try:
        result = app(result_action="return_value")
    except RosterhookError as error:
        print(f"rosterhook: {error.message}", file=sys.stderr)  # noqa: T201 - before rich is needed
        if error.hint:
            print(error.hint, file=sys.stderr)  # noqa: T201
        sys.exit(EXIT_CONFIG if isinstance(error, ConfigError) else EXIT_FAILED)
    except BrokenPipeError:
        sys.stderr.close()  # the reader, such as `head`, has seen enough
        sys.exit(EXIT_FAILED)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(result if isinstance(result, int) else 0)
