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

_SURE, _LIKELY = 0.8, 0.5
_THINNEST = 0.016
_SMALLEST = 0.002


def missing_person(coverage: NDArray[np.uint8], probability: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Find where a label calls background what a teacher is sure is a person.

    A region is what is likely a person around what surely is one (hysteresis, as Canny 1986, section VII, follows
    edges). It must be wider than 1.6 % of the picture's diagonal (twice the tolerance of boundary F): along every
    outline the two differ by a little, and there the label is right. The sure part of it must cover 0.2 % of the
    picture. The region then grows by as much as it must be wide, over what the label calls background, so that its own
    uncertain edge belongs to it. What the label calls a person is never doubted.

    Args:
        coverage: the label, uint8, HxW, 0..255; background below 128.
        probability: the teacher's probability of a person, float32, HxW, in [0, 1]: sure from 0.8, likely from 0.5.

    Returns:
        bool, HxW, True where the label is doubted.
    """
    background = coverage < 128
    radius = max(1, math.ceil(_THINNEST * math.hypot(*coverage.shape) / 2))
    sure, likely = (_wide(background & (probability >= least), radius) for least in (_SURE, _LIKELY))
    count, regions = cv2.connectedComponents(likely.astype(np.uint8))
    # Every sure pixel lies in a region: opening keeps the order of sets.
    kept = np.bincount(regions[sure], minlength=count) >= max(1.0, _SMALLEST * coverage.size)
    grown = cv2.dilate(kept[regions].astype(np.uint8), _disc(2 * radius))
    doubted: NDArray[np.bool_] = (grown > 0) & background
    return doubted


def _wide(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """What a disc of this radius reaches within a mask (its opening), bool, HxW."""
    # Beyond the picture's frame it goes on as it is there, or a shoulder that the frame cuts would lose its corner.
    framed = cv2.copyMakeBorder(mask.astype(np.uint8), *[2 * radius] * 4, cv2.BORDER_REPLICATE)
    inside = slice(2 * radius, -2 * radius)
    opened: NDArray[np.bool_] = cv2.morphologyEx(framed, cv2.MORPH_OPEN, _disc(radius))[inside, inside] > 0
    return opened


def _disc(radius: int) -> NDArray[np.uint8]:
    disc: NDArray[np.uint8] = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))  # type: ignore[assignment]
    return disc
