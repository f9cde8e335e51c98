"""The comparison of models at a glance: what accuracy costs in time, and how it spreads over the sources."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pareto_front import pareto_front

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours (2008), told apart by people with any kind of colour vision.
_OURS, _PEERS, _FRONT = "#D55E00", "#0072B2", "#999999"
_SOURCES = ("#009E73", "#E69F00", "#56B4E9", "#CC79A7", "#000000", "#F0E442")
_MARKERS = "osD^vP"
_MARKER = 6  # pixels from a point's centre that its marker takes
# Of a name, in points from its point: above, right, below, left, or between.
_PLACES = (
    ((0, 7), "center"),
    ((9, -3), "left"),
    ((0, -14), "center"),
    ((-9, -3), "right"),
    ((7, 6), "left"),
    ((7, -13), "left"),
)
_ABOVE: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1), "ncols": 7, "frameon": False}


@dataclass(frozen=True)
class Point:
    """A model in the picture.

    Attributes:
        name: beside its point.
        ours: a model of this project.
        milliseconds: median of a run; None: not timed.
        sources: source to person IoU.
    """

    name: str
    ours: bool
    milliseconds: float | None
    sources: Mapping[str, float]

    @property
    def accuracy(self) -> float:
        """Mean of the sources' person IoU: each counts the same, however many photos it has."""
        return sum(self.sources.values()) / len(self.sources)


def front(points: Sequence[Point]) -> list[Point]:
    """The timed models that no other beats in time and accuracy at once, the quickest first."""
    timed = {point.name: point for point in points if point.milliseconds is not None}
    costs = {name: (point.milliseconds or 0.0, point.accuracy) for name, point in timed.items()}
    return [timed[name] for name in pareto_front(costs)]


def picture(points: Sequence[Point], title: str) -> bytes:
    """Draw accuracy against latency with the Pareto front, and beside it every source.

    Args:
        points: the models, one of them timed at least; those that were not are in the right part only.
        title: the conditions, a line or two.

    Returns:
        A PNG file; the same for the same arguments.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(13, 2.5 + 0.36 * len(points)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)  # draws into memory, whatever screen there is or is not
    figure.suptitle(title, fontsize=11)
    left, right = figure.subplots(1, 2, width_ratios=(1, 1))
    _draw_front(left, points)
    _draw_sources(right, points)
    figure.draw_without_rendering()  # lays out: places in pixels are known afterwards
    label(left, [point for point in points if point.milliseconds is not None])
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _draw_front(axes: Axes, points: Sequence[Point]) -> None:
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    best = front(points)
    slowest = max((point.milliseconds or 0 for point in points), default=0)
    axes.step(
        [*(point.milliseconds or 0 for point in best), slowest],
        [*(point.accuracy for point in best), best[-1].accuracy],
        where="post",
        color=_FRONT,
        linestyle="--",
        label="Pareto front",
    )
    for ours, colour, label in ((True, _OURS, "ours"), (False, _PEERS, "others'")):
        shown = [point for point in points if point.ours is ours and point.milliseconds is not None]
        axes.plot(
            [point.milliseconds or 0 for point in shown],
            [point.accuracy for point in shown],
            "o",
            color=colour,
            label=label,
            markersize=8 if ours else 6,
        )
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.15, y=0.1)
    axes.set_xlabel("ms a run (log)")
    axes.set_ylabel("person IoU, mean of the sources")
    axes.grid(alpha=0.3)
    axes.legend(**_ABOVE)


def label(axes: Axes, points: Sequence[Point]) -> None:
    """Names beside the points, the best one's first: each at the first place where it covers no name and no point.

    Args:
        axes: laid out.
        points: timed.
    """
    from matplotlib.transforms import Bbox

    centres = axes.transData.transform([(point.milliseconds or 0, point.accuracy) for point in points])
    covered = [Bbox.from_bounds(x - _MARKER, y - _MARKER, 2 * _MARKER, 2 * _MARKER) for x, y in centres]
    for point in sorted(points, key=lambda point: -point.accuracy):
        for offset, alignment in _PLACES:
            text = axes.annotate(
                point.name,
                (point.milliseconds or 0, point.accuracy),
                offset,
                textcoords="offset points",
                ha=alignment,
                fontsize=8,
                fontweight="bold" if point.ours else "normal",
            )
            box = text.get_window_extent()
            if (offset, alignment) == _PLACES[-1] or not any(box.overlaps(other) for other in covered):
                covered.append(box)
                break
            text.remove()


def _draw_sources(axes: Axes, points: Sequence[Point]) -> None:
    ranked = sorted(points, key=lambda point: -point.accuracy)
    for place, source in enumerate(ranked[0].sources):
        axes.plot(
            [point.sources[source] for point in ranked],
            range(len(ranked)),
            _MARKERS[place % len(_MARKERS)],
            color=_SOURCES[place % len(_SOURCES)],
            label=source,
        )
    axes.plot([point.accuracy for point in ranked], range(len(ranked)), "|", color="black", markersize=14, label="mean")
    axes.set_yticks(range(len(ranked)), [point.name for point in ranked])
    for tick, point in zip(axes.get_yticklabels(), ranked, strict=True):
        tick.set_fontweight("bold" if point.ours else "normal")
    axes.invert_yaxis()
    axes.set_xlabel("person IoU by source")
    axes.grid(alpha=0.3)
    axes.legend(**_ABOVE)
