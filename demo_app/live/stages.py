"""The live pipeline's work on one frame, cut where its stages meet, so that each of them can be timed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from demo_app.backdrops.disc import DiscBlur
from demo_app.backdrops.gaussian import GaussianBlur
from demo_app.layers import Layers, RefinedLayers, StretchedLayers
from demo_app.live.governor import Quality
from demo_app.matte import Alpha
from demo_app.matte.tighten import tighten
from demo_app.temporal.smoothing import MatteSmoother
from edge_deeplab.image import Rgb, resize_area
from edge_deeplab.runtime.session import Session
from edge_deeplab.segmenter import Segmenter

Result = TypeVar("Result")


class StageClock(Protocol):
    """Does the work of a stage, and may note how long it took."""

    def __call__(self, stage: str, work: Callable[[], Result], /) -> Result:
        """The work's result."""
        ...


class StagedPortrait:
    """What the demo does with each frame of a film, stage by stage on one thread: the same portraits, to the bit.

    The stages, by their names: "resize" (to the network's size), "network", "smooth" (over time), "matte" (pulled to
    the frame's edge, or in the fast quality steepened and stretched), "blur" (of the background), "mix" (of both).

    Args:
        session: of a model that knows persons; whoever opened it closes it.
        height: rows of the frames.
        width: columns of the frames.
        quality: as of :class:`demo_app.live.effects.Effects`, whose blur this is.

    Raises:
        ModelFileError: none of the model's classes is "person".
    """

    def __init__(self, session: Session, height: int, width: int, quality: Quality) -> None:
        self._segmenter = Segmenter(session)
        self._input = (session.height, session.width)
        self._smooth = MatteSmoother()
        self._refines = quality is Quality.FULL
        self._backdrop = DiscBlur() if self._refines else GaussianBlur()
        self._layers: Layers = (RefinedLayers if self._refines else StretchedLayers)(height, width)

    def __call__(self, frame: Rgb, clock: StageClock) -> Rgb:
        """One frame.

        Args:
            frame: RGB, uint8, HxWx3.
            clock: told of each stage, in their order.

        Returns:
            The portrait, RGB, uint8, HxWx3. The next call overwrites it.
        """
        shrunk, pixels = clock("resize", lambda: self._to_network(frame))
        # At the network's size already: nothing is left of the segmenter but the network.
        mask = clock("network", lambda: self._segmenter.coarse(pixels))
        alpha = clock("smooth", lambda: self._smooth(shrunk, mask))
        clock("matte", lambda: self._separate(frame, alpha))
        background = clock("blur", lambda: self._backdrop(frame, self._layers.small))
        return clock("mix", lambda: self._layers.over(frame, background))

    def _to_network(self, frame: Rgb) -> tuple[Rgb, Rgb]:
        shrunk = self._segmenter.shrunk(frame)
        return shrunk, resize_area(shrunk, *self._input)

    def _separate(self, frame: Rgb, alpha: Alpha) -> None:
        self._layers.separate(frame, alpha if self._refines else tighten(frame, alpha))
