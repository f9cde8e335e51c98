"""Where each point of a frame was in the frame before, found on a small grey picture of both.

DIS optical flow (Kroeger et al. 2016, "Fast Optical Flow using Dense Inverse Search"), which OpenCV computes row by row
without regard to the number of threads: the same two pictures give the same bytes.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ImageError
from edge_deeplab.image import Rgb

Grey = NDArray[np.uint8]
"""A picture of luma codes: uint8, HxW."""

Field = NDArray[np.float32]
"""A displacement or a place for every pixel: float32, HxWx2, (x, y) in pixels."""

# Of 160, 192, 256 and 320 pixels all smooth alike; of 256 the flow costs twice as much as of 192.
_LONGER_SIDE = 192
_SHORTER_SIDE = 48  # at least, so that a strip of a picture still has a few of the 8x8 patches of DIS across


def flow_size(height: int, width: int) -> tuple[int, int]:
    """(rows, columns) of the picture that flow is computed on: 192 on the longer side, of the frame's shape."""
    longer = max(height, width)
    rows, columns = (max(_SHORTER_SIDE, round(_LONGER_SIDE * side / longer)) for side in (height, width))
    return rows, columns


def flow_picture(frame: Rgb) -> Grey:
    """The small grey picture of a frame: uint8, of :func:`flow_size`.

    Grey before small: three channels cost more to shrink than the one that is left costs to make. By area average
    in halves while it is twice as large or more, and the rest bilinearly.

    Args:
        frame: RGB, uint8, HxWx3; one that was shrunk already does as well.

    Raises:
        ImageError: a frame of another shape or type.
    """
    if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or frame.size == 0:
        raise ImageError(f"a frame must be RGB, uint8, HxWx3, and this one is {frame.dtype} {frame.shape}")
    rows, columns = flow_size(*frame.shape[:2])
    grey: Grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)  # type: ignore[assignment]
    while grey.shape[0] >= 2 * rows and grey.shape[1] >= 2 * columns:
        half = (grey.shape[1] // 2, grey.shape[0] // 2)
        grey = cv2.resize(grey, half, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return cv2.resize(grey, (columns, rows), interpolation=cv2.INTER_LINEAR)  # type: ignore[return-value]


class Flow:
    """Backward optical flow: for each pixel of the new picture, where it was in the old one."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def __call__(self, new: Grey, old: Grey) -> Field:
        """Displacements such that ``new[y, x]`` looks like ``old[y + dy, x + dx]``.

        Args:
            new: uint8, HxW, at least 48x48.
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
        # Half a pixel beyond the outermost centres the view ends. OpenCV takes four numbers for a scalar.
        self._low = np.array((-0.5, -0.5, 0.0, 0.0))
        self._high = np.array((width - 0.5, height - 0.5, 0.0, 0.0))

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
        scaled = flow * np.array((width / columns, height / rows), np.float32)
        cv2.resize(scaled, (width, height), dst=self._places, interpolation=cv2.INTER_LINEAR)
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
        cv2.inRange(self._places, self._low, self._high, dst=self._inside)
        return self._inside
