"""The background out of focus, as if the subject were not there.

A plain blur of the frame smears the subject's colours into the background around it: the halo that gives a cheap
portrait effect away. Here every pixel counts by how much background it is,

    blur(weight * colour) / blur(weight),

a normalised convolution (Knutsson and Westin 1993, "Normalized and differential convolution"), in linear light.
"""

from __future__ import annotations

import math
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.aperture import DEFAULT_F_NUMBER, gaussian_sigma
from demo_app.linear_light import SRGB_TO_LINEAR, encode
from edge_deeplab.image import Rgb

# The blur runs on a shrunken frame, as small as this many of its own pixels per standard deviation allow. Against the
# Gaussian at full size, 720p photographs: 1.8 gives 50 dB, 3.7 gives 53 dB at eight times the cost of the filter.
_MIN_SIGMA = 1.8

# The network's edge is off by a pixel or two of its 256: the subject is grown by this share of the longer side, so that
# what it loses there is not taken for background.
_GROWTH = 1.5 / 256

# Background weight of the subject itself. Where no background is near it gives the plain blur instead of 0 / 0; where
# some is, its share is under a hundredth of one code value of halo.
_SUBJECT_WEIGHT = 1e-4

_Pixel = TypeVar("_Pixel", np.uint8, np.uint16)


class GaussianBlur:
    """The background through a Gaussian blur: the fast mode.

    Args:
        f_number: see :mod:`demo_app.aperture`.

    Raises:
        SpecError: an f-number that does not exist.
    """

    def __init__(self, f_number: float = DEFAULT_F_NUMBER) -> None:
        gaussian_sigma(f_number, 1, 1)  # refuses now what it would refuse at the first frame
        self._f_number = f_number
        self._size = (0, 0)
        self._blur: _Blur | None = None

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """As :class:`demo_app.backdrops.backdrop.Backdrop` says."""
        height, width = frame.shape[:2]
        if self._blur is None or self._size != (height, width):
            self._size = (height, width)
            self._blur = _Blur(height, width, gaussian_sigma(self._f_number, height, width))
        return self._blur(frame, coverage)


class _Blur:
    """Gaussian blur of the background alone, for frames of one size; every buffer is made once.

    Args:
        height: rows of the frames.
        width: columns of the frames.
        sigma: standard deviation of the blur in pixels of the frame.
    """

    def __init__(self, height: int, width: int, sigma: float) -> None:
        factor = 1
        while sigma / (2 * factor) >= _MIN_SIGMA:
            factor *= 2
        rows, columns = math.ceil(height / factor), math.ceil(width / factor)
        self._sigma = sigma / factor
        self._kernel = 2 * math.ceil(3 * self._sigma) + 1
        radius = max(1, round(_GROWTH * max(rows, columns)))
        self._disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))

        # Halving before linear light costs 0.4 dB and saves three quarters of the largest table look-up.
        half = (height, width) if factor == 1 else (math.ceil(height / 2), math.ceil(width / 2))
        self._half = np.empty((*half, 3), np.uint8)
        self._half_linear = np.empty((*half, 3), np.uint16)
        self._linear = np.empty((rows, columns, 3), np.uint16)
        self._colour = np.empty((rows, columns, 3), np.float32)
        self._weight = np.empty((rows, columns), np.float32)
        self._weight3 = np.empty((rows, columns, 3), np.float32)
        self._mask = np.empty((rows, columns), np.uint8)
        self._code = np.empty((rows, columns, 3), np.uint8)
        self._table = (1.0 - np.arange(256) / 255.0).clip(_SUBJECT_WEIGHT).astype(np.float32)

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """Blur one frame.

        Args:
            frame: RGB, uint8, (height, width, 3).
            coverage: the subject, uint8, 0..255, HxW of any size: it is stretched over the frame.

        Returns:
            RGB, uint8, shrunk by the blur's own factor; the next call overwrites it.
        """
        rows, columns = self._mask.shape
        _shrink(frame, self._half)
        cv2.LUT(self._half, SRGB_TO_LINEAR, dst=self._half_linear)
        _shrink(self._half_linear, self._linear)

        cv2.resize(coverage, (columns, rows), dst=self._mask, interpolation=cv2.INTER_AREA)
        cv2.dilate(self._mask, self._disc, dst=self._mask)
        cv2.LUT(self._mask, self._table, dst=self._weight)
        _repeat(self._weight, self._weight3)
        cv2.multiply(self._linear, self._weight3, dst=self._colour, dtype=cv2.CV_32F)

        self._blur(self._colour)
        self._blur(self._weight)
        _repeat(self._weight, self._weight3)
        cv2.divide(self._colour, self._weight3, dst=self._linear, dtype=cv2.CV_16U)
        return encode(self._linear, self._code)

    def _blur(self, values: NDArray[np.float32]) -> None:
        if self._sigma > 0.0:
            cv2.GaussianBlur(values, (self._kernel, self._kernel), self._sigma, dst=values)


def _shrink(image: NDArray[_Pixel], out: NDArray[_Pixel]) -> None:
    rows, columns = out.shape[:2]
    cv2.resize(image, (columns, rows), dst=out, interpolation=cv2.INTER_AREA)


def _repeat(plane: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    cv2.merge((plane, plane, plane), dst=out)
