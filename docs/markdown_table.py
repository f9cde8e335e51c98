"""A table in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, numbers: bool = True) -> str:
    """Whole lines: the heads, then the rows.

    Args:
        heads: of the columns.
        rows: a cell for each head.
        numbers: all columns but the first are aligned to the right.
    """
    rule = "---:|" if numbers else "---|"
    lines = [f"| {' | '.join(heads)} |", f"|---|{rule * (len(heads) - 1)}"]
    lines += [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join(lines) + "\n"
