"""The background through the round aperture of a lens: every point of light becomes a disc."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.aperture import DEFAULT_F_NUMBER, disc_radius
from demo_app.backdrops.backdrop import Backdrop
from demo_app.backdrops.highlights import Highlights
from demo_app.backdrops.normalised_blur import NormalisedBlur, shrink_factor, unblurred
from edge_deeplab.image import Rgb

LIVE_SAMPLING = 2.775
"""Pixels of the shrunk picture per radius, at least, for video. Twice as many, where one more halving is just not
allowed, are a kernel of 11x11: the largest that ``cv2.filter2D`` sums directly (up to 130 entries)."""

STILL_SAMPLING = 12.0
"""The same for photos: the kernels are large, and ``cv2.filter2D`` multiplies spectra instead."""

# Entries of the kernel that a disc touches by less than this many pixels are left out.
_SLIVER = 0.05

_SUPERSAMPLING = 16


class DiscBlur:
    """The background through a disc, with highlights: what a lens does.

    Args:
        f_number: see :mod:`demo_app.aperture`.
        sampling: how many pixels of the shrunk picture a disc's radius has at least; more is finer and slower.

    Raises:
        SpecError: an f-number that does not exist.
    """

    def __init__(self, f_number: float = DEFAULT_F_NUMBER, *, sampling: float = LIVE_SAMPLING) -> None:
        disc_radius(f_number, 1, 1)  # refuses now what it would refuse at the first frame
        self._f_number = f_number
        self._sampling = sampling
        self._for_size = lru_cache(maxsize=1)(self._make)

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """As :class:`demo_app.backdrops.backdrop.Backdrop` says."""
        return self._for_size(*frame.shape[:2])(frame, coverage)

    def _make(self, height: int, width: int) -> Backdrop:
        radius = disc_radius(self._f_number, height, width)
        kernel = disc_kernel(radius / (factor := shrink_factor(radius, self._sampling, height, width)))
        if kernel.size == 1:
            return unblurred

        def spread(values: NDArray[np.float32], out: NDArray[np.float32]) -> None:
            cv2.filter2D(values, -1, kernel, dst=out)

        return NormalisedBlur(height, width, factor, spread, Highlights(height, width, factor, radius / factor))


def disc_kernel(radius: float) -> NDArray[np.float32]:
    """A disc whose edge pixels count by how much of them it covers.

    Args:
        radius: in pixels, 0 or more.

    Returns:
        float32, NxN with N odd, of sum 1.
    """
    reach = max(0, math.ceil(radius - 0.5 - _SLIVER))
    size = 2 * reach + 1
    fine = (np.arange(size * _SUPERSAMPLING) + 0.5) / _SUPERSAMPLING - size / 2.0
    inside = np.hypot(fine[:, None], fine[None, :]) <= max(radius, 0.5)
    cover = inside.reshape(size, _SUPERSAMPLING, size, _SUPERSAMPLING).mean(axis=(1, 3))
    kernel: NDArray[np.float32] = (cover / cover.sum()).astype(np.float32)
    return kernel
