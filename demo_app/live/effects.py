"""Which parts make which picture: the one place that knows the modes of the demo and their compositors."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from demo_app.aperture import PRIVACY_F_NUMBER
from demo_app.backdrops.backdrop import Backdrop
from demo_app.backdrops.colour import Colour, ColourBackdrop
from demo_app.backdrops.disc import DiscBlur
from demo_app.backdrops.gaussian import GaussianBlur
from demo_app.compositor import Compositor
from demo_app.frame import Frame
from demo_app.live.controls import Mode
from demo_app.live.governor import Quality
from demo_app.matte import Alpha
from demo_app.matte.conceal import conceal
from demo_app.matte.tighten import tighten
from edge_deeplab.image import Rgb

CHROMA_GREEN: Colour = (0, 177, 64)
"""What other programs take out most easily."""

# As picture editors show transparency.
_SQUARE, _LIGHT, _DARK = 24, 204, 153


class Effect:
    """A mode, a strength and a quality, ready to be used frame by frame.

    Args:
        backdrop: what is behind the subject, or in privacy in place of it.
        mode: what is done.
        refine: pull the matte's edge to the frame's, and clean the colours there; never in privacy, which hides more
            than the person.
    """

    def __init__(self, backdrop: Backdrop, mode: Mode, *, refine: bool) -> None:
        self._hides = mode is Mode.PRIVACY
        self._refine = refine and not self._hides
        self._compositor = Compositor(backdrop, refine=self._refine, hide_subject=self._hides)
        self._cuts_out = mode is Mode.CUT_OUT

    def compose(self, frame: Rgb, alpha: Alpha) -> Rgb:
        """(RGB, uint8, HxWx3; the matte) -> the portrait, likewise; the next call overwrites it."""
        return self._compositor(frame, self._prepared(frame, alpha))

    def still(self, frame: Frame, alpha: Alpha) -> Frame:
        """The same for a file that is looked at for longer: a cut-out has its coverage instead of a checkerboard."""
        if not self._cuts_out:
            return replace(frame, rgb=self.compose(frame.rgb, alpha))
        colours, coverage = self._compositor.cut_out(frame.rgb, self._prepared(frame.rgb, alpha))
        return replace(frame, rgb=colours, alpha=coverage)

    def _prepared(self, frame: Rgb, alpha: Alpha) -> Alpha:
        if self._hides:
            return conceal(alpha)
        return alpha if self._refine else tighten(frame, alpha)


class Effects:
    """Makes effects when they are asked for, and keeps the one in use with its buffers.

    Args:
        colour: behind the subject in the mode of that name, sRGB.
        picture: what is behind the subject in the mode of that name; None: there is no such mode.
    """

    def __init__(self, colour: Colour = CHROMA_GREEN, picture: Backdrop | None = None) -> None:
        self._colour = colour
        self._picture = picture
        self._key: tuple[Mode, float, Quality] | None = None
        self._effect: Effect | None = None

    @property
    def modes(self) -> tuple[Mode, ...]:
        """Those that can be had."""
        return tuple(mode for mode in Mode if mode is not Mode.PICTURE or self._picture is not None)

    def __call__(self, mode: Mode, f_number: float, quality: Quality) -> Effect:
        """The effect.

        Args:
            mode: one of ``modes``.
            f_number: see :mod:`demo_app.aperture`. Privacy has one of its own, which hides.
            quality: fast takes a Gaussian in place of discs, and does not refine the edge.
        """
        key = (mode, f_number, quality)
        if self._effect is None or key != self._key:
            if mode is Mode.FAST_BLUR:
                quality = Quality.FAST
            backdrop = self._backdrop(mode, f_number, quality)
            self._key, self._effect = key, Effect(backdrop, mode, refine=quality is Quality.FULL)
        return self._effect

    def _backdrop(self, mode: Mode, f_number: float, quality: Quality) -> Backdrop:
        match mode:
            case Mode.PRIVACY:
                return _blur(PRIVACY_F_NUMBER, quality)
            case Mode.COLOUR:
                return ColourBackdrop(self._colour)
            case Mode.PICTURE if self._picture is not None:
                return self._picture
            case Mode.CUT_OUT:
                return _Checkerboard()
            case Mode.BLUR | Mode.FAST_BLUR | Mode.PICTURE:
                return _blur(f_number, quality)


def _blur(f_number: float, quality: Quality) -> Backdrop:
    return DiscBlur(f_number) if quality is Quality.FULL else GaussianBlur(f_number)


class _Checkerboard:
    """A :class:`~demo_app.backdrops.backdrop.Backdrop` of grey squares."""

    def __init__(self) -> None:
        self._for_size = lru_cache(maxsize=1)(self._make)

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        return self._for_size(*frame.shape[:2])

    def _make(self, height: int, width: int) -> Rgb:
        rows, columns = np.ogrid[:height, :width]
        light = (rows // _SQUARE + columns // _SQUARE) % 2 == 0
        return np.repeat(np.where(light, _LIGHT, _DARK).astype(np.uint8)[:, :, None], 3, axis=2)
