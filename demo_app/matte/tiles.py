"""Pictures in square tiles: work is done where there is some, on rectangles as large as they come."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.image import resize_area

Rectangle = tuple[slice, slice]
"""Rows and columns: indexes an array."""


def runs(tiles: NDArray[np.bool_], side: int, height: int, width: int) -> Iterator[Rectangle]:
    """The marked tiles, joined along each row of tiles.

    Args:
        tiles: rows x columns of tiles; the last ones may reach beyond the picture.
        side: of a tile, in pixels.
        height: rows of the picture: rectangles end there.
        width: columns of the picture.
    """
    edges = np.zeros((tiles.shape[0], tiles.shape[1] + 2), np.int8)
    edges[:, 1:-1] = tiles
    steps = np.diff(edges, axis=1)
    rows, starts = np.nonzero(steps == 1)
    ends = np.nonzero(steps == -1)[1]
    for row, start, end in zip((rows * side).tolist(), (starts * side).tolist(), (ends * side).tolist(), strict=True):
        yield slice(row, min(row + side, height)), slice(start, min(end, width))


def bridged(tiles: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A single tile between two marked ones of a row is marked too: one more rectangle costs as much as its pixels."""
    marked = tiles.copy()
    marked[:, 1:-1] |= tiles[:, :-2] & tiles[:, 2:]
    return marked


def shrink_by(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """The mean of every square of ``factor`` pixels, exactly aligned; squares that the border cuts count what is there.

    Args:
        picture: uint8, HxW or HxWxC.
        factor: pixels a side of a square, at least 1.

    Returns:
        uint8, ceil(H / factor) x ceil(W / factor) (xC), rounded at every halving.
    """
    height, width = picture.shape[:2]
    rows, columns = height // factor, width // factor
    small = np.empty((-(-height // factor), -(-width // factor), *picture.shape[2:]), np.uint8)
    down, across = rows * factor, columns * factor
    for part, out in (
        (picture[:down, :across], small[:rows, :columns]),
        (picture[down:, :across], small[rows:, :columns]),
        (picture[:down, across:], small[:rows, columns:]),
        (picture[down:, across:], small[rows:, columns:]),
    ):
        if out.size:
            out[:] = resize_area(part, out.shape[0], out.shape[1])
    return small


class CellMap:
    """Values on a grid of square cells, to be stretched over rectangles of the picture as if over all of it at once.

    Args:
        rows: of cells.
        columns: of cells.
        cell: pixels a side of a cell.
        channels: values a cell.
        largest: rows and columns of the largest rectangle.
    """

    def __init__(self, rows: int, columns: int, cell: int, channels: int, largest: tuple[int, int]) -> None:
        self._cell = cell
        self._cells = np.empty((rows + 2, columns + 2, channels), np.float32)
        # A rectangle that is not aligned touches a cell more than fits into it, and there is the margin.
        space = (largest[0] + 4 * cell) * (largest[1] + 4 * cell) * channels
        self._stretched = np.empty(space, np.float32)

    def fill(self, values: NDArray[np.float32]) -> None:
        """Take over values, float32, rows x columns x channels."""
        # A margin of one cell, which bilinear stretching looks at.
        cv2.copyMakeBorder(values, 1, 1, 1, 1, cv2.BORDER_REPLICATE, dst=self._cells)

    def stretched(self, rectangle: Rectangle) -> NDArray[np.float32]:
        """The values at the pixels of a rectangle, bilinear, HxWxchannels; the next call overwrites them."""
        cell = self._cell
        band, span = rectangle
        top, left = band.start // cell, span.start // cell
        source = self._cells[top : -(-band.stop // cell) + 2, left : -(-span.stop // cell) + 2]
        rows, columns, channels = source.shape[0] * cell, source.shape[1] * cell, source.shape[2]
        stretched = self._stretched[: rows * columns * channels].reshape(rows, columns, channels)
        cv2.resize(source, (columns, rows), dst=stretched, interpolation=cv2.INTER_LINEAR)
        y, x = band.start - (top - 1) * cell, span.start - (left - 1) * cell
        return stretched[y : y + band.stop - band.start, x : x + span.stop - span.start]


def partition(coverage: NDArray[np.uint8], side: int) -> tuple[list[Rectangle], list[Rectangle]]:
    """Split a coverage into tiles that are all subject, all background, or partly one of them.

    Args:
        coverage: uint8, HxW.
        side: of a tile, in pixels.

    Returns:
        The rectangles that are all subject (255 everywhere), and those that are neither that nor all background.
    """
    height, width = coverage.shape
    inside = of_tiles(coverage, side, np.minimum) == 255
    partial = (of_tiles(coverage, side, np.maximum) > 0) & ~inside
    return list(runs(inside, side, height, width)), list(runs(bridged(partial), side, height, width))


def of_tiles(values: NDArray[np.uint8], side: int, of: np.ufunc) -> NDArray[np.uint8]:
    """The least or the largest value of each tile.

    Args:
        values: uint8, HxW.
        side: of a tile; those at the right and lower border may be smaller.
        of: np.minimum or np.maximum.
    """
    height, width = values.shape
    whole = height // side
    # numpy reduces whole rows of bytes in vectors, but not by reduceat along the first axis: 30 times slower.
    bands = [of.reduce(values[: whole * side].reshape(whole, side, width), axis=1)]
    if height % side:
        bands.append(of.reduce(values[whole * side :], axis=0, keepdims=True))
    result: NDArray[np.uint8] = of.reduceat(np.concatenate(bands), np.arange(0, width, side), axis=1)
    return result
