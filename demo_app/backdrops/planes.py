"""Pictures as planes, one for each channel, shrunk by powers of two: what the blurs share and OpenCV does fast."""

from __future__ import annotations

import math
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", np.uint8, np.uint16)


class Halving(Generic[Pixel]):
    """Halves planes of one size again and again, into buffers that are made once.

    OpenCV's area average has vector code for 2:1 alone, and for three channels side by side next to none: two steps are
    cheaper than one of 4:1, and three planes than one picture.

    Args:
        planes: how many there are.
        height: rows of the planes.
        width: columns of the planes.
        dtype: uint8 or uint16.
        factor: a power of two; 1 gives the planes themselves.
    """

    def __init__(self, planes: int, height: int, width: int, dtype: type[Pixel], factor: int) -> None:
        self.size = (height, width)
        self._steps: list[NDArray[Pixel]] = []
        while factor > 1:
            self.size = (math.ceil(self.size[0] / 2), math.ceil(self.size[1] / 2))
            self._steps.append(np.empty((planes, *self.size), dtype))
            factor //= 2

    def __call__(self, planes: NDArray[Pixel]) -> NDArray[Pixel]:
        """The shrunk planes, CxHxW like those given; the next call overwrites them."""
        for step in self._steps:
            for plane, out in zip(planes, step, strict=True):
                cv2.resize(plane, out.shape[::-1], dst=out, interpolation=cv2.INTER_AREA)
            planes = step
        return planes


def in_rows(planes: NDArray[Any]) -> NDArray[Any]:
    """Planes, CxHxW, one below the other, (C H)xW, for arithmetic pixel by pixel: OpenCV knows no third axis."""
    return planes.reshape(-1, planes.shape[2])
