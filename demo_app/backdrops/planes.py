"""Pictures shrunk by powers of two, and planes repeated: what the blurs share and OpenCV does fast."""

from __future__ import annotations

import math
from typing import Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Pixel = TypeVar("Pixel", np.uint8, np.uint16)


class Halving(Generic[Pixel]):
    """Halves pictures of one size again and again, into buffers that are made once.

    OpenCV's area average has vector code for 2:1 alone: two steps are cheaper than one of 4:1.

    Args:
        height: rows of the pictures.
        width: columns of the pictures.
        channels: of the pictures; 1 stands for HxW.
        dtype: uint8 or uint16.
        factor: a power of two; 1 gives the picture itself.
    """

    def __init__(self, height: int, width: int, channels: int, dtype: type[Pixel], factor: int) -> None:
        self.size = (height, width)
        self._steps: list[NDArray[Pixel]] = []
        while factor > 1:
            self.size = (math.ceil(self.size[0] / 2), math.ceil(self.size[1] / 2))
            self._steps.append(np.empty(self.size if channels == 1 else (*self.size, channels), dtype))
            factor //= 2

    def __call__(self, picture: NDArray[Pixel]) -> NDArray[Pixel]:
        """The shrunk picture; the next call overwrites it."""
        for step in self._steps:
            cv2.resize(picture, (step.shape[1], step.shape[0]), dst=step, interpolation=cv2.INTER_AREA)
            picture = step
        return picture


def repeat(plane: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """One channel, float32, HxW, to three alike, HxWx3."""
    cv2.merge((plane, plane, plane), dst=out)
