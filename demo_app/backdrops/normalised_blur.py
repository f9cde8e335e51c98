"""The background out of focus, as if the subject were not there.

A plain blur of the frame smears the subject's colours into the background around it: the halo that gives a cheap
portrait effect away. Here every pixel counts by how much background it is,

    blur(weight * colour) / blur(weight),

a normalised convolution (Knutsson and Westin 1993, "Normalized and differential convolution"), in linear light. The
blur itself is the caller's, and so is whether highlights count more than their code values say.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.backdrops.highlights import Highlights
from demo_app.backdrops.planes import Bands, Halving, in_rows, shrink
from demo_app.linear_light import SRGB_TO_LINEAR, encode
from edge_deeplab.image import Rgb

Spread = Callable[[NDArray[np.float32], NDArray[np.float32]], None]
"""A linear blur of one plane: float32, HxW, in; the same out, written to the second array, which is another one."""

# The network's edge is off by a pixel or two of its 256: the subject is grown by this share of the longer side, so that
# what it loses there is not taken for background.
_GROWTH = 1.5 / 256

# Background weight of the subject itself. Where no background is near it gives the plain blur instead of 0 / 0; where
# some is, its share is under a hundredth of one code value of halo.
_SUBJECT_WEIGHT = 1e-4

# Variance, in pixels^2 of the shrunk picture, that bicubic stretching takes away: with this, discs of 0.7 to 1.3 pixels
# come closest to the sampling for photos.
_SHARPENING = 0.04

# A pixel of the shrunk picture that is half subject is mixed of both. On pictures smaller than this along their longer
# side, such pixels are so large a part of a head that the strongest blurs show its colour in the background.
_LEAST_SIDE = 64

_WEIGHTS = (1.0 - np.arange(256) / 255.0).clip(_SUBJECT_WEIGHT).astype(np.float32)


@dataclass(frozen=True)
class Sampling:
    """How many pixels of the shrunk picture a blur's extent (a radius or a standard deviation) has at least.

    Attributes:
        by_2: where the frame is shrunk by 2: that loses details of two pixels, which are hard to see in any blur.
        by_4: where it is shrunk by 4.
        by_8: where it is shrunk by 8 or more.
    """

    by_2: float
    by_4: float
    by_8: float

    def scaled(self, share: float) -> Sampling:
        """Each of the numbers times ``share``."""
        return Sampling(share * self.by_2, share * self.by_4, share * self.by_8)

    def least(self, factor: int) -> float:
        """The number for a factor, a power of two from 2 on."""
        return {2: self.by_2, 4: self.by_4}.get(factor, self.by_8)


def shrink_factor(extent: float, sampling: Sampling, height: int, width: int) -> int:
    """The largest power of two by which a frame may be shrunk for its blur.

    Args:
        extent: of the blur in pixels of the frame (radius or standard deviation).
        sampling: what the extent must keep.
        height: rows of the frame.
        width: columns of the frame.
    """
    factor = 2
    while extent / factor >= sampling.least(factor) and max(height, width) / factor >= _LEAST_SIDE:
        factor *= 2
    return factor // 2


def remaining_variance(variance: float, factor: int) -> float:
    """What is left to the blur of a shrunk picture: taking the mean of squares of pixels has blurred it already.

    Args:
        variance: of the whole blur along each axis, in pixels^2 of the frame.
        factor: by which the frame was shrunk.

    Returns:
        Pixels^2 of the shrunk picture, 0 or more.
    """
    if factor == 1:
        return variance
    return max(0.0, (variance - (factor**2 - 1) / 12.0) / factor**2 + _SHARPENING)


def unblurred(frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
    """The backdrop of a blur under a pixel: the frame itself."""
    return frame


class NormalisedBlur:
    """Blur of the background alone, for frames of one size; every buffer is made once.

    Args:
        height: rows of the frames.
        width: columns of the frames.
        factor: by which the blur runs on a smaller picture; a power of two.
        spread: the blur at that size.
        highlights: makes blown-out light count more; None: every background pixel counts alike.
    """

    def __init__(
        self, height: int, width: int, factor: int, spread: Spread, highlights: Highlights | None = None
    ) -> None:
        self._spread = spread
        self._highlights = highlights
        # Halving before linear light costs 0.4 dB and saves three quarters of the largest table look-up.
        halve = min(factor, 2)
        self._bands = Bands(height, width, halve=halve == 2)
        rows, columns = math.ceil(height / halve), math.ceil(width / halve)
        self._coded = np.empty((3, rows, columns), np.uint8)
        self._light = np.empty((3, rows, columns), np.uint16)
        self._linear: Halving[np.uint16] = Halving(3, rows, columns, np.uint16, max(1, factor // 2))
        size = self._linear.size
        radius = max(1, round(_GROWTH * max(size)))
        self._grown = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        self._subject = np.empty(size, np.uint8)
        self._weights = np.empty((3, *size), np.float32)
        self._weighted = np.empty((4, *size), np.float32)  # red, green, blue, weight
        self._blurred = np.empty((4, *size), np.float32)
        self._mean = np.empty((3, *size), np.uint16)
        self._code = np.empty((3, *size), np.uint8)
        self._out = np.empty((*size, 3), np.uint8)

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """Blur one frame.

        Args:
            frame: RGB, uint8, (height, width, 3).
            coverage: the subject, uint8, 0..255, HxW of any size: it is stretched over the frame.

        Returns:
            RGB, uint8, shrunk by the factor; the next call overwrites it.
        """
        cv2.merge(tuple(encode(self._blur(frame, coverage), self._code)), dst=self._out)
        return self._out

    def light(self, frame: Rgb, coverage: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """As :meth:`__call__`, in linear light, uint16, 0..65535: for photos, which are rounded last."""
        return cv2.merge(tuple(self._blur(frame, coverage)))  # type: ignore[no-any-return]

    def _blur(self, frame: Rgb, coverage: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """The blurred planes in linear light, uint16, 0..65535, 3xHxW."""
        for band, planes in self._bands(frame):
            shrink(planes, self._coded[:, band])
            if self._highlights is not None:
                self._highlights.look(band, planes)
        cv2.LUT(in_rows(self._coded), SRGB_TO_LINEAR, dst=in_rows(self._light))
        linear = self._linear(self._light)
        rows, columns = self._subject.shape
        cv2.resize(coverage, (columns, rows), dst=self._subject, interpolation=cv2.INTER_AREA)
        cv2.dilate(self._subject, self._grown, dst=self._subject)
        colour, weight = self._weighted[:3], self._weighted[3]
        cv2.LUT(self._subject, _WEIGHTS, dst=weight)
        self._weights[:] = weight
        cv2.multiply(in_rows(linear), in_rows(self._weights), dst=in_rows(colour), dtype=cv2.CV_32F)
        if self._highlights is not None:
            self._highlights(linear, colour, weight, self._subject)

        for plane, out in zip(self._weighted, self._blurred, strict=True):
            self._spread(plane, out)
        self._weights[:] = self._blurred[3]
        cv2.divide(in_rows(self._blurred[:3]), in_rows(self._weights), dst=in_rows(self._mean), dtype=cv2.CV_16U)
        return self._mean
