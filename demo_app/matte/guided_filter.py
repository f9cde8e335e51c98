"""The colour guided filter: in every small window, the matte as a linear function of the colour.

He, Sun and Tang 2013, "Guided Image Filtering", section 5.1 (colour guide). The functions are found on a small picture
and evaluated on the large one (He and Sun 2015, "Fast Guided Filter"): the edge is then as sharp as the large picture.
"""

from __future__ import annotations

import cv2
import numpy as np

from demo_app.matte import Alpha
from edge_deeplab.image import Rgb

# On colours in 0..1: steps of about 4 % and less count as flat. A fifth of it gives 4 % more error on photos with true
# alpha, five times as much blurs hair before a textured room.
_REGULARISATION = 2e-3

Planes = tuple[Alpha, Alpha, Alpha]
"""A picture as three planes: red, green, blue, each float32, HxW, 0..1."""


def colour_planes(frame: Rgb) -> Planes:
    """RGB, uint8, HxWx3 -> red, green and blue, float32, HxW, 0..1."""
    red, green, blue = (plane * np.float32(1.0 / 255.0) for plane in cv2.split(frame))
    return red, green, blue


def box_mean(values: Alpha, radius: int) -> Alpha:
    """The mean over the square of ``radius`` pixels to each side, float32, HxW."""
    return cv2.blur(values, (2 * radius + 1, 2 * radius + 1))  # type: ignore[return-value]


def coefficients(guide: Planes, target: Alpha, radius: int) -> tuple[Alpha, Alpha, Alpha, Alpha]:
    """The window-averaged linear functions target = slope . colour + offset around every pixel.

    Args:
        guide: the picture.
        target: what is filtered, float32, HxW.
        radius: pixels from a window's middle to its edge.

    Returns:
        The slopes for red, green and blue, and the offset, each float32, HxW, for colours in 0..1. Where the target
        is constant within twice the radius, the slopes are 0 and the offset is the target, up to rounding.
    """

    def mean(values: Alpha) -> Alpha:
        return box_mean(values, radius)

    red, green, blue = guide
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
    slope_r: Alpha = (inv_rr * rt + inv_rg * gt + inv_rb * bt) / determinant
    slope_g: Alpha = (inv_rg * rt + inv_gg * gt + inv_gb * bt) / determinant
    slope_b: Alpha = (inv_rb * rt + inv_gb * gt + inv_bb * bt) / determinant
    offset: Alpha = mean_t - slope_r * mean_r - slope_g * mean_g - slope_b * mean_b
    return mean(slope_r), mean(slope_g), mean(slope_b), mean(offset)
