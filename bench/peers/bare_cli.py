"""A command line of one command that does nothing, on the same library: what `--help` costs at the least."""

from __future__ import annotations

from cyclopts import App

app = App(name="bare", help="Does nothing.", help_format="markdown")


@app.command
def nothing() -> None:
    """Do nothing."""


if __name__ == "__main__":
    app()
