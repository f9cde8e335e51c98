"""The matte of each frame: by the network, or between two runs of it by the smoother's own means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from demo_app.matte import Alpha
from edge_deeplab.image import Rgb


class Smoother(Protocol):
    """Temporal smoothing, such as :class:`demo_app.temporal.smoothing.MatteSmoother`: it sees every frame."""

    @property
    def needs_mask(self) -> bool:
        """Whether the next frame must be one that the network has seen: at the start and after a cut."""
        ...

    def __call__(self, frame: Rgb, alpha: Alpha) -> Alpha:
        """The matte of a frame that the network has seen, from its raw probability; the caller's to keep."""
        ...

    def between(self, frame: Rgb) -> Alpha:
        """The matte of a frame that the network has not seen, from those before; the caller's to keep."""
        ...


class Matting:
    """Runs the network on every n-th frame. Called by one thread.

    Args:
        segment: frame -> probability of a person, float32, HxW of any size.
        smooth: what damps flicker, and fills in between.
        interval: says n, 1 or more, whenever it is asked; another thread may change it.
        shrink: makes of a frame what both of them look at, such as :meth:`edge_deeplab.segmenter.Segmenter.shrunk`: a
            step that both would take is taken once; None: they look at the frame.
    """

    def __init__(
        self,
        segment: Callable[[Rgb], Alpha],
        smooth: Smoother,
        interval: Callable[[], int],
        shrink: Callable[[Rgb], Rgb] | None = None,
    ) -> None:
        self._segment = segment
        self._smooth = smooth
        self._interval = interval
        self._shrink = shrink
        self._since = 0

    def __call__(self, frame: Rgb) -> tuple[Alpha, bool]:
        """One frame, RGB, uint8, HxWx3 -> (its matte, float32, 0..1; whether the network ran)."""
        if self._shrink is not None:
            frame = self._shrink(frame)
        self._since += 1
        if self._smooth.needs_mask or self._since >= self._interval():
            self._since = 0
            return self._smooth(frame, self._segment(frame)), True
        return self._smooth.between(frame), False
