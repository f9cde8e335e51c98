"""How steady mattes are in time, and how far they drag behind: pure functions on a film's arrays.

A *matte* here is float, HxW, 0..1; a film's mattes all have one size.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np

from edge_deeplab.evaluation.matting import Alphas
from edge_deeplab.evaluation.metrics import Mask
from edge_deeplab.image import Rgb, resize_area

# Luma codes. Averaged over the window, the noise of a webcam's sensor stays below; what moves, with any texture or at
# any edge, does not.
_STILL = 1.5
_WINDOW = 5


def still_pixels(before: Rgb, after: Rgb, height: int, width: int) -> Mask:
    """Where the picture does not move between two frames.

    Both are shrunk to the mattes' size as the network sees them; the luma of one minus that of the other is averaged
    over 5x5 pixels; and pixels count where that is below 1.5 codes within 2 pixels all around.

    Args:
        before: RGB, uint8, HxWx3.
        after: the frame after it, of the same size.
        height: rows of the mattes.
        width: columns of the mattes.

    Returns:
        bool, height x width.
    """
    old, new = (
        cv2.cvtColor(resize_area(frame, height, width), cv2.COLOR_RGB2GRAY).astype(np.float32)
        for frame in (before, after)
    )
    moved = np.abs(cv2.blur(new - old, (_WINDOW, _WINDOW))) >= _STILL
    still: Mask = cv2.dilate(moved.astype(np.uint8), np.ones((_WINDOW, _WINDOW), np.uint8)) == 0
    return still


def flicker(mattes: Sequence[Alphas], still: Sequence[Mask]) -> float:
    """Mean |matte[t] - matte[t-1]| over the pixels that do not move: what a perfect matte has none of.

    Args:
        mattes: n of them.
        still: n - 1 masks: the pixels that stand from matte t - 1 to matte t (:func:`still_pixels`).

    Returns:
        0..1; the mean is over all still pixels of the film.

    Raises:
        ValueError: lengths that do not belong together, or not one still pixel.
    """
    if len(still) != len(mattes) - 1:
        raise ValueError(f"{len(mattes)} mattes have {len(mattes) - 1} changes, and {len(still)} masks were given")
    total, count = 0.0, 0
    for before, after, where in zip(mattes[:-1], mattes[1:], still, strict=True):
        total += float(np.abs(after[where].astype(np.float64) - before[where]).sum())
        count += int(where.sum())
    if not count:
        raise ValueError("the picture moves everywhere: flicker is not to be told from motion")
    return total / count


def dt_ssd(mattes: Sequence[Alphas], exact: Sequence[Alphas]) -> float:
    """dtSSD (Erofeev et al. 2015, "Perceptually motivated benchmark for video matting", section 4).

    The root of the mean over pixels of ((matte[t] - matte[t-1]) - (exact[t] - exact[t-1]))^2, averaged over t. The
    benchmark sums over pixels; the mean is comparable between sizes.

    Args:
        mattes: two or more.
        exact: the true ones of the same frames.

    Raises:
        ValueError: fewer than two, or different lengths.
    """
    if len(mattes) < 2 or len(mattes) != len(exact):
        raise ValueError(f"two films of the same length, two frames or more: {len(mattes)} and {len(exact)} were given")
    errors = [matte.astype(np.float64) - truth for matte, truth in zip(mattes, exact, strict=True)]
    return float(np.mean([np.sqrt(np.mean((new - old) ** 2)) for old, new in pairwise(errors)]))


def lag(mattes: Sequence[Alphas], exact: Sequence[Alphas], *, reach: int = 3) -> float:
    """How many frames the mattes are behind the motion; parts of frames count, and less than 0 is ahead.

    The pixels that the true edge passes over within ``reach`` frames before and after, with the sign of the change,
    say what one frame of motion is; what the matte lacks of the truth there, by the same sign, is how much of the
    motion it has yet to make:

        lag = 2 reach * sum (exact[t] - matte[t]) s / sum |exact[t + reach] - exact[t - reach]|,
        s = sign(exact[t + reach] - exact[t - reach])

    If the motion is even over 2 reach + 1 frames, and not longer than the subject is wide, mattes that are the truth of
    k frames before (k up to ``reach``, whole or not) give k. An edge that is too soft, or a subject that is too small
    or too large on all sides, adds nothing, as long as the true edge passes over it.

    Args:
        mattes: 2 reach + 1 or more.
        exact: the true ones of the same frames.
        reach: frames to each side. More allow a longer lag, and want evener motion.

    Raises:
        ValueError: too few frames, different lengths, or nothing that moves.
    """
    if len(mattes) != len(exact) or len(mattes) < 2 * reach + 1:
        raise ValueError(
            f"two films of the same length, {2 * reach + 1} frames or more: {len(mattes)} and {len(exact)} were given"
        )
    lacking, motion = 0.0, 0.0
    for index in range(reach, len(exact) - reach):
        change = exact[index + reach].astype(np.float64) - exact[index - reach]
        lacking += float(((exact[index] - mattes[index].astype(np.float64)) * np.sign(change)).sum())
        motion += float(np.abs(change).sum())
    if motion == 0.0:
        raise ValueError("nothing moves: there is no lag to measure")
    return 2.0 * reach * lacking / motion
