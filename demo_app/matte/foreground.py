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

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.matte import Alpha
from demo_app.matte.cells import CellMap, Cells, Grid
from demo_app.matte.guided_filter import box_mean
from demo_app.matte.live import Matte

# Cells to each side over which colours are averaged: true alpha, hair: 2 leaves twice the error of 5, 8 no less than 5.
# At smooth shoulders fewer are better.
_RADIUS = 4

# Where nearly all is subject or nearly all is background, there is no other side to compare with: no shift.
_LEAST = 0.004


class Decontaminator:
    """Moves edge colours from the mixture to the subject, for frames of one size.

    Args:
        grid: the matte's cells.
    """

    def __init__(self, grid: Grid) -> None:
        self._difference = CellMap(grid, 3)

    def learn(self, matte: Matte) -> None:
        """Take the local colours of subject and background from a frame's matte."""
        self._difference.fill(colour_differences(matte.colours, matte.alpha, _RADIUS))

    def remove(self, planes: Sequence[NDArray[np.uint8]], background: NDArray[np.uint8], cells: Cells) -> None:
        """Leave the subject's colour in some cells of the last matte's frame.

        Args:
            planes: red, green and blue, uint8, n x area each; overwritten.
            background: 255 - coverage, uint8, n x area. Where it is 0, the colour stays the frame's.
            cells: which they are.
        """
        for plane, shift in zip(planes, self._difference.stretched(cells), strict=True):
            # Colours of the planes are in 0..1 and shares in 0..255: their product is a shift in code values.
            np.multiply(shift, background, out=shift)
            cv2.add(plane, shift, dst=plane, dtype=cv2.CV_8U)  # rounded and clipped


def colour_differences(planes: Sequence[Alpha], alpha: Alpha, radius: int) -> list[Alpha]:
    """Mean colour of the subject less that of the background around every pixel, float32, HxW, -1..1, by channel.

    Args:
        planes: the channels of the picture, float32, HxW, 0..1.
        alpha: the subject, float32, HxW, 0..1.
        radius: pixels to each side over which it is averaged.
    """
    # With s = share, and e and m the means of the colour and of what the subject has of it, the two sides' colours are
    # F = (m + least e) / (s + least) and B = (e - m + least e) / (1 - s + least). Sorted by m and e, their difference
    # has factors that all channels share.
    share = box_mean(alpha, radius)
    of_subject, of_background = 1.0 / (share + _LEAST), 1.0 / (1.0 + _LEAST - share)
    by_part = of_subject + of_background
    by_whole = of_subject * np.float32(_LEAST) - of_background * np.float32(1.0 + _LEAST)
    return [box_mean(plane * alpha, radius) * by_part + box_mean(plane, radius) * by_whole for plane in planes]
