"""Stages of a pipeline and conversions as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_deeplab.evaluation.latency.conversion import ConversionTime
from edge_deeplab.evaluation.latency.stages import StageLatency
from edge_deeplab.evaluation.tables import short_names
from edge_deeplab.terminal import number_columns, plain_table

_COLUMN = 8  # columns that the numbers of a stage take, the spaces before them included


def stage_tables(stages: Sequence[StageLatency], *, title: str, against: str | None, width: int = 80) -> Group:
    """A table for each way through the pipeline, a row for each model.

    Args:
        stages: what was measured, all of the same stages.
        title: of the tables; the way is added.
        against: name of the model that all are compared with; None: no comparison.
        width: columns of the terminal, 80 at least: no number is cut, and long names are shortened.
    """
    names = _distinct(row.name for row in stages)
    room = max(width, 80) - _COLUMN * (len(stages[0].processor) + 1 + (against is not None))
    shown = dict(zip(names, short_names(names, max(room, 8)), strict=True))
    return Group(*(_stage_table(stages, way, title, shown, against) for way in _distinct(row.way for row in stages)))


def _stage_table(
    stages: Sequence[StageLatency], way: str, title: str, shown: dict[str, str], against: str | None
) -> Table:
    table = plain_table(f"{title}, {way} quality", "model")
    table.collapse_padding = True
    number_columns(table, *stages[0].processor, "sum")
    # Not wall time: what else runs on the machine would be in it, a stage here and a stage there.
    table.caption = "Medians of processor time, ms a frame; sum: of the frames' sums."
    if against is not None:
        number_columns(table, "times\nas much")
        table.caption += f" Times as much as with {shown[against]}: median of the frames' ratios."
    for row in stages:
        if row.way == way:
            cells = [f"{spread.median:.2f}" for spread in (*row.processor.values(), row.processor_sum)]
            if against is not None:
                cells.append("1" if row.ratio is None else f"{row.ratio.median:.2f}")
            table.add_row(Text(shown[row.name]), *cells)
    return table


def conversion_table(conversions: Sequence[ConversionTime]) -> Table:
    """A row for each checkpoint and target."""
    table = plain_table("Seconds of a conversion, its proof included", "checkpoint")
    table.add_column("target", no_wrap=True)
    number_columns(table, "seconds", "processor")
    table.caption = "Each is one run of edge-deeplab convert in a process of its own, with those that it starts."
    for row in conversions:
        table.add_row(Text(row.checkpoint), row.target, f"{row.wall:.1f}", f"{row.processor:.1f}")
    return table


def _distinct(words: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(words))
