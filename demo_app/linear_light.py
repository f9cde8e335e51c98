"""sRGB code values to linear light and back, by table.

Lenses add light, not code values: blurring sRGB codes darkens every bright point beside a dark one. The tables
follow IEC 61966-2-1; 16 bits of linear light keep all 256 codes apart, so that the round trip is exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LINEAR_TOP = 65535
"""Linear light of code 255."""


def _srgb_to_linear() -> NDArray[np.uint16]:
    code = np.arange(256) / 255.0
    light = np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)
    table: NDArray[np.uint16] = np.rint(light * LINEAR_TOP).astype(np.uint16)
    return table


def _linear_to_srgb() -> NDArray[np.uint8]:
    light = np.arange(LINEAR_TOP + 1) / LINEAR_TOP
    code = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    table: NDArray[np.uint8] = np.rint(code * 255.0).astype(np.uint8)
    return table


SRGB_TO_LINEAR = _srgb_to_linear()
"""uint16, 256 entries: linear light, 0..65535, of each sRGB code value. Made for ``cv2.LUT``."""

LINEAR_TO_SRGB = _linear_to_srgb()
"""uint8, 65536 entries: the sRGB code value nearest to each linear light."""


def encode(linear: NDArray[np.uint16], out: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Linear light, uint16, any shape -> sRGB code values, written to ``out`` (uint8, same shape) and returned."""
    # mode="clip" never clips here; unlike "raise" it lets numpy write to `out` without a temporary copy.
    return np.take(LINEAR_TO_SRGB, linear, out=out, mode="clip")
