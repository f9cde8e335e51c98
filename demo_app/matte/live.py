"""The matte of a film's frame, at the frame's size, in a few milliseconds.

The guided filter's linear functions are found on a grid of cells, 160 along the longer side, and evaluated at every
pixel only in the cells where they can give anything but certainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.matte import Alpha
from demo_app.matte.cells import CellMap, Cells, Grid, shrink_by
from demo_app.matte.guided_filter import Planes, coefficients, colour_planes
from demo_app.matte.tighten import tighten
from demo_app.matte.tiles import Rectangle
from edge_deeplab.image import Rgb, resize_area

# Against 320 and 213 cells with the same window, on frames with true alpha: the same error at shoulders, a sixth to a
# third less in hair, at a quarter of the cost.
_CELLS = 160

# Window of the guided filter, in cells to each side.
_RADIUS = 2

# Colours are asked for this far beyond the functions' reach: by the filter's windows, and by the decontamination, which
# takes means of four cells to each side and stretches them.
_COLOUR_REACH = 6

# A window's functions reach this far from the strip in which the network is uncertain; one cell for the stretching.
_REACH = 2 * _RADIUS + 1

# The filter's result is a mean of many windows' functions, and a little soft: this range of it becomes 0..1. A straight
# line has no less error than a smooth step, and is one with the filter's own linear functions.
_SURELY_OUT, _SURELY_IN = 0.2, 0.8


@dataclass(frozen=True)
class Matte:
    """A frame's matte.

    Attributes:
        coverage: the subject, uint8, HxW of the frame; the next frame overwrites it.
        in_cells: the same memory as far as the last cells reach, to be gathered from.
        pixels: the frame, RGB, uint8, as far as the last cells reach; may be overwritten by the next.
        evaluated: the cells whose coverage was found pixel by pixel, bool, rows x columns of cells; elsewhere it is
            certainly 0 or 255.
        partly: those of them that are neither all subject nor all background.
        colours: the frame's mean colour in each cell near the edge, black elsewhere: float32 planes, 0..1.
        alpha: the subject in each cell, float32, 0..1.
        given: the alpha that came in, tightened, in each cell, float32, 0..1: for backdrops, which do not gain by the
            refined one (halo 0.3 dB less at shoulders, up to 0.9 dB less in hair).
    """

    coverage: NDArray[np.uint8]
    in_cells: NDArray[np.uint8]
    pixels: Rgb
    evaluated: NDArray[np.bool_]
    partly: NDArray[np.bool_]
    colours: Planes
    alpha: Alpha
    given: Alpha


class LiveRefiner:
    """Pulls a matte's edge to the frame's edge by a colour guided filter, for frames of one size.

    Args:
        height: rows of the frames.
        width: columns of the frames.

    Attributes:
        grid: the cells.
    """

    def __init__(self, height: int, width: int) -> None:
        self.grid = Grid(height, width, max(1, -(-max(height, width) // _CELLS)))
        self._in_cells, self._pixels = self.grid.empty(), self.grid.empty(3)
        self._functions = CellMap(self.grid, 4)

    def __call__(self, frame: Rgb, alpha: Alpha) -> Matte:
        """Refine one frame's matte.

        Args:
            frame: RGB, uint8, (height, width, 3).
            alpha: the subject's probability or coverage, float32, 0..1, HxW of any size: it is stretched over the
                frame, and tightened.
        """
        guess = tighten(frame, self._mean(alpha))
        colours = colour_planes(self._shrunk(frame, _around(guess, _REACH + _COLOUR_REACH)))

        found = [np.zeros_like(guess), np.zeros_like(guess), np.zeros_like(guess), guess.copy()]
        box = _around(guess, _REACH + _RADIUS)  # and the windows there are whole
        if box is not None:
            red, green, blue = (np.ascontiguousarray(plane[box]) for plane in colours)
            for plane, part in zip(
                found, coefficients((red, green, blue), np.ascontiguousarray(guess[box]), _RADIUS), strict=True
            ):
                plane[box] = part
        gain = np.float32(1.0 / (_SURELY_IN - _SURELY_OUT))
        for plane in found:
            plane *= gain
        found[3] -= gain * np.float32(_SURELY_OUT)
        pixels = self.grid.whole(frame, self._pixels)
        evaluated, partly = self._evaluate(pixels, found)

        refined = found[3].copy()
        for slope, plane in zip(found[:3], colours, strict=True):
            refined += slope * plane
        np.clip(refined, 0.0, 1.0, out=refined)
        return Matte(
            coverage=self.grid.cropped(self._in_cells),
            in_cells=self._in_cells,
            pixels=pixels,
            evaluated=evaluated,
            partly=partly,
            colours=colours,
            alpha=refined,
            given=guess,
        )

    def _shrunk(self, frame: Rgb, box: Rectangle | None) -> Rgb:
        """The mean colour of each cell in a box of them, RGB, uint8, rows x columns x 3; black elsewhere."""
        cell = self.grid.cell
        small = np.zeros((self.grid.rows, self.grid.columns, 3), np.uint8)
        if box is not None:
            rows, columns = (slice(part.start * cell, part.stop * cell) for part in box)
            small[box] = shrink_by(frame[rows, columns], cell)
        return small

    def _mean(self, alpha: Alpha) -> Alpha:
        """The mean alpha of each cell."""
        height, width, cell = self.grid.height, self.grid.width, self.grid.cell
        given: NDArray[np.uint8] = cv2.convertScaleAbs(alpha, alpha=255.0)  # type: ignore[assignment]
        if height % cell == 0 and width % cell == 0:
            mean = resize_area(given, height // cell, width // cell)
        else:
            mean = shrink_by(resize_area(given, height, width), cell)
        return mean * np.float32(1.0 / 255.0)

    def _evaluate(self, pixels: Rgb, found: list[Alpha]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Fill the coverage: each cell all in, all out, or pixel by pixel. Returned: the last ones, and the mixed."""
        # The cells beside a cell count too: they are looked at in the stretching.
        all_in, all_out = (cv2.erode(sure.view(np.uint8), _NEIGHBOURS).view(np.bool_) for sure in _certainty(found))
        evaluated: NDArray[np.bool_] = ~(all_in | all_out)
        partly = evaluated.copy()
        grid = self.grid
        grid.spread(all_in.view(np.uint8) * np.uint8(255), self._in_cells)
        # Colours go to 255 here, and so does the result.
        self._functions.fill((*found[:3], found[3] * np.float32(255.0)))
        for cells in grid.batches(evaluated):
            covered = self._affine(grid.gather(pixels, cells), cells)
            grid.put(covered, cells, self._in_cells)
            by_pixel = cv2.transpose(covered)  # numpy is slow at the least of few
            partly.flat[cells.index] = (by_pixel.min(axis=0) < 255) & (by_pixel.max(axis=0) > 0)
        return evaluated, partly

    def _affine(self, pixels: NDArray[np.uint8], cells: Cells) -> NDArray[np.uint8]:
        """slope . colour + offset in some cells, the functions stretched bilinearly: uint8, n x area.

        Args:
            pixels: RGB, uint8, n x area x 3.
            cells: which they are.
        """
        *slopes, total = self._functions.stretched(cells)
        for slope, plane in zip(slopes, cv2.split(pixels), strict=True):
            np.multiply(slope, plane, out=slope)
        np.add(total, slopes[0], out=total)
        np.add(slopes[1], slopes[2], out=slopes[1])
        # Rounded, and clipped to 0..255.
        covered: NDArray[np.uint8] = cv2.add(total, slopes[1], dtype=cv2.CV_8U)
        return covered


# What is nearer to 0 or 1 than this is 0 or 255 in eight bits.
_CERTAIN = 0.25 / 255

_NEIGHBOURS = np.ones((3, 3), np.uint8)


def _around(guess: Alpha, reach: int) -> Rectangle | None:
    """The box of the uncertain cells and of ``reach`` more to each side; None: there are none."""
    left, top, columns, rows = cv2.boundingRect(((guess > 0.0) & (guess < 1.0)).view(np.uint8))
    if columns == 0:
        return None
    return np.s_[max(0, top - reach) : top + rows + reach, max(0, left - reach) : left + columns + reach]


def _certainty(found: list[Alpha]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Where the functions give all subject whatever the colour in 0..1, and where all background."""
    *slopes, offset = found
    # A colour of 1/2 in each channel, and as far as 1/2 from there to either side.
    middle = offset + (slopes[0] + slopes[1] + slopes[2]) * np.float32(0.5)
    reach = (np.abs(slopes[0]) + np.abs(slopes[1]) + np.abs(slopes[2])) * np.float32(0.5)
    return middle - reach >= 1.0 - _CERTAIN, middle + reach <= _CERTAIN
