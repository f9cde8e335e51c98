"""Bands of rows of a small picture stretched over a large one, the same whichever bands are asked for."""

from __future__ import annotations

from enum import Enum
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray


class Kernel(Enum):
    """How values are interpolated."""

    LINEAR = cv2.INTER_LINEAR
    CUBIC = cv2.INTER_CUBIC


# OpenCV's bicubic kernel (Keys 1981, a = -0.75).
_KEYS = -0.75

# The bicubic ``cv2.resize`` gives the rows beside each one a weight of some 1e-8 even where no row is stretched: at the
# edge of a band they must be the true ones.
_MARGIN = 2


def stretched_rows(
    small: NDArray[np.float32], height: int, width: int, top: int, bottom: int, kernel: Kernel
) -> NDArray[np.float32]:
    """Rows top <= y < bottom of a picture stretched over height x width, with half-pixel centres.

    Rows are interpolated here, one by one and always in the same order of sums, so that a band's edge cannot show;
    columns by ``cv2.resize``, which then has no rows to stretch.

    Args:
        small: float32, hxwxC.
        height: rows of the whole large picture.
        width: columns of it.
        top: first row wanted.
        bottom: row after the last one wanted.
        kernel: bilinear for maps that must stay in range, bicubic for pictures.

    Returns:
        float32, (bottom - top) x width x C.
    """
    first, last = max(0, top - _MARGIN), min(height, bottom + _MARGIN)
    tall = np.zeros((last - first, *small.shape[1:]), np.float32)
    for index, weight in _taps(small.shape[0], height, kernel):
        tall += small[index[first:last]] * weight[first:last, None, None]
    if small.shape[1] != width:
        tall = cv2.resize(tall, (width, last - first), interpolation=kernel.value)  # type: ignore[assignment]
    return tall.reshape(last - first, width, small.shape[2])[top - first : bottom - first]


@lru_cache(maxsize=4)
def _taps(rows: int, height: int, kernel: Kernel) -> list[tuple[NDArray[np.intp], NDArray[np.float32]]]:
    """For each tap: which small row it reads for every large one (int, height), and its weight (float32, height)."""
    place = (np.arange(height) + 0.5) * (rows / height) - 0.5
    base = np.floor(place)
    t = place - base
    if kernel is Kernel.LINEAR:
        first, weights = 0, [1.0 - t, t]
    else:
        outer = _KEYS * t * (1.0 - t) ** 2
        inner = (_KEYS + 2.0) * t**3 - (_KEYS + 3.0) * t**2 + 1.0
        last = _KEYS * (1.0 - t) * t**2
        first, weights = -1, [outer, inner, 1.0 - outer - inner - last, last]
    taps = []
    for number, weight in enumerate(weights):
        index = np.clip(base + first + number, 0, rows - 1).astype(np.intp)
        taps.append((index, weight.astype(np.float32)))
    return taps
