"""Where the person of a photo is, looked for twice: the network sees few pixels only.

The photo is shown to it as it stands and mirrored, and the mean is taken. Where the person fills a part of the photo
only, that part is shown once more, enlarged: its cells are then smaller, and so are their errors.
benchmarks/still_portrait.py measures both.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.matte import Alpha
from edge_deeplab.image import Rgb, resize_area, resize_map

Coarse = Callable[[Rgb], Alpha]
"""Photo, RGB, uint8, HxWx3 -> the person's probability at the network's size, float32, 0..1."""

Sharpen = Callable[[Rgb, Alpha], Alpha]
"""Picture, RGB, uint8, HxWx3, and the person's probability in it, float32, hxw, 0..1 -> the same of any size."""

# What is part of a person for the second look: less than certain, so that an arm that the first look doubts is in it.
_DOUBTED = 0.3

# Somebody is there from this probability on.
_PERSON = 0.5

# Smaller than this share of the largest person is no person that the second look must hold.
_SPECK = 0.05

# Room around the person, in shares of the longer side of the box: 0.1 and 0.35 gained less.
_ROOM = 0.2

# The second look is worth its time where it shows at most this share of the photo: at 0.8 it gained nothing more.
_LARGEST = 0.5

# A picture is shrunk to this many pixels along its longer side, four times what the network sees, before it is
# mirrored: one copy of 100 megapixels less.
_SHOWN = 1024

# The second look fades into the first over this share of its own longer side.
_FADE = 0.06


@dataclass(frozen=True)
class Box:
    """A part of a photo, in pixels: rows top <= y < bottom, columns left <= x < right."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def longer(self) -> int:
        return max(self.bottom - self.top, self.right - self.left)

    @property
    def area(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)


@dataclass(frozen=True)
class Search:
    """What was seen.

    Attributes:
        first: the person's probability over the whole photo, float32, 0..1, at the network's size, or at the size that
            was sharpened.
        second: the same inside of ``box``; None: one look was enough.
        box: the part of the photo that ``second`` shows, or the whole photo.
        height: rows of the photo.
        width: columns of the photo.
    """

    first: Alpha
    second: Alpha | None
    box: Box
    height: int
    width: int

    @property
    def found(self) -> bool:
        """Whether there is a person."""
        return bool(self.first.max() >= _PERSON or (self.second is not None and self.second.max() >= _PERSON))

    def alpha(self, rows: int, columns: int) -> Alpha:
        """Both looks in one map of a size, float32, rows x columns, 0..1."""
        whole = resize_map(self.first, rows, columns)
        if self.second is None:
            return whole
        down, across = rows / self.height, columns / self.width
        # Where the middles of the map's cells are in the second look, 0..1 from edge to edge.
        y = ((np.arange(rows) + 0.5) / down - self.box.top) / (self.box.bottom - self.box.top)
        x = ((np.arange(columns) + 0.5) / across - self.box.left) / (self.box.right - self.box.left)
        inside = np.ix_((y > 0.0) & (y < 1.0), (x > 0.0) & (x < 1.0))
        y, x = y[(y > 0.0) & (y < 1.0)], x[(x > 0.0) & (x < 1.0)]
        if not (y.size and x.size):
            return whole
        part = resize_map(self.second, y.size, x.size)
        share = np.minimum.outer(
            _ramp(y, self.box.top > 0, self.box.bottom < self.height, self.box.bottom - self.box.top, self.box.longer),
            _ramp(x, self.box.left > 0, self.box.right < self.width, self.box.right - self.box.left, self.box.longer),
        ).astype(np.float32)
        joined = whole.copy()
        joined[inside] += share * (part - whole[inside])
        return joined


def search(coarse: Coarse, photo: Rgb, sharpen: Sharpen | None = None) -> Search:
    """Look for the person.

    Args:
        coarse: the network.
        photo: RGB, uint8, HxWx3.
        sharpen: done to what was seen, once for each look. Where the second look goes does not depend on it.
    """
    height, width = photo.shape[:2]
    whole = Box(0, height, 0, width)
    shown = shrunk(photo, _SHOWN / max(height, width))
    first = _both_ways(coarse, shown)
    box = _around_person(first, height, width)
    if sharpen is not None:
        first = sharpen(shown, first)
    if box is None or box.area > _LARGEST * whole.area:
        return Search(first, None, whole, height, width)
    part = photo[box.top : box.bottom, box.left : box.right]
    shown = shrunk(part, _SHOWN / max(part.shape[:2]))
    second = _both_ways(coarse, shown)
    if sharpen is not None:
        second = sharpen(shown, second)
    return Search(first, second, box, height, width)


def _both_ways(coarse: Coarse, shown: Rgb) -> Alpha:
    """The mean of what the network says of a picture and of its mirror image."""
    mirrored = coarse(np.ascontiguousarray(shown[:, ::-1]))
    mean: Alpha = 0.5 * (coarse(shown) + mirrored[:, ::-1])
    return mean


def shrunk(picture: Rgb, factor: float) -> Rgb:
    """A picture scaled by a factor, by area average; the picture itself where the factor is 1 or more."""
    if factor >= 1.0:
        return picture
    height, width = picture.shape[:2]
    return resize_area(picture, max(1, round(height * factor)), max(1, round(width * factor)))


def _around_person(alpha: Alpha, height: int, width: int) -> Box | None:
    """The box around everybody who is not a speck, with room; None: nobody."""
    _, _, statistics, _ = cv2.connectedComponentsWithStats((alpha >= _DOUBTED).view(np.uint8))
    people = statistics[1:]
    if not len(people):
        return None
    people = people[people[:, cv2.CC_STAT_AREA] >= _SPECK * people[:, cv2.CC_STAT_AREA].max()]
    left, top = people[:, cv2.CC_STAT_LEFT], people[:, cv2.CC_STAT_TOP]
    right, bottom = left + people[:, cv2.CC_STAT_WIDTH], top + people[:, cv2.CC_STAT_HEIGHT]
    down, across = height / alpha.shape[0], width / alpha.shape[1]
    edges = top.min() * down, bottom.max() * down, left.min() * across, right.max() * across
    room = _ROOM * max(edges[1] - edges[0], edges[3] - edges[2])
    return Box(
        max(0, math.floor(edges[0] - room)),
        min(height, math.ceil(edges[1] + room)),
        max(0, math.floor(edges[2] - room)),
        min(width, math.ceil(edges[3] + room)),
    )


def _ramp(place: NDArray[np.float64], fades_in: bool, fades_out: bool, length: int, longer: int) -> NDArray[np.float64]:
    """The second look's share along one axis: up from 0 at an edge inside of the photo, 1 elsewhere."""
    step = _FADE * longer / length
    share = np.ones_like(place)
    if fades_in:
        share = np.minimum(share, place / step)
    if fades_out:
        share = np.minimum(share, (1.0 - place) / step)
    return share
