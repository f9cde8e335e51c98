"""The background through the round aperture of a lens: every point of light becomes a disc."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.aperture import DEFAULT_F_NUMBER, disc_radius
from demo_app.backdrops.highlights import Highlights
from demo_app.backdrops.normalised_blur import (
    NormalisedBlur,
    Sampling,
    remaining_variance,
    shrink_factor,
    unblurred,
)
from demo_app.linear_light import SRGB_TO_LINEAR
from edge_deeplab.image import Rgb

LIVE_SAMPLING = Sampling(by_2=0.9, by_4=0.9, by_8=2.775)
"""For video. Against the sampling for photos, 720p photographs: 50 to 53 dB at a factor of 4 (f/2.8 to f/16), and 44 to
52 dB at 8 (f/1.4 and f/2). Twice as many pixels as by_8, where one more halving is just not allowed, are a kernel of
11x11: the largest that ``cv2.filter2D`` sums directly (up to 130 entries)."""

STILL_SAMPLING = Sampling(by_2=3.84, by_4=7.68, by_8=12.0)
"""For photos: the kernels are large, and ``cv2.filter2D`` multiplies spectra instead."""

# Entries of the kernel that a disc touches by less than this many pixels are left out.
_SLIVER = 0.05

_SUPERSAMPLING = 16

# Of a disc of a radius below this many pixels of the shrunk picture no shape is left to be kept, but a variance.
_LEAST_DISC = 2.0

# Up to this variance the centre of the 3x3 kernel is its largest entry.
_LEAST_DISC_VARIANCE = 0.5


class DiscBlur:
    """The background through a disc, with highlights: what a lens does.

    Args:
        f_number: see :mod:`demo_app.aperture`.
        sampling: how many pixels of the shrunk picture a disc's radius has at least; more is finer and slower.

    Raises:
        SpecError: an f-number that does not exist.
    """

    def __init__(self, f_number: float = DEFAULT_F_NUMBER, *, sampling: Sampling = LIVE_SAMPLING) -> None:
        disc_radius(f_number, 1, 1)  # refuses now what it would refuse at the first frame
        self._f_number = f_number
        self._sampling = sampling
        self._for_size = lru_cache(maxsize=1)(self._make)

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """As :class:`demo_app.backdrops.backdrop.Backdrop` says."""
        blur = self._for_size(*frame.shape[:2])
        return unblurred(frame, coverage) if blur is None else blur(frame, coverage)

    def light(self, frame: Rgb, coverage: NDArray[np.uint8]) -> NDArray[np.uint16]:
        """As :meth:`__call__`, in linear light, uint16, 0..65535, HxWx3: finer than 8 bits."""
        blur = self._for_size(*frame.shape[:2])
        if blur is None:
            return cv2.LUT(unblurred(frame, coverage), SRGB_TO_LINEAR)  # type: ignore[return-value]
        return blur.light(frame, coverage)

    def _make(self, height: int, width: int) -> NormalisedBlur | None:
        """The blur for frames of a size; None: it is under a pixel."""
        radius = disc_radius(self._f_number, height, width)
        factor = shrink_factor(radius, self._sampling, height, width)
        if factor > 1 and radius / factor < _LEAST_DISC:
            kernel = kernel_of_variance(remaining_variance(radius**2 / 4.0, factor))
        else:
            kernel = disc_kernel(radius / factor)
        if kernel.size == 1:
            return None

        def spread(values: NDArray[np.float32], out: NDArray[np.float32]) -> None:
            cv2.filter2D(values, -1, kernel, dst=out)

        return NormalisedBlur(height, width, factor, spread, Highlights(height, width, factor, radius / factor))


def kernel_of_variance(variance: float) -> NDArray[np.float32]:
    """A small disc for a shrunk picture: up to 7 dB closer to the disc at full size than the radius over the factor is.

    Args:
        variance: along each axis, in pixels^2, above 0.

    Returns:
        float32, NxN with N odd, of sum 1 and about this variance. From a disc of few pixels nothing is left but that:
        it is the 3x3 kernel that spreads alike in all directions (1 4 1 around the centre), or small lamps would
        become crosses.
    """
    if variance <= _LEAST_DISC_VARIANCE:
        beside = variance / 3.0
        corner = beside / 4.0
        row = (corner, beside, corner)
        return np.array((row, (beside, 1.0 - 4.0 * (beside + corner), beside), row), np.float32)
    # Counting covered shares adds the variance of a pixel.
    return disc_kernel(2.0 * math.sqrt(variance - 1.0 / 12.0))


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
