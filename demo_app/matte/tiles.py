"""Pictures in square tiles: work is done where there is some, on rectangles as large as they come."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

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


def partition(
    coverage: NDArray[np.uint8], side: int, height: int, width: int
) -> tuple[list[Rectangle], list[Rectangle]]:
    """Split a picture into tiles that are all subject, all background, or may be partly one of them.

    Args:
        coverage: uint8, of any size: it is stretched bilinearly over the picture. A small one is faster looked through
            than its stretched copy.
        side: of a tile, in pixels.
        height: rows of the picture.
        width: columns of the picture.

    Returns:
        The rectangles that are all subject (255 everywhere), and those that are neither that nor all background.
    """
    rows = _looked_at(height, side, coverage.shape[0])
    columns = _looked_at(width, side, coverage.shape[1])
    # Lines first, then columns as lines: numpy is fast at whole lines.
    lowest, highest = (
        of.reduce(
            np.ascontiguousarray(of.reduce(coverage.take(rows, axis=0), axis=1).T).take(columns, axis=0), axis=1
        ).T
        for of in (np.minimum, np.maximum)
    )
    inside = lowest == 255
    partial = (highest > 0) & ~inside
    return list(runs(inside, side, height, width)), list(runs(bridged(partial), side, height, width))


@lru_cache(maxsize=8)
def _looked_at(pixels: int, side: int, given: int) -> NDArray[np.intp]:
    """What the pixels of each tile look at along one axis, when ``given`` values are stretched: intp, tiles x some."""
    first = np.arange(0, pixels, side)
    last = np.minimum(first + side, pixels) - 1
    # Half-pixel centres; the resize may round a place a little, and look one further.
    least, most = (
        np.floor((place + 0.5) * given / pixels - 0.5 + slack).astype(np.intp)
        for place, slack in ((first, -0.01), (last, 1.01))
    )
    looked_at: NDArray[np.intp] = np.clip(least[:, None] + np.arange((most - least).max() + 1), 0, given - 1)
    return looked_at
