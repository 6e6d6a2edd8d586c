"""The one look of every table that the commands print."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from rosterhook.cli.common import out, plain


def table_of(*columns: str) -> Table:
    """A table without lines; what does not fit is broken, not cut."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def add(table: Table, *values: object) -> None:
    """A row; what is no `Text` is printed as it is, without markup."""
    table.add_row(*(value if isinstance(value, Text) else plain(value) for value in values))


def print_under(title: str, table: Table) -> None:
    """Print a table under its title, which is not broken: a title of the table's own would be, at the table's width."""
    out.print(plain(title, "italic"), soft_wrap=True)
    out.print(table)
