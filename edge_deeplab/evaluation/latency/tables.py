"""Latency as tables for a terminal."""

from __future__ import annotations

from rich.console import Group
from rich.table import Table
from rich.text import Text

from edge_deeplab.evaluation.latency.report import INPUT, FileLatency, LatencyReport
from edge_deeplab.evaluation.latency.statistics import CONFIDENCE, Ratio
from edge_deeplab.evaluation.tables import grouped, short_names
from edge_deeplab.runtime.contract import plural_threads
from edge_deeplab.terminal import megabytes, number_columns, plain_table

_NOTHING = "-"
_NUMBERS = 58  # columns that the numbers of the wider table take, the spaces before them included


def latency_tables(report: LatencyReport, *, width: int = 80) -> Group:
    """How long a run takes; what the files are and hold; who executed them where.

    Args:
        report: what was measured.
        width: columns of the terminal, 80 at least: no number is cut, and long names are shortened.
    """
    names = short_names([file.name for file in report.files], max(width, 80) - _NUMBERS)
    against = None if report.against is None else names[[file.name for file in report.files].index(report.against)]
    machine = report.machine
    runtimes = [(file.runtime, file.name) for file in report.files]
    return Group(
        _time_table(report, names, against),
        _file_table(report, names),
        *grouped("executed by", runtimes),
        Text(f"on {machine['processor']}, {machine['cores']} cores, {machine['date']}", style="dim"),
    )


def _time_table(report: LatencyReport, names: list[str], against: str | None) -> Table:
    table = plain_table(f"Milliseconds of a run, {plural_threads(report.threads)}", "model")
    table.collapse_padding = True
    number_columns(table, "median", "p95", "min", "processor\nmedian")
    table.caption = f"{report.runs} rounds in turns after {report.warm_up} to warm up, on {INPUT}."
    if against is not None:
        number_columns(table, "times as\nlong", f"{CONFIDENCE:.0%}\ninterval")
        table.caption += f" Times as long as {against}: median of the rounds' ratios, bootstrap interval."
    for name, file in zip(names, report.files, strict=True):
        wall = file.wall.spread
        cells = [_milliseconds(value) for value in (wall.median, wall.p95, wall.minimum, file.processor.spread.median)]
        if against is not None:
            cells += _ratio_cells(file.wall.ratio)
        table.add_row(Text(name), *cells)
    return table


def _file_table(report: LatencyReport, names: list[str]) -> Table:
    table = plain_table("The files", "model")
    table.collapse_padding = True
    number_columns(table, "input", "size", "memory\nat most", "XNNPACK\npartitions", "operators\nleft out")
    table.caption = "Memory: above the bare runtime, in a process of its own, opening included."
    for name, file in zip(names, report.files, strict=True):
        memory = _NOTHING if file.memory is None else megabytes(file.memory)
        table.add_row(Text(name), f"{file.height}x{file.width}", megabytes(file.size), memory, *_partition_cells(file))
    return table


def _partition_cells(file: FileLatency) -> tuple[str, str]:
    if file.execution is None:
        return _NOTHING, _NOTHING
    share = file.execution.delegation
    return ("refused", "all") if share is None else (str(share.partitions), str(len(share.left)))


def _milliseconds(value: float) -> str:
    return f"{value:.2f}" if value < 100 else f"{value:.0f}"


def _ratio_cells(ratio: Ratio | None) -> tuple[str, str]:
    return ("1", "") if ratio is None else (f"{ratio.median:.2f}", f"{ratio.low:.2f}-{ratio.high:.2f}")
