"""Stages of a pipeline and conversions as pictures: parts of the picture that ``plot`` draws."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from edge_deeplab.evaluation.latency.conversion import ConversionTime
from edge_deeplab.evaluation.latency.stages import StageLatency

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours (2008), told apart by people with any kind of colour vision; as many as there are stages.
_COLOURS = ("#999999", "#0072B2", "#009E73", "#E69F00", "#56B4E9", "#D55E00", "#CC79A7")


def draw_stages(axes: Axes, stages: Sequence[StageLatency], title: str) -> None:
    """A bar for each model and way, of the medians of its stages one after the other; the sum's median at its end."""
    names = [f"{row.name}, {row.way}" for row in stages]
    left = [0.0] * len(stages)
    for place, stage in enumerate(stages[0].processor):
        medians = [row.processor[stage].median for row in stages]
        axes.barh(names, medians, left=left, color=_COLOURS[place % len(_COLOURS)], label=stage)
        left = [start + median for start, median in zip(left, medians, strict=True)]
    for name, end, row in zip(names, left, stages, strict=True):
        axes.annotate(f"{row.processor_sum.median:.1f}", (end, name), (4, 0), textcoords="offset points", va="center")
    axes.legend(ncols=len(stages[0].processor), loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    _finish(axes, f"{title}: ms of processor time a frame, medians")


def draw_conversions(axes: Axes, conversions: Sequence[ConversionTime]) -> None:
    """Two bars for each conversion: how long it takes, and what it costs."""
    names = [f"{row.checkpoint} to {row.target}" for row in conversions]
    places = range(len(conversions))
    for shift, label, colour, values in (
        (-0.2, "wall time", _COLOURS[1], [row.wall for row in conversions]),
        (0.2, "processor time", _COLOURS[0], [row.processor for row in conversions]),
    ):
        axes.barh([place + shift for place in places], values, height=0.4, label=label, color=colour)
    axes.set_yticks(places, names)
    axes.legend(ncols=2, loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)
    _finish(axes, "conversion, proof included: seconds")


def _finish(axes: Axes, label: str) -> None:
    axes.invert_yaxis()  # the first one above
    axes.margins(x=0.08)
    axes.set_xlabel(label)
    axes.set_axisbelow(True)
    axes.grid(axis="x", alpha=0.3)
