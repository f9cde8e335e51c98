"""The portrait of one photo at full quality: slow, whole, and of any size up to 100 megapixels.

Everything that decides is found on small pictures: the person (the network's few pixels), the linear functions that
pull the edge to the photo's own (some 640 pixels a side), the blurred background. What is as large as the photo is done
in bands of rows, so that memory grows by the photo and the portrait alone: 6 bytes a pixel, and a few megabytes a band.
Between the 8 bits that come and the 8 bits that go everything is float32, and is rounded once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from demo_app.matte import Alpha
from demo_app.matte.foreground import colour_differences
from demo_app.matte.guided_filter import coefficients, colour_planes
from demo_app.matte.tighten import tighten
from demo_app.still.background import Background, OutOfFocus
from demo_app.still.rounding import dithered
from demo_app.still.search import Coarse, Sharpen, search, shrunk
from demo_app.still.stretch import Kernel, stretched_rows
from edge_deeplab.image import Rgb

# The guided filter's functions are found where the part that the network saw has this many pixels along its longer
# side, but never on a picture larger than this, nor than the photo.
_PART_SIDE = 640
_WHOLE_SIDE = 2048

# Window of the filter to each side, at that size: the network's error of about two of its 256 pixels.
_RADIUS = 5

# Over how many of these pixels to each side the colours of subject and background are averaged.
_COLOUR_RADIUS = 16

# As in the live refinement: the result is a mean of many windows' functions, a little soft, and never quite certain.
_SURELY_OUT, _SURELY_IN = 0.1, 0.9

BAND_ROWS = 64
"""Rows that are worked on at a time: in the cache, and few enough to share them between threads."""


@dataclass(frozen=True)
class StillMatte:
    """The subject of one photo, by functions of the photo's colours.

    Attributes:
        found: whether there is a person.
        alpha: the subject, float32, 0..1, hxw of the small picture.
        functions: alpha = slope . colour + 255 * offset, clipped to 0..1: float32, hxwx4, the slopes for the code
            values of R, G and B, then the offset.
        shift: mean colour of the subject less that of the background around it, float32, hxwx3, code values.
    """

    found: bool
    alpha: Alpha
    functions: NDArray[np.float32]
    shift: NDArray[np.float32]


class StillPortrait:
    """Makes portraits and cut-outs of photos.

    Args:
        coarse: finds the person: :meth:`edge_deeplab.segmenter.Segmenter.coarse`.
        background: what is behind the subject; None: the photo's own background, out of focus as by f/2.
        sharpen: done to the person's probability before the edge is refined; None: nothing.
        threads: bands worked on at a time; None: as many as OpenCV uses.
        band_rows: rows of a band. The result does not depend on it.
    """

    def __init__(
        self,
        coarse: Coarse,
        background: Background | None = None,
        *,
        sharpen: Sharpen | None = None,
        threads: int | None = None,
        band_rows: int = BAND_ROWS,
    ) -> None:
        self._coarse = coarse
        self._background = OutOfFocus() if background is None else background
        self._sharpen = sharpen
        self._threads = cv2.getNumThreads() if threads is None else threads
        self._band_rows = band_rows

    def matte(self, photo: Rgb) -> StillMatte:
        """Find the subject of a photo.

        Args:
            photo: RGB, uint8, HxWx3, at least 1x1.

        Raises:
            ImageError: another type or shape.
        """
        seen = search(self._coarse, photo, self._sharpen)
        longer = max(photo.shape[:2])
        side = min(_WHOLE_SIDE, _PART_SIDE * longer / seen.box.longer)
        small = shrunk(photo, side / longer)
        guide = colour_planes(small)
        guess = tighten(small, seen.alpha(*small.shape[:2]))
        slopes_and_offset = coefficients(guide, guess, _RADIUS)
        slopes_and_offset[3][:] -= _SURELY_OUT
        # For code values, not 0..1: with a factor in the large product, vectors and what remains behind the last one
        # would round differently, and bands would show it.
        gain = np.float32(1.0 / (_SURELY_IN - _SURELY_OUT) / 255.0)
        functions = np.stack([plane * gain for plane in slopes_and_offset], axis=2)
        alpha = _evaluated(functions, small)
        shift = [plane * np.float32(255.0) for plane in colour_differences(guide, alpha, _COLOUR_RADIUS)]
        return StillMatte(seen.found, alpha, functions, cv2.merge(shift))  # type: ignore[arg-type]

    def compose(self, photo: Rgb, matte: StillMatte) -> Rgb:
        """The subject over the background.

        Args:
            photo: RGB, uint8, HxWx3.
            matte: of this photo.

        Returns:
            RGB, uint8, HxWx3, a new array. Where the subject is certain it is the photo, to the bit.
        """
        height, width = photo.shape[:2]
        coverage: NDArray[np.uint8] = cv2.convertScaleAbs(matte.alpha, alpha=255.0)  # type: ignore[assignment]
        background = self._background(photo, coverage)
        out = np.empty_like(photo)

        def mix(top: int, bottom: int) -> None:
            behind = stretched_rows(background, height, width, top, bottom, Kernel.CUBIC)
            alpha = _alpha_rows(photo, matte, top, bottom)[:, :, None]
            subject = _subject_rows(photo, matte, alpha, top, bottom)
            # alpha * (subject - behind) + behind would not give the subject to the bit where alpha is 1.
            subject *= alpha
            np.subtract(1.0, alpha, out=alpha)
            behind *= alpha
            behind += subject
            out[top:bottom] = dithered(behind, top)

        self._in_bands(height, mix)
        return out

    def __call__(self, photo: Rgb) -> Rgb:
        """The portrait of a photo, as :meth:`compose`; of one without a person: the photo itself."""
        matte = self.matte(photo)
        return self.compose(photo, matte) if matte.found else photo

    def cut_out(self, photo: Rgb, matte: StillMatte) -> tuple[Rgb, NDArray[np.uint8]]:
        """The subject alone.

        Args:
            photo: RGB, uint8, HxWx3.
            matte: of this photo.

        Returns:
            (its own colours without the background's, RGB, uint8, HxWx3, 0 where nothing of it is, so that the old
            background is not in the file; its coverage, uint8, HxW), new arrays.
        """
        height, width = photo.shape[:2]
        out, coverage = np.empty_like(photo), np.empty((height, width), np.uint8)

        def cut(top: int, bottom: int) -> None:
            alpha = _alpha_rows(photo, matte, top, bottom)[:, :, None]
            coverage[top:bottom] = np.rint(alpha[:, :, 0] * 255.0)
            subject = _subject_rows(photo, matte, alpha, top, bottom)
            subject *= coverage[top:bottom, :, None] > 0
            out[top:bottom] = dithered(subject, top)

        self._in_bands(height, cut)
        return out, coverage

    def _in_bands(self, height: int, work: Callable[[int, int], None]) -> None:
        """Call work(top, bottom) for every band of a picture, some at a time."""
        tops = range(0, height, self._band_rows)
        with ThreadPoolExecutor(self._threads) as pool:
            for _ in pool.map(work, tops, (min(top + self._band_rows, height) for top in tops)):
                pass


def _alpha_rows(photo: Rgb, matte: StillMatte, top: int, bottom: int) -> Alpha:
    """The subject's coverage in some rows at the photo's size, float32, 0..1."""
    height, width = photo.shape[:2]
    functions = stretched_rows(matte.functions, height, width, top, bottom, Kernel.LINEAR)
    return _evaluated(functions, photo[top:bottom])


def _evaluated(functions: NDArray[np.float32], colour: Rgb) -> Alpha:
    """slope . colour + 255 * offset at every pixel, clipped to 0..1: float32, HxW; of float32 HxWx4, uint8 HxWx3."""
    with_one = cv2.cvtColor(colour, cv2.COLOR_RGB2RGBA)  # the fourth is 255, for the offset
    total: Alpha
    total, green, blue, offset = cv2.split(cv2.multiply(functions, with_one, dtype=cv2.CV_32F))  # type: ignore[assignment]
    for term in (green, blue, offset):
        total += term
    return np.clip(total, 0.0, 1.0, out=total)


def _subject_rows(photo: Rgb, matte: StillMatte, alpha: Alpha, top: int, bottom: int) -> NDArray[np.float32]:
    """The subject's own colour in some rows: code values, float32, HxWx3; the photo's where alpha (HxWx1) is 1."""
    height, width = photo.shape[:2]
    shift = stretched_rows(matte.shift, height, width, top, bottom, Kernel.LINEAR)
    shift *= 1.0 - alpha
    shift += photo[top:bottom]
    np.clip(shift, 0.0, 255.0, out=shift)
    return shift
