"""The matte of a film's frame, at the frame's size, in a few milliseconds.

The guided filter's linear functions are found on a grid of cells, 160 along the longer side, and evaluated at every
pixel only where they can give anything but certainty.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.matte import Alpha
from demo_app.matte.guided_filter import Planes, coefficients, colour_planes
from demo_app.matte.tighten import tighten
from demo_app.matte.tiles import CellMap, Rectangle, bridged, of_tiles, runs, shrink_by
from edge_deeplab.image import Rgb, resize_area

# Against 320 and 213 cells with the same window, on frames with true alpha: the same error at shoulders, a sixth to a
# third less in hair, at a quarter of the cost.
_CELLS = 160

# Window of the guided filter, in cells to each side.
_RADIUS = 2

# A window's functions reach this far from the strip in which the network is uncertain; one cell for the stretching.
_REACH = 2 * _RADIUS + 1

# The filter's result is a mean of many windows' functions, and a little soft: this range of it becomes 0..1. A straight
# line has no less error than a smooth step, and is one with the filter's own linear functions.
_SURELY_OUT, _SURELY_IN = 0.2, 0.8

# Cells a side of a tile: large enough that calls do not cost more than pixels.
_TILE = 4


@dataclass(frozen=True)
class Matte:
    """A frame's matte.

    Attributes:
        coverage: the subject, uint8, HxW of the frame; the next frame overwrites it.
        strip: where the coverage was found pixel by pixel; elsewhere it is certainly 0 or 255.
        colours: the frame's mean colour in each cell: float32 planes, 0..1.
        alpha: the subject in each cell, float32, 0..1.
        given: the alpha that came in, tightened, in each cell, float32, 0..1: for backdrops, which do not gain by the
            refined one (halo 0.3 dB less at shoulders, up to 0.9 dB less in hair).
    """

    coverage: NDArray[np.uint8]
    strip: list[Rectangle]
    colours: Planes
    alpha: Alpha
    given: Alpha


class LiveRefiner:
    """Pulls a matte's edge to the frame's edge by a colour guided filter, for frames of one size.

    Args:
        height: rows of the frames.
        width: columns of the frames.

    Attributes:
        cell: pixels a side of a cell.
        grid: rows and columns of cells; the last ones may reach beyond the frame.
    """

    def __init__(self, height: int, width: int) -> None:
        self.cell = cell = max(1, -(-max(height, width) // _CELLS))
        self.grid = rows, columns = -(-height // cell), -(-width // cell)
        self._coverage = np.empty((height, width), np.uint8)
        side = _TILE * cell
        self._functions = CellMap(rows, columns, cell, 4, (side, width))
        self._colour = np.empty(side * width * 4, np.uint8)
        self._terms = np.empty(side * width * 4, np.float32)
        self._sum = np.empty(side * width, np.float32)

    def __call__(self, frame: Rgb, alpha: Alpha) -> Matte:
        """Refine one frame's matte.

        Args:
            frame: RGB, uint8, (height, width, 3).
            alpha: the subject's probability or coverage, float32, 0..1, HxW of any size: it is stretched over the
                frame, and tightened.
        """
        small = shrink_by(frame, self.cell)
        colours = colour_planes(small)
        guess = tighten(small, self._in_cells(alpha))

        found = [np.zeros_like(guess), np.zeros_like(guess), np.zeros_like(guess), guess.copy()]
        box = _around(guess)
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
        strip = self._evaluate(frame, found)

        refined = found[3].copy()
        for slope, plane in zip(found[:3], colours, strict=True):
            refined += slope * plane
        return Matte(self._coverage, strip, colours, np.clip(refined, 0.0, 1.0, out=refined), guess)

    def _in_cells(self, alpha: Alpha) -> Alpha:
        """The mean alpha of each cell."""
        height, width = self._coverage.shape
        cell = self.cell
        given: NDArray[np.uint8] = cv2.convertScaleAbs(alpha, alpha=255.0)  # type: ignore[assignment]
        if height % cell == 0 and width % cell == 0:
            mean = resize_area(given, height // cell, width // cell)
        else:
            mean = shrink_by(resize_area(given, height, width), cell)
        return mean * np.float32(1.0 / 255.0)

    def _evaluate(self, frame: Rgb, found: list[Alpha]) -> list[Rectangle]:
        """Fill the coverage: each tile all in, all out, or pixel by pixel; the last ones are returned."""
        self._functions.fill(cv2.merge(found))  # type: ignore[arg-type]
        sure = _certainty(found)
        # The cells beside a tile count too: they are looked at in the stretching.
        all_in = of_tiles(cv2.erode(sure, _NEIGHBOURS), _TILE, np.minimum) == _IN  # type: ignore[arg-type]
        all_out = of_tiles(cv2.dilate(sure, _NEIGHBOURS), _TILE, np.maximum) == _OUT  # type: ignore[arg-type]

        height, width = self._coverage.shape
        side = _TILE * self.cell
        self._coverage.fill(0)
        for rectangle in runs(all_in, side, height, width):
            self._coverage[rectangle] = 255
        strip = list(runs(bridged(~(all_in | all_out)), side, height, width))
        for rectangle in strip:
            self._affine(frame, rectangle)
        return strip

    def _affine(self, frame: Rgb, rectangle: Rectangle) -> None:
        """coverage <- slope . colour + offset in one rectangle, the functions stretched bilinearly from the cells."""
        pixels = frame[rectangle]
        rows, columns = pixels.shape[:2]
        functions = self._functions.stretched(rectangle)
        count = rows * columns
        colour = self._colour[: count * 4].reshape(rows, columns, 4)
        cv2.cvtColor(pixels, cv2.COLOR_RGB2RGBA, dst=colour)  # the fourth is 255, for the offset
        terms = self._terms[: count * 4].reshape(rows, columns, 4)
        cv2.multiply(colour, functions, dst=terms, dtype=cv2.CV_32F)
        total = self._sum[:count]
        np.dot(terms.reshape(count, 4), _ONES, out=total)
        # Rounded, and clipped to 0..255.
        cv2.add(total.reshape(rows, columns), 0.0, dst=self._coverage[rectangle], dtype=cv2.CV_8U)  # type: ignore[call-overload]


# What is nearer to 0 or 1 than this is 0 or 255 in eight bits.
_CERTAIN = 0.25 / 255

_OUT, _UNSURE, _IN = 0, 1, 2
_NEIGHBOURS = np.ones((3, 3), np.uint8)
_ONES = np.ones(4, np.float32)


def _around(guess: Alpha) -> Rectangle | None:
    """The cells that the functions of uncertain ones reach; None: there are none."""
    left, top, columns, rows = cv2.boundingRect(((guess > 0.0) & (guess < 1.0)).view(np.uint8))
    if columns == 0:
        return None
    reach = _REACH + _RADIUS  # and the windows there are whole
    return np.s_[max(0, top - reach) : top + rows + reach, max(0, left - reach) : left + columns + reach]


def _certainty(found: list[Alpha]) -> NDArray[np.uint8]:
    """_IN where the functions give all subject whatever the colour in 0..1, _OUT where all background."""
    lowest, highest = found[3].copy(), found[3].copy()
    for slope in found[:3]:
        lowest += np.minimum(slope, 0.0)
        highest += np.maximum(slope, 0.0)
    sure = np.full(lowest.shape, _UNSURE, np.uint8)
    sure[lowest >= 1.0 - _CERTAIN] = _IN
    sure[highest <= _CERTAIN] = _OUT
    return sure
