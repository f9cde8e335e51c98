"""Pictures in square cells: the few that need work are gathered, worked on with one call for all, and put back.

A subject's edge winds through the picture: rectangles around it are many and mostly empty, and each costs a dozen
calls. Cells of some pixels a side, stacked one upon the other, hold little but the edge, and are one array.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

# Pixels that are worked on at once. The arrays of a step stay in a core's own cache; half as many cost more in calls.
_BATCH = 65_536

# OpenBLAS does products of up to so many multiplications in the calling thread, and wakes others for larger ones.
_BLAS_ALONE = 2**18


@dataclass(frozen=True)
class Cells:
    """Some cells of a grid.

    Attributes:
        index: of each, counted along the rows of cells, intp, (n,).
        lines: of each, its lines, counted in pieces of a cell's width along the rows of pixels, intp, (n, cell).
    """

    index: NDArray[np.intp]
    lines: NDArray[np.intp]


class Grid:
    """The square cells of pictures of one size.

    Args:
        height: rows of the pictures.
        width: columns of the pictures.
        cell: pixels a side of a cell. The last cells may reach beyond the picture.

    Attributes:
        rows: of cells.
        columns: of cells.
        area: pixels of a cell.
        batch: cells that are worked on at once.
    """

    def __init__(self, height: int, width: int, cell: int) -> None:
        self.height, self.width, self.cell = height, width, cell
        self.rows, self.columns = -(-height // cell), -(-width // cell)
        self.area = cell * cell
        self.batch = max(1, _BATCH // self.area)

    def empty(self, *channels: int) -> NDArray[np.uint8]:
        """A picture that is filled cell by cell, uint8: of whole cells, thus up to a cell larger than the pictures."""
        return np.empty((self.rows * self.cell, self.columns * self.cell, *channels), np.uint8)

    def cropped(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """What lies within the pictures' size of one of whole cells; it has the same pixels in memory."""
        return picture[: self.height, : self.width]

    def cropped_into(self, picture: NDArray[np.uint8], out: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """As :meth:`cropped`, contiguous: the picture itself if it has that size, else ``out``, written over."""
        if picture.shape == out.shape:
            return picture
        np.copyto(out, self.cropped(picture))
        return out

    def whole(self, picture: NDArray[np.uint8], out: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A picture continued to whole cells by its border, contiguous; itself where it is that already.

        Args:
            picture: uint8, HxW or HxWxC.
            out: of :meth:`empty`: written and returned where the picture does not do.
        """
        if picture.shape == out.shape and picture.flags.c_contiguous:
            return picture
        below, right = out.shape[0] - self.height, out.shape[1] - self.width
        cv2.copyMakeBorder(picture, 0, below, 0, right, cv2.BORDER_REPLICATE, dst=out)
        return out

    def batches(self, marked: NDArray[np.bool_]) -> Iterator[Cells]:
        """The marked cells, bool, rows x columns, not too many at once."""
        every = np.flatnonzero(marked)
        for start in range(0, every.size, self.batch):
            index = every[start : start + self.batch]
            row, column = np.divmod(index, self.columns)
            first = row * (self.cell * self.columns) + column
            yield Cells(index, first[:, None] + np.arange(self.cell) * self.columns)

    def gather(self, picture: NDArray[np.uint8], cells: Cells) -> NDArray[np.uint8]:
        """The pixels of some cells of a picture of whole cells: uint8, n x area (x channels)."""
        lines = self._lines(picture).take(cells.lines)
        return lines.view(np.uint8).reshape(len(cells.index), self.area, *picture.shape[2:])

    def put(self, stack: NDArray[np.uint8], cells: Cells, picture: NDArray[np.uint8]) -> None:
        """Write what :meth:`gather` gave, or an array like it, to a picture of :meth:`empty`."""
        np.put(self._lines(picture), cells.lines, stack.reshape(-1).view(self._line(picture)))

    def spread(self, values: NDArray[np.uint8], picture: NDArray[np.uint8]) -> None:
        """Fill a picture of :meth:`empty` with one value for each cell, uint8, rows x columns."""
        along = np.repeat(values, self.cell, axis=1)
        picture.reshape(self.rows, self.cell, -1)[:] = along[:, None]

    def _line(self, picture: NDArray[np.uint8]) -> np.dtype[np.void]:
        """One line of a cell as a single item: numpy then moves it as a whole."""
        return np.dtype((np.void, self.cell * (picture.shape[2] if picture.ndim == 3 else 1)))

    def _lines(self, picture: NDArray[np.uint8]) -> NDArray[np.void]:
        flat = picture.view()
        flat.shape = (picture.size,)  # an error, and not a copy, where the picture is not contiguous
        return flat.view(self._line(picture))


class CellMap:
    """Values on a grid of cells, to be stretched over the pixels of some cells as if over the whole picture.

    Args:
        grid: the cells.
        channels: values a cell.
    """

    def __init__(self, grid: Grid, channels: int) -> None:
        # A margin of one cell, which bilinear stretching looks at.
        self._values = np.empty((channels, grid.rows + 2, grid.columns + 2), np.float32)
        self._columns = grid.columns
        self._around = (np.arange(3)[:, None] * (grid.columns + 2) + np.arange(3)).ravel()
        self._weights = _bilinear(grid.cell)
        self._at_once = max(1, _BLAS_ALONE // self._weights.size)
        self._stretched = np.empty(channels * grid.batch * grid.area, np.float32)

    def fill(self, planes: Sequence[NDArray[np.float32]]) -> None:
        """Take over values, for each channel float32, rows x columns."""
        for plane, values in zip(planes, self._values, strict=True):
            cv2.copyMakeBorder(plane, 1, 1, 1, 1, cv2.BORDER_REPLICATE, dst=values)

    def stretched(self, cells: Cells) -> NDArray[np.float32]:
        """The values at the pixels of some cells, bilinear, channels x n x area; the next call overwrites them."""
        # A row of the map has two cells more than one of the grid.
        corner = cells.index + cells.index // self._columns * 2
        channels = len(self._values)
        around = self._values.reshape(channels, -1).take(corner[:, None] + self._around, axis=1)
        shape = channels, len(corner), self._weights.shape[1]
        stretched = self._stretched[: shape[0] * shape[1] * shape[2]].reshape(shape)
        for start in range(0, len(corner), self._at_once):
            part = np.s_[:, start : start + self._at_once]
            np.matmul(around[part], self._weights, out=stretched[part])
        return stretched


def _bilinear(cell: int) -> NDArray[np.float32]:
    """What the pixels of a cell take from it and the eight around it: float32, 9 x (cell * cell)."""
    # Half-pixel centres: from one cell's middle to the next, the share goes from all to none.
    place = (np.arange(cell) + 0.5) / cell - 0.5
    axis = np.stack([np.maximum(-place, 0.0), 1.0 - np.abs(place), np.maximum(place, 0.0)])
    weights: NDArray[np.float32] = np.einsum("iy,jx->ijyx", axis, axis).reshape(9, cell * cell).astype(np.float32)
    return weights


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
    if rows and columns:
        small[:rows, :columns] = _whole_squares(picture[:down, :across], factor)
    for part, out in (
        (picture[down:, :across], small[rows:, :columns]),
        (picture[:down, across:], small[:rows, columns:]),
        (picture[down:, across:], small[rows:, columns:]),
    ):
        if out.size:
            cv2.resize(part, out.shape[1::-1], dst=out, interpolation=cv2.INTER_AREA)
    return small


def _whole_squares(picture: NDArray[np.uint8], factor: int) -> NDArray[np.uint8]:
    """Halves as long as they fit into the squares (they are vectorised), the rest at once."""
    while factor > 1:
        step = 2 if factor % 2 == 0 else factor
        size = picture.shape[1] // step, picture.shape[0] // step
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        factor //= step
    return picture
