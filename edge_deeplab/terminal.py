"""Tables for a terminal: one look for every command."""

from __future__ import annotations

from rich.box import SIMPLE_HEAD
from rich.table import Table


def plain_table(title: str, first: str) -> Table:
    """A table with a title and its first column, whose long names are folded."""
    table = Table(title=title, box=SIMPLE_HEAD, pad_edge=False, title_style="bold")
    table.add_column(first, overflow="fold")
    return table


def number_columns(table: Table, *headings: str) -> None:
    """Add columns of numbers, which are never cut."""
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)


def megabytes(size: int) -> str:
    """A size in words: 3.21 MB (10^6 bytes)."""
    return f"{size / 1e6:.2f} MB"
