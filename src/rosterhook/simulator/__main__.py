"""The simulator as a program of its own: ``python -m rosterhook.simulator --port 8080 --users 50``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from rosterhook.simulator.app import serve
from rosterhook.simulator.options import chosen, option_parser
from rosterhook.simulator.problems import SimulatorError
from rosterhook.simulator.welcome import news
from rosterhook.simulator.world import Simulator


def main(argv: list[str] | None = None, *, program: str = "python -m rosterhook.simulator") -> int:
    """Read the options, serve until told to stop. Returns the exit code.

    Args:
        program: the name by which help and errors speak of it.

    Raises:
        SystemExit: with code 2, for options that make no sense.
    """
    settings, certificates = chosen(option_parser(program), argv)
    goes_on = settings.state_file is not None and settings.state_file.exists()

    def tell(simulator: Simulator) -> None:
        lines = list(news(simulator, goes_on=goes_on, terminal=sys.stdout.isatty()))
        if simulator.authority is not None:
            for host, folder in certificates:
                lines.append("certificate and key: {}, {}".format(*simulator.authority.issue(host, Path(folder))))
        # At once, so that whoever waits for the first line can read the others too.
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()

    try:
        asyncio.run(serve(settings, tell=tell))
    except SimulatorError as error:
        sys.stderr.write(f"{program}: {error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
