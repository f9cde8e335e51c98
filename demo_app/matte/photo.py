"""The matte of a photo, at the photo's size: carefully rather than quickly."""

from __future__ import annotations

import cv2
import numpy as np

from demo_app.matte import Alpha
from demo_app.matte.guided_filter import coefficients, colour_planes
from demo_app.matte.tighten import tighten
from edge_deeplab.image import Rgb, resize_map

# Window of the guided filter: this share of the longer side to each side, the network's error of about two of its
# pixels: twice as much lost a tenth of the gain. Coefficients are found at this many pixels a side.
_WINDOW = 2.0 / 256
_COEFFICIENT_SIDE = 640

# The filter's last step runs on at most this many pixels a side: twice-stretched edges are still sharp on a
# 12-megapixel photo, at a quarter of the memory.
_FINE_SIDE = 2048


def refine(frame: Rgb, alpha: Alpha) -> Alpha:
    """Pull the matte's edge to the photo's edge by a colour guided filter, then tighten; a ``smooth`` of the loop.

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

    *slopes, offset = coefficients(colour_planes(coarse), guess, radius)
    height, width = fine.shape[:2]
    refined = resize_map(offset, height, width)
    for channel, slope in enumerate(slopes):
        refined = refined + fine[:, :, channel] * resize_map(slope, height, width) * np.float32(1.0 / 255.0)
    return tighten(fine, refined)


def _fitted(frame: Rgb, side: int) -> Rgb:
    """The frame shrunk until its longer side is at most ``side``."""
    height, width = frame.shape[:2]
    factor = side / max(height, width)
    if factor >= 1.0:
        return frame
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
