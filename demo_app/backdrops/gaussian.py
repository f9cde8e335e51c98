"""The background out of focus by a Gaussian blur: softer than a lens, without its discs, and the fastest."""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.aperture import DEFAULT_F_NUMBER, gaussian_sigma
from demo_app.backdrops.backdrop import Backdrop
from demo_app.backdrops.normalised_blur import (
    NormalisedBlur,
    Sampling,
    remaining_variance,
    shrink_factor,
    unblurred,
)
from edge_deeplab.image import Rgb

# Pixels of the shrunk picture per standard deviation. Against the Gaussian at full size, 720p photographs: 46 to 53 dB
# from f/2 to f/16.
_SAMPLING = Sampling(by_2=0.45, by_4=0.45, by_8=1.8)

# Below this a Gaussian's weights beside its centre are under 1/1000.
_LEAST_SIGMA = 0.27


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
        self._for_size = lru_cache(maxsize=1)(self._make)

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """As :class:`demo_app.backdrops.backdrop.Backdrop` says."""
        return self._for_size(*frame.shape[:2])(frame, coverage)

    def _make(self, height: int, width: int) -> Backdrop:
        sigma = gaussian_sigma(self._f_number, height, width)
        if sigma < _LEAST_SIGMA:
            return unblurred
        factor = shrink_factor(sigma, _SAMPLING, height, width)
        remaining = math.sqrt(remaining_variance(sigma**2, factor))
        size = 2 * math.ceil(3 * remaining) + 1

        def spread(values: NDArray[np.float32], out: NDArray[np.float32]) -> None:
            cv2.GaussianBlur(values, (size, size), remaining, dst=out)

        return NormalisedBlur(height, width, factor, spread)
