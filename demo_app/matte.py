"""From the network's small probability map to a matte with an edge: quickly for video, carefully for a photo.

Both functions have the loop's ``smooth`` signature, (frame, alpha) -> alpha.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.image import Rgb, resize_map

Alpha = NDArray[np.float32]
"""Person coverage: float32, HxW, 0..1."""

# Probabilities below and above these are taken as certain: a network is seldom at exactly 0 and 1, and a veil of 5 %
# over the whole background shows.
_SURELY_OUT, _SURELY_IN = 0.2, 0.8

# Guided filter, colour version (He, Sun and Tang 2013, "Guided Image Filtering", section 5.1), coefficients found on a
# smaller picture (He and Sun 2015, "Fast Guided Filter"). Window: this share of the longer side to each side, the
# network's error of about two of its pixels: twice as much lost a tenth of the gain. Regularisation on [0, 1] colours:
# steps of about 2 % and less count as flat.
_WINDOW = 2.0 / 256
_REGULARISATION = 4e-4
_COEFFICIENT_SIDE = 640

# The filter's last step runs on at most this many pixels a side: twice-stretched edges are still sharp on a
# 12-megapixel photo, at a quarter of the memory.
_FINE_SIDE = 2048


def tighten(frame: Rgb, alpha: Alpha) -> Alpha:
    """Make nearly certain pixels certain, and the edge between them steeper, by a smooth step.

    Args:
        frame: not looked at.
        alpha: probability of a person, float32, HxW.

    Returns:
        float32, HxW, 0..1; exactly 0 and 1 where the network was nearly sure.
    """
    step = np.clip((alpha - _SURELY_OUT) * (1.0 / (_SURELY_IN - _SURELY_OUT)), 0.0, 1.0)
    return step * step * (3.0 - 2.0 * step)


def refine(frame: Rgb, alpha: Alpha) -> Alpha:
    """Pull the matte's edge to the photo's edge by a colour guided filter, then :func:`tighten`.

    Only the strip around the edge moves: where the map is constant within twice the filter's window, it stays.

    Args:
        frame: RGB, uint8, HxWx3.
        alpha: probability of a person, float32, of any size: it is stretched over the frame.

    Returns:
        float32, HxW of the frame, but at most 2048 a side; 0..1.
    """
    fine = _fitted(frame, _FINE_SIDE)
    coarse = _fitted(fine, _COEFFICIENT_SIDE)
    rows, columns = coarse.shape[:2]
    radius = max(1, round(_WINDOW * max(rows, columns)))
    guess = resize_map(alpha, rows, columns)

    slope, offset = _coefficients(coarse, guess, radius)
    height, width = fine.shape[:2]
    colour = fine.astype(np.float32)
    colour *= 1.0 / 255.0
    colour *= resize_map(slope, height, width)
    refined = resize_map(offset, height, width)
    for channel in range(3):
        refined = refined + colour[:, :, channel]
    return tighten(fine, refined)


def _fitted(frame: Rgb, side: int) -> Rgb:
    """The frame shrunk until its longer side is at most ``side``."""
    height, width = frame.shape[:2]
    factor = side / max(height, width)
    if factor >= 1.0:
        return frame
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _coefficients(frame: Rgb, target: Alpha, radius: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The window-averaged linear models target = slope . colour + offset around every pixel.

    Args:
        frame: the guide, RGB, uint8, HxWx3.
        target: what is filtered, float32, HxW.
        radius: pixels from a window's middle to its edge.

    Returns:
        (slope HxWx3, offset HxW), float32, for colours in 0..1.
    """

    def mean(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return cv2.blur(values, (2 * radius + 1, 2 * radius + 1))  # type: ignore[return-value]

    colour = frame.astype(np.float32) * np.float32(1.0 / 255.0)
    red: Alpha
    green: Alpha
    blue: Alpha
    red, green, blue = (np.ascontiguousarray(colour[:, :, channel]) for channel in range(3))
    mean_r, mean_g, mean_b, mean_t = mean(red), mean(green), mean(blue), mean(target)

    # The 3x3 covariance of the colours, symmetric, and their covariance with the target.
    rr = mean(red * red) - mean_r * mean_r + _REGULARISATION
    gg = mean(green * green) - mean_g * mean_g + _REGULARISATION
    bb = mean(blue * blue) - mean_b * mean_b + _REGULARISATION
    rg = mean(red * green) - mean_r * mean_g
    rb = mean(red * blue) - mean_r * mean_b
    gb = mean(green * blue) - mean_g * mean_b
    rt = mean(red * target) - mean_r * mean_t
    gt = mean(green * target) - mean_g * mean_t
    bt = mean(blue * target) - mean_b * mean_t

    # Solved by its adjugate: every pixel has its own 3x3 system.
    inv_rr: Alpha = gg * bb - gb * gb
    inv_gg: Alpha = rr * bb - rb * rb
    inv_bb: Alpha = rr * gg - rg * rg
    inv_rg = gb * rb - rg * bb
    inv_rb = rg * gb - gg * rb
    inv_gb = rb * rg - rr * gb
    determinant = rr * inv_rr + rg * inv_rg + rb * inv_rb
    slope_r = (inv_rr * rt + inv_rg * gt + inv_rb * bt) / determinant
    slope_g = (inv_rg * rt + inv_gg * gt + inv_gb * bt) / determinant
    slope_b = (inv_rb * rt + inv_gb * gt + inv_bb * bt) / determinant
    offset = mean_t - slope_r * mean_r - slope_g * mean_g - slope_b * mean_b
    return cv2.merge((mean(slope_r), mean(slope_g), mean(slope_b))), mean(offset)  # type: ignore[return-value]
