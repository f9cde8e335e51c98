"""A picture behind the subject."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ImageError
from edge_deeplab.image import Rgb, resize_area


class PictureBackdrop:
    """A picture that covers the frame: centred, without bars and without distortion.

    Args:
        picture: RGB, uint8, HxWx3, of any size.

    Raises:
        ImageError: a picture of another shape or type.
    """

    def __init__(self, picture: Rgb) -> None:
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or picture.size == 0:
            raise ImageError(f"a backdrop must be RGB, uint8, HxWx3, and this one is {picture.dtype} {picture.shape}")
        self._picture = picture
        self._for_size = lru_cache(maxsize=1)(self._make)

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """As :class:`demo_app.backdrops.backdrop.Backdrop` says."""
        return self._for_size(*frame.shape[:2])

    def _make(self, height: int, width: int) -> Rgb:
        return cover(self._picture, height, width)


def cover(picture: Rgb, height: int, width: int) -> Rgb:
    """The largest centred part of a picture that has the frame's proportions, at the frame's size.

    Args:
        picture: RGB, uint8, HxWx3.
        height: rows of the frame.
        width: columns of the frame.

    Returns:
        RGB, uint8, (height, width, 3): area-averaged where it shrinks, bilinear where it grows.
    """
    rows, columns = picture.shape[:2]
    scale = min(rows / height, columns / width)
    kept_rows = min(rows, max(1, round(height * scale)))
    kept_columns = min(columns, max(1, round(width * scale)))
    top, left = (rows - kept_rows) // 2, (columns - kept_columns) // 2
    return resize_area(picture[top : top + kept_rows, left : left + kept_columns], height, width)
