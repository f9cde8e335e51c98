"""A frame taken apart into subject and background, and put together again over another background."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.matte import Alpha
from demo_app.matte.cells import Cells
from demo_app.matte.foreground import Decontaminator
from demo_app.matte.live import LiveRefiner, Matte
from demo_app.matte.tiles import Rectangle, partition
from edge_deeplab.image import Rgb

MIX_TILE = 128
"""Pixels a side of the tiles that are mixed: smaller ones leave more out, and cost more calls than that is worth."""


class Layers(Protocol):
    """The layers of frames of one size; the buffers are made once."""

    @property
    def coverage(self) -> NDArray[np.uint8]:
        """What is kept, uint8, HxW of the frame."""

    @property
    def small(self) -> NDArray[np.uint8]:
        """The same at a smaller size and not refined, for backdrops."""

    def separate(self, frame: Rgb, alpha: Alpha) -> None:
        """Find the coverage, and where it is mixed."""

    def over(self, frame: Rgb, background: Rgb) -> Rgb:
        """coverage * subject + (1 - coverage) * background, in 8-bit arithmetic; the background is stretched."""

    def alone(self, frame: Rgb) -> Rgb:
        """The subject's colours, 0 outside of it."""


class StretchedLayers:
    """The alpha stretched over the frame, and the frame's colours: the fast way. See :class:`Layers`."""

    def __init__(self, height: int, width: int) -> None:
        self.coverage = self.small = np.zeros((height, width), np.uint8)
        self._out = np.empty((height, width, 3), np.uint8)
        self._share, self._rest, self._part = np.empty((3, min(height, MIX_TILE) * width * 3), np.uint8)
        self._inside: list[Rectangle] = []
        self._edge: list[Rectangle] = []

    def separate(self, frame: Rgb, alpha: Alpha) -> None:
        height, width = self.coverage.shape
        self.small = cv2.convertScaleAbs(alpha, alpha=255.0)  # type: ignore[assignment]
        cv2.resize(self.small, (width, height), dst=self.coverage, interpolation=cv2.INTER_LINEAR)
        self._inside, self._edge = partition(self.small, MIX_TILE, height, width)

    def over(self, frame: Rgb, background: Rgb) -> Rgb:
        stretch(background, self._out)
        for rectangle in self._inside:
            self._out[rectangle] = frame[rectangle]
        for rectangle in self._edge:
            covered = self.coverage[rectangle]
            shape = (*covered.shape, 3)
            share, rest, part = (
                buffer[: covered.size * 3].reshape(shape) for buffer in (self._share, self._rest, self._part)
            )
            cv2.cvtColor(covered, cv2.COLOR_GRAY2RGB, dst=share)
            cv2.bitwise_not(share, dst=rest)
            mix(frame[rectangle], share, self._out[rectangle], rest, part)
        return self._out

    def alone(self, frame: Rgb) -> Rgb:
        self._out.fill(0)
        cv2.copyTo(frame, self.coverage, dst=self._out)
        return self._out


class RefinedLayers:
    """The frame's own edge, and colours there without the old background. See :class:`Layers`."""

    def __init__(self, height: int, width: int) -> None:
        self._refiner = LiveRefiner(height, width)
        self._grid = self._refiner.grid
        self._decontaminator = Decontaminator(self._grid)
        self._matte: Matte | None = None
        self.coverage = self.small = self._covered = np.zeros((height, width), np.uint8)
        self._full = np.empty((height, width), np.bool_)
        self._in_cells = self._grid.empty(3)
        self._out = np.empty((height, width, 3), np.uint8)

    def separate(self, frame: Rgb, alpha: Alpha) -> None:
        self._matte = matte = self._refiner(frame, alpha)
        self._decontaminator.learn(matte)
        self.coverage = self._grid.cropped_into(matte.in_cells, self._covered)
        self.small = cv2.convertScaleAbs(matte.given, alpha=255.0)  # type: ignore[assignment]

    def over(self, frame: Rgb, background: Rgb) -> Rgb:
        stretch(background, self._grid.cropped(self._in_cells))
        self._keep_subject(frame)
        for cells, share, rest, subject in self._edge():
            mixed = self._grid.gather(self._in_cells, cells)
            planes = cv2.split(mixed)
            for colour, plane in zip(subject, planes, strict=True):
                mix(colour, share, plane, rest, colour)  # type: ignore[arg-type]
            cv2.merge(planes, dst=mixed)
            self._grid.put(mixed, cells, self._in_cells)
        return self._grid.cropped_into(self._in_cells, self._out)

    def alone(self, frame: Rgb) -> Rgb:
        self._in_cells.fill(0)
        self._keep_subject(frame)
        for cells, share, _, subject in self._edge():
            colours: Rgb = cv2.merge(subject)  # type: ignore[assignment]
            colours[share == 0] = 0
            self._grid.put(colours, cells, self._in_cells)
        return self._grid.cropped_into(self._in_cells, self._out)

    def _keep_subject(self, frame: Rgb) -> None:
        """The frame where all is subject."""
        np.equal(self.coverage, 255, out=self._full)
        cv2.copyTo(frame, self._full.view(np.uint8), dst=self._grid.cropped(self._in_cells))

    def _edge(self) -> Iterator[tuple[Cells, NDArray[np.uint8], NDArray[np.uint8], list[NDArray[np.uint8]]]]:
        """Cells at the edge; there coverage and complement, uint8, n x area, and the subject's red, green and blue."""
        matte = self._matte
        if matte is None:
            return
        for cells in self._grid.batches(matte.partly):
            share = self._grid.gather(matte.in_cells, cells)
            rest: NDArray[np.uint8] = cv2.bitwise_not(share)  # type: ignore[assignment]
            planes: list[NDArray[np.uint8]] = list(cv2.split(self._grid.gather(matte.pixels, cells)))  # type: ignore[arg-type]
            self._decontaminator.remove(planes, rest, cells)
            yield cells, share, rest, planes


def stretch(background: Rgb, out: Rgb) -> None:
    """Fill a picture with a backdrop of any size."""
    # Bicubic: stretched bilinearly, a bright spot shows the grid of the small picture.
    cv2.resize(background, out.shape[1::-1], dst=out, interpolation=cv2.INTER_CUBIC)


def mix(
    subject: NDArray[np.uint8],
    share: NDArray[np.uint8],
    background: NDArray[np.uint8],
    rest: NDArray[np.uint8],
    part: NDArray[np.uint8],
) -> None:
    """background <- share * subject + rest * background, in 8-bit arithmetic; uint8, of one shape all five.

    Args:
        subject: its colours.
        share: the coverage; 255 is all subject, to the bit.
        background: its colours; overwritten by the mixture.
        rest: 255 - coverage.
        part: overwritten by the subject's part of the mixture; may be the subject.
    """
    cv2.multiply(subject, share, dst=part, scale=1.0 / 255.0)
    cv2.multiply(background, rest, dst=background, scale=1.0 / 255.0)
    cv2.add(background, part, dst=background)
