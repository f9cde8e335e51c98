"""Light that the sensor could not count: what is blown out counts as more than white.

A lamp and a sheet of paper are both code 255, yet out of focus the lamp is a bright disc and the paper is not: the lamp
was many times brighter than 255 says. Here a blown-out pixel gets a larger share of the blur's mean, in its numerator
and in its denominator alike,

    sum((w + g) * colour) / sum(w + g),    w background weight, g extra weight of a highlight.

Against plain gain in the numerator alone, the mean cannot exceed the colours it is made of: x / (1 + x) is its
shoulder, so that nothing clips and a white wall stays white. And because the weight is one for all three channels,
lamps keep their colour. (Gain per channel turns every warm lamp neon orange.)
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.backdrops.planes import Halving, Pixel, band_rows, in_rows, shrink
from demo_app.linear_light import SRGB_TO_LINEAR

# The darkest of the three channels decides: from ONSET on a pixel is taken for blown out, by the square of what it is
# above (no step at the onset), fully so from ONSET + 16 on, where uint8 saturates. Cameras' tone curves bend towards
# white well below 255.
ONSET = 224

# How much brighter than white a small lamp is taken for: 40 is five stops and a bit.
GAIN = 40.0

# Large bright areas are walls, windows and skies rather than lamps, and must not grow over what is beside them: the
# gain is divided by 1 + CROWDING * (share of blown-out pixels within a disc's reach). An area that fills half of the
# reach, as along a wall's edge, is left with a gain of 1.5.
CROWDING = 50.0

# A white collar is no lamp. With this gain even the little of it in a pixel that the subject covers in part would shine
# all over the background, so that highlights count only where less than a quarter is subject.
_CLEAR = (1.0 - np.arange(256) / 63.75).clip(0.0).astype(np.float32)

_ONSET_LIGHT = int(SRGB_TO_LINEAR[ONSET])


class Highlights:
    """Finds blown-out light in frames of one size and adds its weight; every buffer is made once.

    Args:
        height: rows of the frames.
        width: columns of the frames.
        factor: by which the blur's picture is smaller; a power of two.
        radius: of the blur's disc, in pixels of the blur's picture.
    """

    def __init__(self, height: int, width: int, factor: int, radius: float) -> None:
        halve = min(factor, 2)
        rows, columns = math.ceil(height / halve), math.ceil(width / halve)
        self._found = np.empty((1, rows, columns), np.uint8)
        self._shrink: Halving[np.uint8] = Halving(1, rows, columns, np.uint8, max(1, factor // 2))
        band = band_rows(height, width, halve=halve == 2)
        self._excess = np.empty((1, band, width), np.uint8)
        self._onset = np.full((band, width), ONSET, np.uint8)

        size = self._shrink.size
        self._reach = 2 * round(radius) + 1
        self._darkest = np.empty(size, np.uint16)
        self._extra = np.empty(size, np.float32)
        self._crowd = np.empty(size, np.float32)
        self._times = np.empty((3, *size), np.float32)
        self._bright = np.empty((3, *size), np.uint16)

    def look(self, rows: slice, planes: NDArray[np.uint8]) -> None:
        """Find how blown out each pixel of a band is.

        It is found at the frame's size, before any averaging: a lamp of few pixels that moves by one must not come and
        go with the grid of the shrunk picture.

        Args:
            rows: of the band, at half the frame's size (or at its size, if nothing shrinks).
            planes: of the band, uint8, 3xhxW.
        """
        excess = self._excess[:, : planes.shape[1]]
        _least(planes, excess[0])
        cv2.subtract(excess[0], self._onset[: planes.shape[1]], dst=excess[0])
        cv2.multiply(excess[0], excess[0], dst=excess[0])
        shrink(excess, self._found[:, rows])

    def __call__(
        self,
        linear: NDArray[np.uint16],
        colour: NDArray[np.float32],
        weight: NDArray[np.float32],
        subject: NDArray[np.uint8],
    ) -> None:
        """Add the highlights' extra weight to ``weight`` (float32, HxW) and their light to ``colour`` (float32, 3xHxW).

        All bands of the frame have been looked at.

        Args:
            linear: the frame in linear light, shrunk, uint16, 3xHxW.
            colour: weight * linear.
            weight: how much background each pixel is, 0..1.
            subject: the subject, grown so that it covers what is its own, uint8, HxW, 0..255.
        """
        (share,) = self._shrink(self._found)
        cv2.LUT(subject, _CLEAR, dst=self._extra)
        cv2.multiply(share, self._extra, dst=self._extra, scale=1.0 / 255.0, dtype=cv2.CV_32F)
        cv2.boxFilter(self._extra, -1, (self._reach, self._reach), dst=self._crowd)
        # extra <- extra * GAIN / (1 + CROWDING * crowd)
        np.multiply(self._crowd, CROWDING / GAIN, out=self._crowd)
        np.add(self._crowd, 1.0 / GAIN, out=self._crowd)
        np.divide(self._extra, self._crowd, out=self._extra)
        # A lamp smaller than a pixel of the shrunk picture has lost its brightness to what is around it, but it was at
        # least as bright as the onset in all channels. Where all of the pixel is blown out this changes nothing.
        darkest = _least(linear, self._darkest)
        np.maximum(darkest, 1, out=darkest)
        cv2.divide(float(_ONSET_LIGHT), darkest, dst=self._crowd, dtype=cv2.CV_32F)
        np.maximum(self._crowd, 1.0, out=self._crowd)
        times, bright = in_rows(self._times), in_rows(self._bright)
        self._times[:] = self._crowd
        cv2.multiply(in_rows(linear), times, dst=bright, dtype=cv2.CV_16U)
        self._times[:] = self._extra
        cv2.multiply(bright, times, dst=times, dtype=cv2.CV_32F)
        cv2.add(in_rows(colour), times, dst=in_rows(colour))
        cv2.add(weight, self._extra, dst=weight)


def _least(planes: NDArray[Pixel], out: NDArray[Pixel]) -> NDArray[Pixel]:
    """The smallest of the three channels of each pixel: 3xHxW -> HxW, in ``out``, which is returned."""
    cv2.min(planes[0], planes[1], dst=out)
    cv2.min(out, planes[2], dst=out)
    return out
