"""The one look of every table that the commands print."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from rosterhook.cli.common import plain


def table_of(*columns: str, title: str | None = None) -> Table:
    """A table without lines; what does not fit is broken, not cut."""
    table = Table(title=title, title_justify="left", box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add(table: Table, *values: object) -> None:
    """A row; what is no `Text` is printed as it is, without markup."""
    table.add_row(*(value if isinstance(value, Text) else plain(value) for value in values))
