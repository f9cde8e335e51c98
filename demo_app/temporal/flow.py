"""Where each point of a frame was in the frame before, found on a small grey picture of both.

DIS optical flow (Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search"), which OpenCV computes row by row
without regard to the number of threads: the same two pictures give the same bytes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.image import Rgb, resize_area

Grey = NDArray[np.uint8]
"""A picture of luma codes: uint8, HxW."""

Field = NDArray[np.float32]
"""A displacement or a place for every pixel: float32, HxWx2, (x, y) in pixels."""

_LONGER_SIDE = 256
_SHORTER_SIDE = 64  # at least, so that a strip of a picture still has a few of the 8x8 patches of DIS across


def flow_size(height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of the picture that flow is computed on: 256 on the longer side, of the frame's shape."""
    longer = max(height, width)
    rows, columns = (max(_SHORTER_SIDE, round(_LONGER_SIDE * side / longer)) for side in (height, width))
    return rows, columns


def flow_picture(frame: Rgb) -> Grey:
    """The small grey picture of a frame: uint8, of :func:`flow_size`.

    Grey before small: three channels cost more to shrink than the one that is left costs to make. Exact halves by area
    average; what is left, less than 2:1, bilinearly.

    Args:
        frame: RGB, uint8, HxWx3; one that was shrunk already does as well.
    """
    grey: Grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)  # type: ignore[assignment]
    rows, columns = flow_size(*grey.shape)
    while grey.shape[0] >= 2 * rows and grey.shape[1] >= 2 * columns:
        grey = resize_area(grey, grey.shape[0] // 2, grey.shape[1] // 2)
    return cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


class Flow:
    """Backward optical flow: for each pixel of the new picture, where it was in the old one."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def __call__(self, new: Grey, old: Grey) -> Field:
        """Displacements such that ``new[y, x]`` looks like ``old[y + dy, x + dx]``.

        Args:
            new: uint8, HxW, at least 64x64.
            old: the same size.

        Returns:
            (dx, dy), float32, HxWx2, in pixels of these pictures.
        """
        # Without a third argument: a field given there is taken for a first guess, and results would hang on the past.
        return self._dis.calc(new, old, None)  # type: ignore[no-any-return,call-overload]


class Warp:
    """Fetches the pixels of maps of one size from where a flow says that they were; its buffers are made once.

    Args:
        height: rows of the maps.
        width: columns of the maps.
    """

    def __init__(self, height: int, width: int) -> None:
        self._grid = np.empty((height, width, 2), np.float32)
        self._grid[:, :, 0] = np.arange(width, dtype=np.float32)
        self._grid[:, :, 1] = np.arange(height, dtype=np.float32)[:, None]
        self._places = np.empty_like(self._grid)
        self._inside = np.empty((height, width), np.uint8)

    def aim(self, flow: Field) -> None:
        """Take the displacements that the next maps are fetched by.

        Args:
            flow: of a picture of any size that covers the same view: both are thought of as stretched over the frame,
                pixels as areas (half-pixel centres), so that displacements scale with the size.
        """
        height, width = self._grid.shape[:2]
        rows, columns = flow.shape[:2]
        if (rows, columns) == (height, width):
            cv2.add(self._grid, flow, dst=self._places)
            return
        cv2.resize(flow, (width, height), dst=self._places, interpolation=cv2.INTER_LINEAR)
        cv2.multiply(self._places, (width / columns, height / rows, 0.0, 0.0), dst=self._places)
        cv2.add(self._places, self._grid, dst=self._places)

    def fetch(self, values: NDArray[Any], out: NDArray[Any]) -> None:
        """Bilinear; what was outside of the view is continued from its border.

        Args:
            values: float32 or uint8, (height, width).
            out: of the same shape and type; written over.
        """
        cv2.remap(values, self._places, None, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload]

    def inside(self) -> NDArray[np.uint8]:
        """255 where a pixel was in view before, else 0: uint8, (height, width); overwritten by the next call."""
        height, width = self._grid.shape[:2]
        low, high = (-0.5, -0.5, 0.0, 0.0), (width - 0.5, height - 0.5, 0.0, 0.0)
        cv2.inRange(self._places, low, high, dst=self._inside)
        return self._inside
