"""The subject, sharp, over another background than its own: blurred, replaced, or none."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.backdrops.backdrop import Backdrop
from demo_app.backdrops.disc import DiscBlur
from demo_app.matte import Alpha
from demo_app.matte.foreground import Decontaminator
from demo_app.matte.live import LiveRefiner
from demo_app.matte.tiles import Rectangle, partition
from edge_deeplab.errors import ImageError
from edge_deeplab.image import Rgb

# An alpha may leave 0..1 by what float32 arithmetic rounds.
_ROUNDING = 1e-3

MIX_TILE = 32
"""Pixels a side of the tiles that are mixed: smaller ones leave more out and cost more calls."""


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
        self._layers: _Layers | None = None

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

    def _prepare(self, frame: Rgb, alpha: Alpha) -> _Layers:
        _check(frame, alpha)
        if self._layers is None or self._layers.coverage.shape != frame.shape[:2]:
            self._layers = _Layers(*frame.shape[:2], refine=self._refine)
        # What is kept is the subject of all that follows.
        self._layers.separate(frame, np.subtract(1.0, alpha, dtype=np.float32) if self._hide_subject else alpha)
        return self._layers


def mix(subject: Rgb, share: NDArray[np.uint8], background: Rgb, rest: NDArray[np.uint8]) -> None:
    """background <- share * subject + rest * background, in 8-bit arithmetic; uint8, HxWx3 all four.

    Args:
        subject: RGB; overwritten by its part of the mixture.
        share: the coverage, three times; 255 is all subject, to the bit.
        background: RGB; overwritten by the mixture.
        rest: 255 - coverage, three times.
    """
    cv2.multiply(subject, share, dst=subject, scale=1.0 / 255.0)
    cv2.multiply(background, rest, dst=background, scale=1.0 / 255.0)
    cv2.add(background, subject, dst=background)


def _check(frame: Rgb, alpha: Alpha) -> None:
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise ImageError(f"a frame must be RGB, uint8, HxWx3, and this one is {frame.dtype} {frame.shape}")
    if alpha.dtype != np.float32 or alpha.ndim != 2 or alpha.size == 0:
        raise ImageError(f"an alpha must be float32, HxW, and this one is {alpha.dtype} {alpha.shape}")
    low, high = float(alpha.min()), float(alpha.max())
    if not (low >= -_ROUNDING and high <= 1.0 + _ROUNDING):  # written so that it catches NaN
        raise ImageError(f"an alpha must be within 0..1, and this one goes from {low:g} to {high:g}: see what made it")


class _Layers:
    """A frame taken apart, and put together again: the buffers for frames of one size.

    Attributes:
        coverage: what is kept, uint8, HxW of the frame.
        small: the same at a smaller size and not refined, for backdrops.
    """

    def __init__(self, height: int, width: int, *, refine: bool) -> None:
        self.coverage: NDArray[np.uint8] = np.empty((height, width), np.uint8)
        self.small: NDArray[np.uint8] = self.coverage
        self._out = np.empty((height, width, 3), np.uint8)
        self._inside: list[Rectangle] = []
        self._edge: list[Rectangle] = []
        largest = min(height, MIX_TILE), width
        self._share, self._rest, self._part = np.empty((3, largest[0] * width * 3), np.uint8)
        self._refiner = LiveRefiner(height, width) if refine else None
        self._decontaminator: Decontaminator | None = None
        if self._refiner is not None:
            self._decontaminator = Decontaminator(*self._refiner.grid, self._refiner.cell, largest)

    def separate(self, frame: Rgb, alpha: Alpha) -> None:
        """Find the coverage, and which rectangles are all subject and which are its edge."""
        if self._refiner is not None and self._decontaminator is not None:
            matte = self._refiner(frame, alpha)
            self._decontaminator.learn(matte)
            self.coverage = matte.coverage
            self.small = cv2.convertScaleAbs(matte.given, alpha=255.0)  # type: ignore[assignment]
        else:
            self.small = cv2.convertScaleAbs(alpha, alpha=255.0)  # type: ignore[assignment]
            height, width = self.coverage.shape
            cv2.resize(self.small, (width, height), dst=self.coverage, interpolation=cv2.INTER_LINEAR)
        self._inside, self._edge = partition(self.coverage, MIX_TILE)

    def over(self, frame: Rgb, background: Rgb) -> Rgb:
        """coverage * subject + (1 - coverage) * background, in 8-bit arithmetic; the background is stretched."""
        height, width = self.coverage.shape
        out = self._out
        # Bicubic: stretched bilinearly, a bright spot shows the grid of the small picture.
        cv2.resize(background, (width, height), dst=out, interpolation=cv2.INTER_CUBIC)
        for rectangle in self._inside:
            out[rectangle] = frame[rectangle]
        for rectangle in self._edge:
            share, rest, subject = self._subject(frame, rectangle)
            mix(subject, share, out[rectangle], rest)
        return out

    def alone(self, frame: Rgb) -> Rgb:
        """The subject's colours, 0 outside of it."""
        out = self._out
        out.fill(0)
        for rectangle in self._inside:
            out[rectangle] = frame[rectangle]
        for rectangle in self._edge:
            subject = self._subject(frame, rectangle)[2]
            subject[self.coverage[rectangle] == 0] = 0
            out[rectangle] = subject
        return out

    def _subject(self, frame: Rgb, rectangle: Rectangle) -> tuple[NDArray[np.uint8], NDArray[np.uint8], Rgb]:
        """Coverage and its complement, three times each, and the subject's colour, uint8, hxwx3, in one rectangle."""
        covered = self.coverage[rectangle]
        shape = (*covered.shape, 3)
        share, rest, subject = (
            buffer[: covered.size * 3].reshape(shape) for buffer in (self._share, self._rest, self._part)
        )
        cv2.cvtColor(covered, cv2.COLOR_GRAY2RGB, dst=share)
        cv2.bitwise_not(share, dst=rest)
        if self._decontaminator is None:
            np.copyto(subject, frame[rectangle])
        else:
            self._decontaminator.remove(frame, rectangle, rest, subject)
        return share, rest, subject
