"""The subject, sharp, over another background than its own: blurred, replaced, or none."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from demo_app.backdrops.backdrop import Backdrop
from demo_app.backdrops.disc import DiscBlur
from demo_app.layers import Layers, RefinedLayers, StretchedLayers
from demo_app.matte import Alpha
from edge_deeplab.errors import ImageError
from edge_deeplab.image import Rgb

# An alpha may leave 0..1 by what float32 arithmetic rounds.
_ROUNDING = 1e-3


class Compositor:
    """Composes portraits frame by frame; its buffers are made at the first frame and reused while the size stays.

    Fresh arrays of several megabytes cost page faults at every frame, more than the arithmetic in them.

    Args:
        backdrop: what is behind the subject; None: the background itself, out of focus as by f/2.
        refine: pull the edge of the alpha to the frame's edge, and take the old background out of the colours there.
            Without it, the alpha is only stretched over the frame: the fast mode, for which alphas should be tightened
            (:func:`demo_app.matte.tighten.tighten`).
        hide_subject: privacy: the background stays, to the bit, and the backdrop takes the place of the subject; a blur
            then blurs the person.
    """

    def __init__(self, backdrop: Backdrop | None = None, *, refine: bool = True, hide_subject: bool = False) -> None:
        self._backdrop = DiscBlur() if backdrop is None else backdrop
        self._refine = refine
        self._hide_subject = hide_subject
        self._layers: Layers | None = None

    def __call__(self, frame: Rgb, alpha: Alpha) -> Rgb:
        """Compose one frame.

        Args:
            frame: RGB, uint8, HxWx3.
            alpha: the subject's coverage or probability, float32, 0..1, HxW of any size: it is stretched over the
                frame. A map at the network's size is cheaper than one at the frame's.

        Returns:
            RGB, uint8, HxWx3. Where the coverage is full it is the frame, to the bit. The next call overwrites it: copy
            it to keep it.

        Raises:
            ImageError: a frame or an alpha of another shape or type, or numbers outside 0..1 or not finite in an alpha.
        """
        layers = self._prepare(frame, alpha)
        return layers.over(frame, self._backdrop(frame, layers.small))

    def cut_out(self, frame: Rgb, alpha: Alpha) -> tuple[Rgb, NDArray[np.uint8]]:
        """The subject alone, for files with an alpha channel. Arguments and errors as for a call.

        Returns:
            The subject's colours, RGB, uint8, HxWx3, not multiplied by the coverage, black where there is no subject:
            nothing of the background is left in the file; and its coverage, uint8, HxW. The next call overwrites both.
        """
        layers = self._prepare(frame, alpha)
        return layers.alone(frame), layers.coverage

    @property
    def coverage(self) -> NDArray[np.uint8]:
        """What is kept of the last frame, at its size: uint8, HxW, 255 is the frame. The next call overwrites it.

        That is the subject, or with ``hide_subject`` everything else. Before the first frame it is 0x0.
        """
        return np.zeros((0, 0), np.uint8) if self._layers is None else self._layers.coverage

    def _prepare(self, frame: Rgb, alpha: Alpha) -> Layers:
        _check(frame, alpha)
        if self._layers is None or self._layers.coverage.shape != frame.shape[:2]:
            self._layers = (RefinedLayers if self._refine else StretchedLayers)(*frame.shape[:2])
        # What is kept is the subject of all that follows.
        self._layers.separate(frame, np.subtract(1.0, alpha, dtype=np.float32) if self._hide_subject else alpha)
        return self._layers


def _check(frame: Rgb, alpha: Alpha) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise ImageError(f"a frame must be RGB, uint8, HxWx3, and this one is {frame.dtype} {frame.shape}")
    if alpha.dtype != np.float32 or alpha.ndim != 2 or alpha.size == 0:
        raise ImageError(f"an alpha must be float32, HxW, and this one is {alpha.dtype} {alpha.shape}")
    low, high = float(alpha.min()), float(alpha.max())
    if not (low >= -_ROUNDING and high <= 1.0 + _ROUNDING):  # written so that it catches NaN
        raise ImageError(f"an alpha must be within 0..1, and this one goes from {low:g} to {high:g}: see what made it")
