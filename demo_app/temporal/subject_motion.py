"""The matte moves as its subject does, up to its very edge.

A patch of DIS that lies across the subject's edge sees both motions and answers with something in between, just where
the matte needs it. So around the edge the flow is continued from the inside of the subject outwards: a normalised
convolution (Knutsson and Westin 1993) of the flow, weighed by the matte. Where the matte is 0 on both sides of a
motion, the flow makes no difference to it.
"""

from __future__ import annotations

import cv2
import numpy as np

from demo_app.matte import Alpha
from demo_app.temporal.flow import Field, Warp
from edge_deeplab.image import resize_map

# DIS's fast preset finds the flow on every fourth pixel and interpolates: nothing is lost on this grid.
_FACTOR = 4

# Pixels of that grid: the subject's inside begins this window's half from its edge; the flow is averaged over the other
# one, twice. At 48 pixels across, 3 and 5 are 6 and 10 % of the picture.
_INSIDE, _AVERAGE = 3, 5

# Weight of the flow as it was found, where no subject is near.
_ELSEWHERE = 5e-4


class SubjectMotion:
    """Continues a flow from the inside of the subject over its edge, for pictures of one size.

    Args:
        rows: of the flow.
        columns: of the flow.
    """

    def __init__(self, rows: int, columns: int) -> None:
        self._size = (max(1, round(rows / _FACTOR)), max(1, round(columns / _FACTOR)))
        self._scale = np.array((self._size[1] / columns, self._size[0] / rows), np.float32)
        self._warp = Warp(*self._size)
        self._inside = np.empty(self._size, np.float32)
        self._window = np.ones((_INSIDE, _INSIDE), np.uint8)

    def __call__(self, flow: Field, last: Alpha) -> Field:
        """The motion that the matte is to be carried by.

        Args:
            flow: from the new picture back to the old one, float32, (rows, columns, 2).
            last: the old picture's matte, float32, 0..1, of any size.

        Returns:
            The flow on a grid of a quarter of the size, in pixels of that grid.
        """
        rows, columns = self._size
        found: Field = cv2.resize(flow, (columns, rows), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        found *= self._scale
        self._warp.aim(found)
        self._warp.fetch(resize_map(last, rows, columns), self._inside)
        weight = np.clip(2.0 * cv2.erode(self._inside, self._window) - 1.0, 0.0, 1.0)

        total = _averaged(found * weight[:, :, None]) + np.float32(_ELSEWHERE) * found
        near = total / (_averaged(weight) + np.float32(_ELSEWHERE))[:, :, None]
        motion: Field = near + weight[:, :, None] * (found - near)
        return motion


def _averaged(values: Field) -> Field:
    window = (_AVERAGE, _AVERAGE)
    return cv2.blur(cv2.blur(values, window), window)  # type: ignore[return-value]
