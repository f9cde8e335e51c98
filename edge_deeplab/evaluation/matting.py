"""How far a matte is from the exact one: pure functions on arrays.

An *alpha* here is float, HxW, 0..1. The measures are those of Rhemann et al. 2009, "A perceptually motivated online
benchmark for image matting" (sections 4 and 5), as means over pixels rather than sums, so that pictures of different
sizes compare. Wherever a function takes ``region`` (bool, HxW), only pixels that are True there count; None: all.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.evaluation.metrics import Mask

Alphas = NDArray[np.floating[Any]]

_SIGMA = 1.4
_KERNEL_END = 0.01  # the kernel goes on until the Gaussian has fallen to this


def mean_squared_error(alpha: Alphas, exact: Alphas, region: Mask | None = None) -> float:
    """Mean of (alpha - exact)^2, 0..1.

    Raises:
        ValueError: different shapes, or an empty region.
    """
    return _mean(np.square(_difference(alpha, exact)), region)


def mean_absolute_error(alpha: Alphas, exact: Alphas, region: Mask | None = None) -> float:
    """Mean of |alpha - exact|, 0..1.

    Raises:
        ValueError: different shapes, or an empty region.
    """
    return _mean(np.abs(_difference(alpha, exact)), region)


def gradient_error(alpha: Alphas, exact: Alphas, region: Mask | None = None) -> float:
    """Mean of (|grad alpha| - |grad exact|)^2: an edge in the wrong place, too soft, too hard, or where none is.

    The gradients are those of Gaussian derivatives of sigma 1.4 with kernels of unit energy, borders repeated, as in
    the benchmark's own program.

    Raises:
        ValueError: different shapes, or an empty region.
    """
    _difference(alpha, exact)
    return _mean(np.square(_gradient(alpha) - _gradient(exact)), region)


def uncertain_band(exact: Alphas, reach: int) -> Mask:
    """The pixels within ``reach`` pixels (of a square) of one that is neither all subject nor all background.

    A hard edge between two pixels has such a band too.

    Args:
        exact: alpha, float, HxW.
        reach: pixels, 1 or more.

    Returns:
        bool, HxW.
    """
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    values = exact.astype(np.float64)
    band: Mask = (cv2.dilate(values, window) > 0.0) & (cv2.erode(values, window) < 1.0)
    return band


def _difference(alpha: Alphas, exact: Alphas) -> NDArray[np.float64]:
    if alpha.shape != exact.shape:
        raise ValueError(f"alphas of different shapes: {alpha.shape} and {exact.shape}")
    return alpha.astype(np.float64) - exact


def _mean(values: NDArray[np.float64], region: Mask | None) -> float:
    counted = values if region is None else values[region]
    if counted.size == 0:
        raise ValueError("no pixel to take the mean of")
    return float(counted.mean())


def _gradient(alpha: Alphas) -> NDArray[np.float64]:
    half = math.ceil(_SIGMA * math.sqrt(-2.0 * math.log(math.sqrt(2.0 * math.pi) * _SIGMA * _KERNEL_END)))
    x = np.arange(-half, half + 1, dtype=np.float64)
    bell = np.exp(-(x**2) / (2.0 * _SIGMA**2))
    slope = x * bell
    # The plane kernel is their product: unit energy for each makes it unit energy too.
    bell, slope = bell / np.linalg.norm(bell), slope / np.linalg.norm(slope)
    values = alpha.astype(np.float64)
    across = cv2.sepFilter2D(values, cv2.CV_64F, slope, bell, borderType=cv2.BORDER_REPLICATE)
    down = cv2.sepFilter2D(values, cv2.CV_64F, bell, slope, borderType=cv2.BORDER_REPLICATE)
    return np.hypot(across, down)
