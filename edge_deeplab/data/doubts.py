"""Where a label is not to be trusted: persons of whom a collection labels only a part.

Some collections label less than a person: celebamask has the head and neck and not the shoulders and hands. A network
that learns this leaves out shoulders. Where a teacher that was trained without them is sure of a person, such pixels
count neither way: the label is not made better, because the teacher may be wrong as well, but it does no harm.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

DOUBTS = "doubts"
"""The folder beside ``masks/`` that holds what is doubted: ``<id>.png``, uint8, 255 doubted, 0 not."""

_SURE = 0.8
_THINNEST = 0.016
_SMALLEST = 0.002


def missing_person(coverage: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find where a label calls background what a teacher is sure is a person.

    A region must be wider than 1.6 % of the picture's diagonal (twice the tolerance of boundary F): along every outline
    the two differ by a little, and there the label is right. It must cover 0.2 % of the picture. It then grows by as
    much as it must be wide, over what the label calls background, so that its own uncertain edge belongs to it. What
    the label calls a person is never doubted.

    Args:
        coverage: the label, uint8, HxW, 0..255; background below 128.
        probability: the teacher's probability of a person, float32, HxW, in [0, 1]; sure from 0.8.

    Returns:
        bool, HxW, True where the label is doubted.
    """
    background = coverage < 128
    width = max(3, 2 * math.ceil(_THINNEST * math.hypot(*coverage.shape) / 2) + 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    sure = (background & (probability >= _SURE)).astype(np.uint8)
    # Beyond the picture's frame it goes on as it is there, or a shoulder that the frame cuts would lose its corner.
    framed = cv2.copyMakeBorder(sure, width, width, width, width, cv2.BORDER_REPLICATE)
    wide = cv2.morphologyEx(framed, cv2.MORPH_OPEN, disc)[width:-width, width:-width]
    _, regions, statistics, _ = cv2.connectedComponentsWithStats(wide)
    large = statistics[:, cv2.CC_STAT_AREA] >= _SMALLEST * coverage.size
    large[0] = False  # what lies outside of every region
    grown = cv2.dilate(
        large[regions].astype(np.uint8), cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * width - 1,) * 2)
    )
    doubted: NDArray[np.bool_] = (grown > 0) & background
    return doubted
