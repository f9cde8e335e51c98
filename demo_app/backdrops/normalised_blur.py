"""The background out of focus, as if the subject were not there.

A plain blur of the frame smears the subject's colours into the background around it: the halo that gives a cheap
portrait effect away. Here every pixel counts by how much background it is,

    blur(weight * colour) / blur(weight),

a normalised convolution (Knutsson and Westin 1993, "Normalized and differential convolution"), in linear light. The
blur itself is the caller's, and so is whether highlights count more than their code values say.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.backdrops.highlights import Highlights
from demo_app.backdrops.planes import Halving, repeat
from demo_app.linear_light import SRGB_TO_LINEAR, encode
from edge_deeplab.image import Rgb

Spread = Callable[[NDArray[np.float32], NDArray[np.float32]], None]
"""A linear blur: float32, HxWx4, in; the same out, written to the second array, which is another one."""

# The network's edge is off by a pixel or two of its 256: the subject is grown by this share of the longer side, so that
# what it loses there is not taken for background.
_GROWTH = 1.5 / 256

# Background weight of the subject itself. Where no background is near it gives the plain blur instead of 0 / 0; where
# some is, its share is under a hundredth of one code value of halo.
_SUBJECT_WEIGHT = 1e-4

# A factor of 2 or 4 loses details of as many pixels of the frame, which are hard to see in a blur of any strength: it
# may keep this many times the factor of the sampling asked for. Against the disc at full size, 720p photographs, f/8 at
# a factor of 4: 47 to 52 dB, no less than f/2 at a factor of 8, in a quarter of the time that a factor of 2 takes.
_FINE = 0.16

# A pixel of the shrunk picture that is half subject is mixed of both. On pictures smaller than this along their longer
# side, such pixels are so large a part of a head that the strongest blurs show its colour in the background.
_LEAST_SIDE = 64

_WEIGHTS = (1.0 - np.arange(256) / 255.0).clip(_SUBJECT_WEIGHT).astype(np.float32)


def shrink_factor(extent: float, sampling: float, height: int, width: int) -> int:
    """The largest power of two by which a frame may be shrunk for its blur.

    Args:
        extent: of the blur in pixels of the frame (radius or standard deviation).
        sampling: how many pixels of the shrunk picture the extent must keep; fewer will do where the picture is shrunk
            by 4 or less.
        height: rows of the frame.
        width: columns of the frame.
    """
    factor = 2
    while extent / factor >= sampling * min(1.0, _FINE * factor) and max(height, width) / factor >= _LEAST_SIDE:
        factor *= 2
    return factor // 2


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
        self._coded = Halving(height, width, 3, np.uint8, min(factor, 2))
        self._linear = Halving(*self._coded.size, 3, np.uint16, max(1, factor // 2))
        rows, columns = size = self._linear.size
        radius = max(1, round(_GROWTH * max(size)))
        self._grown = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
        self._light = np.empty((*self._coded.size, 3), np.uint16)
        self._subject = np.empty(size, np.uint8)
        self._weight = np.empty(size, np.float32)
        self._weight3 = np.empty((rows, columns, 3), np.float32)
        self._colour = np.empty((rows, columns, 3), np.float32)
        self._weighted = np.empty((rows, columns, 4), np.float32)
        self._blurred = np.empty((rows, columns, 4), np.float32)
        self._mean = np.empty((rows, columns, 3), np.uint16)
        self._code = np.empty((rows, columns, 3), np.uint8)

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """Blur one frame.

        Args:
            frame: RGB, uint8, (height, width, 3).
            coverage: the subject, uint8, 0..255, HxW of any size: it is stretched over the frame.

        Returns:
            RGB, uint8, shrunk by the factor; the next call overwrites it.
        """
        linear = self._linear(cv2.LUT(self._coded(frame), SRGB_TO_LINEAR, dst=self._light))  # type: ignore[arg-type]
        rows, columns = self._subject.shape
        cv2.resize(coverage, (columns, rows), dst=self._subject, interpolation=cv2.INTER_AREA)
        cv2.dilate(self._subject, self._grown, dst=self._subject)
        cv2.LUT(self._subject, _WEIGHTS, dst=self._weight)
        repeat(self._weight, self._weight3)
        cv2.multiply(linear, self._weight3, dst=self._colour, dtype=cv2.CV_32F)
        if self._highlights is not None:
            self._highlights(frame, linear, self._colour, self._weight, self._subject)

        cv2.merge((self._colour, self._weight), dst=self._weighted)
        self._spread(self._weighted, self._blurred)
        cv2.extractChannel(self._blurred, 3, dst=self._weight)
        repeat(self._weight, self._weight3)
        cv2.cvtColor(self._blurred, cv2.COLOR_RGBA2RGB, dst=self._colour)
        cv2.divide(self._colour, self._weight3, dst=self._mean, dtype=cv2.CV_16U)
        return encode(self._mean, self._code)
