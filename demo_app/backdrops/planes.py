"""Pictures as planes, one for each channel, shrunk by powers of two: what the blurs share and OpenCV does fast."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.image import Rgb

Pixel = TypeVar("Pixel", np.uint8, np.uint16)

# Rows of a band, an even number. At 720p a band's planes are 0.9 MB.
_BAND = 240


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
            shrink(planes, step)
            planes = step
        return planes


def shrink(planes: NDArray[Pixel], out: NDArray[Pixel]) -> None:
    """Area average of every plane, CxHxW; a copy where ``out`` is as large."""
    for plane, smaller in zip(planes, out, strict=True):
        cv2.resize(plane, smaller.shape[::-1], dst=smaller, interpolation=cv2.INTER_AREA)


def band_rows(height: int, width: int, *, halve: bool) -> int:
    """Rows of the first band of :class:`Bands`; the last one may have fewer."""
    # Halves of a band are halves of the frame only where its rows and columns are even in number.
    return height if halve and (height % 2 or width % 2) else min(_BAND, height)


class Bands:
    """Takes frames of one size apart into planes, band by band, so that a band's planes stay in the cache.

    Args:
        height: rows of the frames.
        width: columns of the frames.
        halve: whether what is made of the planes is half as large along each axis.
    """

    def __init__(self, height: int, width: int, *, halve: bool) -> None:
        step = 2 if halve else 1
        rows = band_rows(height, width, halve=halve)
        self._bands = [
            (slice(top, min(top + rows, height)), slice(top // step, math.ceil(min(top + rows, height) / step)))
            for top in range(0, height, rows)
        ]
        self._planes = np.empty((3, rows, width), np.uint8)

    def __call__(self, frame: Rgb) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
        """The bands of a frame: their rows in what is made of the planes, and the planes, uint8, 3xhxW.

        The next band overwrites the planes.
        """
        for rows, out_rows in self._bands:
            planes = self._planes[:, : rows.stop - rows.start]
            cv2.split(frame[rows], tuple(planes))
            yield out_rows, planes


def in_rows(planes: NDArray[Any]) -> NDArray[Any]:
    """Planes, CxHxW, one below the other, (C H)xW, for arithmetic pixel by pixel: OpenCV knows no third axis."""
    return planes.reshape(-1, planes.shape[2])
