"""Latency as a picture: every run is a point, over a box; below them what else was measured."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from edge_deeplab.evaluation.latency.conversion import ConversionTime
from edge_deeplab.evaluation.latency.report import LatencyReport
from edge_deeplab.evaluation.latency.stage_plot import draw_conversions, draw_stages
from edge_deeplab.evaluation.latency.stages import StageLatency
from edge_deeplab.evaluation.latency.statistics import CONFIDENCE
from edge_deeplab.runtime.contract import plural_threads

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

# Okabe and Ito's colours (2008), told apart by people with any kind of colour vision.
_BLUE, _RED = "#0072B2", "#D55E00"
_JITTER_SEED = 1  # any fixed number: the same report gives the same picture
_WHISKERS = (5, 95)  # percentiles: the upper end is the table's p95


def latency_plot(
    report: LatencyReport,
    *,
    stages: Sequence[StageLatency] = (),
    stages_title: str = "",
    conversions: Sequence[ConversionTime] = (),
) -> bytes:
    """Draw every run of every file, on a logarithmic axis; beside it the ratios, where there are some.

    Args:
        report: what was measured.
        stages: drawn below it where there are some.
        stages_title: says of what they are stages.
        conversions: drawn at the bottom where there are some.

    Returns:
        A PNG file.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    heights = [2.2 + 0.7 * len(report.files), 1.4 + 0.45 * len(stages), 1.4 + 0.45 * len(conversions)]
    drawn = [True, bool(stages), bool(conversions)]
    rows = [height for height, there in zip(heights, drawn, strict=True) if there]
    figure = Figure(figsize=(13, sum(rows)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)  # draws into memory, whatever screen there is or is not
    parts = iter(figure.subfigures(len(rows), 1, height_ratios=rows, squeeze=False)[:, 0])
    _draw_report(next(parts), report)
    if stages:
        draw_stages(next(parts).subplots(), stages, stages_title)
    if conversions:
        draw_conversions(next(parts).subplots(), conversions)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw_report(part: SubFigure, report: LatencyReport) -> None:
    machine = report.machine
    part.suptitle(
        f"One run, {plural_threads(report.threads)}; {report.runs} rounds in turns\n"
        f"{machine['processor']}, {machine['cores']} cores, {machine['date']}",
        fontsize=11,
    )
    if report.against is None:
        _draw_times(part.subplots(), report)
    else:
        times, ratios = part.subplots(1, 2, sharey=True, width_ratios=(2, 1))
        _draw_times(times, report)
        _draw_ratios(ratios, report, report.against)


def _draw_times(axes: Axes, report: LatencyReport) -> None:
    random = np.random.default_rng(_JITTER_SEED)
    for place, file in enumerate(report.files):
        runs = file.wall.milliseconds
        axes.plot(runs, place + random.uniform(-0.25, 0.25, len(runs)), ".", color=_BLUE, alpha=0.35, markersize=4)
    axes.boxplot(
        [file.wall.milliseconds for file in report.files],
        positions=range(len(report.files)),
        orientation="horizontal",
        whis=_WHISKERS,
        showfliers=False,
        widths=0.6,
        medianprops={"color": _RED, "linewidth": 2},
    )
    _plain_log_axis(axes)
    axes.set_yticks(range(len(report.files)), [file.name for file in report.files])
    axes.invert_yaxis()  # the first file above
    axes.xaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(
        f"ms of wall time (log); box: quartiles, whiskers: {_WHISKERS[0]}th and {_WHISKERS[1]}th percentile"
    )
    axes.grid(axis="x", alpha=0.3)


def _draw_ratios(axes: Axes, report: LatencyReport, against: str) -> None:
    for place, file in enumerate(report.files):
        ratio = file.wall.ratio
        if ratio is None:
            continue
        axes.hlines(place, ratio.low, ratio.high, color=_RED, linewidth=2)
        axes.plot(ratio.median, place, "o", color=_RED)
        axes.annotate(f"{ratio.median:.2f}", (ratio.median, place), (0, 8), textcoords="offset points", ha="center")
    axes.axvline(1, color="black", linestyle="--")
    _plain_log_axis(axes)
    axes.margins(x=0.2)
    axes.set_xlabel(f"times as long (log), {CONFIDENCE:.0%} interval, as\n{against}")
    axes.grid(axis="x", alpha=0.3)


def _plain_log_axis(axes: Axes) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
