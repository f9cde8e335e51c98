"""Rounding to 8 bits without bands.

A blurred wall is smoother than 8 bits can say: rounded to the nearest code it falls into steps, wide bands that the
eye finds even at one code value, because the blur took the noise away that hides them elsewhere. An ordered dither
(Bayer 1973, "An optimum method for two-level rendition of continuous-tone pictures") spreads each step over 64 pixels;
integers stay what they are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def _bayer(order: int) -> NDArray[np.float32]:
    """The index matrix of 2^order a side, its entries in the middle of equal parts of 0..1."""
    index = np.zeros((1, 1))
    for _ in range(order):
        index = np.block([[4 * index, 4 * index + 2], [4 * index + 3, 4 * index + 1]])
    return ((index + 0.5) / index.size).astype(np.float32)


_THRESHOLDS = _bayer(3)


def dithered(values: NDArray[np.float32], top: int) -> NDArray[np.uint8]:
    """Round code values up or down by the pixel's place; the mean over 8x8 pixels stays.

    Args:
        values: code values, float32, HxWxC; written over. Outside 0..255 they are clipped.
        top: the row of the whole picture that the first one is.

    Returns:
        uint8, HxWxC. A value that is an integer already gives that integer.
    """
    rows, columns = values.shape[:2]
    side = len(_THRESHOLDS)
    thresholds = np.tile(np.roll(_THRESHOLDS, -(top % side), axis=0), (-(-rows // side), -(-columns // side)))
    values += thresholds[:rows, :columns, None]
    np.clip(values, 0.0, 255.0, out=values)
    return values.astype(np.uint8)  # which rounds down
