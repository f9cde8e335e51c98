"""The subject's own colour at its edge, without the background that the camera mixed into it.

Where the coverage is a half, half of the colour is the old background's: a bright window behind dark hair stays as a
bright rim over any new backdrop. The local mean colours of subject and background, F and B, tell how far the mixture
is off, and the colour is moved by

    (1 - alpha) * (F - B),

which is "blurred fusion" (Forte 2021, "Approximate Fast Foreground Colour Estimation", ICIP) with a full step towards
the observed mixture: in hair before a bright window closer than the step of alpha that the paper takes, elsewhere the
same.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.matte import Alpha
from demo_app.matte.guided_filter import box_mean
from demo_app.matte.live import Matte
from demo_app.matte.tiles import CellMap, Rectangle
from edge_deeplab.image import Rgb

# Cells to each side over which colours are averaged: true alpha, hair: 2 leaves twice the error of 5, 8 no less than 5.
# At smooth shoulders fewer are better.
_RADIUS = 4

# Where nearly all is subject or nearly all is background, there is no other side to compare with: no shift.
_LEAST = 0.004


class Decontaminator:
    """Moves edge colours from the mixture to the subject, for frames of one size.

    Args:
        rows: of cells of the matte.
        columns: of cells.
        cell: pixels a side of a cell.
        largest: rows and columns of the largest rectangle that is asked for.
    """

    def __init__(self, rows: int, columns: int, cell: int, largest: tuple[int, int]) -> None:
        self._difference = CellMap(rows, columns, cell, 3, largest)
        self._shift = np.empty(largest[0] * largest[1] * 3, np.float32)

    def learn(self, matte: Matte) -> None:
        """Take the local colours of subject and background from a frame's matte."""
        planes = [_difference(plane, matte.alpha) for plane in matte.colours]
        self._difference.fill(cv2.merge(planes))  # type: ignore[arg-type]

    def remove(self, frame: Rgb, rectangle: Rectangle, background: NDArray[np.uint8], out: Rgb) -> None:
        """Write the subject's colour in one rectangle.

        Args:
            frame: RGB, uint8, HxWx3, of the last matte.
            rectangle: where.
            background: 255 - coverage there, three times: uint8, hxwx3. Where it is 0, the colour is the frame's.
            out: RGB, uint8, hxwx3.
        """
        shift = self._shift[: out.size].reshape(out.shape)
        # Colours of the planes are in 0..1 and shares in 0..255: their product is a shift in code values.
        cv2.multiply(background, self._difference.stretched(rectangle), dst=shift, dtype=cv2.CV_32F)
        cv2.add(frame[rectangle], shift, dst=out, dtype=cv2.CV_8U)  # rounded and clipped


def _difference(plane: Alpha, alpha: Alpha) -> Alpha:
    """Mean colour of the subject less that of the background around every cell, float32, HxW, -1..1."""
    share = box_mean(alpha, _RADIUS)
    every = box_mean(plane, _RADIUS)
    subject = box_mean(plane * alpha, _RADIUS)
    foreground = (subject + _LEAST * every) / (share + _LEAST)
    background = (every * (1.0 + _LEAST) - subject) / (1.0 + _LEAST - share)
    difference: Alpha = foreground - background
    return difference
