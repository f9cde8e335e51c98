"""The frame loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from demo_app.frame import Frame
from demo_app.matte import Alpha
from edge_deeplab.image import Rgb


def run(
    frames: Iterable[Frame],
    segment: Callable[[Rgb], Alpha],
    smooth: Callable[[Rgb, Alpha], Alpha],
    compose: Callable[[Rgb, Alpha], Rgb],
) -> Iterator[Frame]:
    """Turn frames into portraits, one by one and in order.

    Args:
        frames: what a source gives.
        segment: frame -> probability of a person, float32, HxW of any size.
        smooth: (frame, alpha) -> the alpha to use: an edge refined, or a flicker damped.
        compose: (frame, alpha) -> portrait, RGB, uint8, of the frame's size.

    Returns:
        The portraits under their frames' names. The pixels of one may be overwritten when the next is asked for:
        use or copy them first.
    """
    for frame in frames:
        alpha = smooth(frame.rgb, segment(frame.rgb))
        yield replace(frame, rgb=compose(frame.rgb, alpha))
