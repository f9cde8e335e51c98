"""What a mask is worth: pure functions on arrays, without a model, a file or a picture format.

A *mask* here is a bool array, HxW, True where a person is. Wherever a function takes ``valid`` (bool, HxW), pixels
that are False there count for nothing (class maps mark them 255: "void" in Pascal VOC); None means that all count.
"""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.data.sample import IGNORE

Mask = NDArray[np.bool_]
"""bool, HxW: True where a person is."""

Confusion = NDArray[np.int64]
"""int64, (classes, classes): pixels by true class (row) and predicted class (column)."""

THRESHOLD = 0.5
"""A pixel is a person where the probability is at least this."""

COVERAGE_THRESHOLD = 128
"""A pixel is a person where an 8-bit coverage is at least this: THRESHOLD on the scale 0..256 of an 8-bit matte."""

BOUNDARY_TOLERANCE = 0.008
"""How far apart two boundaries may lie and still match, as a fraction of the picture's diagonal.

The value of the DAVIS benchmark (Perazzi et al. 2016, section 4, "Contour accuracy"), near the 0.0075 of the Berkeley
benchmark (Martin et al. 2004, section 3.B); rounded up to whole pixels: 5 at 312x416, 8 at 854x480.
"""

_SMALL_DISC = 8  # pixels of radius
_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def person_mask(values: NDArray[Any]) -> Mask:
    """Decide for every pixel whether it is a person.

    Args:
        values: HxW; float probabilities in [0, 1], uint8 coverage 0..255, or a mask already.

    Returns:
        bool, HxW. Not-a-number is not a person.
    """
    if values.dtype == np.bool_:
        return values
    threshold = COVERAGE_THRESHOLD if values.dtype == np.uint8 else THRESHOLD
    mask: Mask = values >= threshold
    return mask


def class_map(probabilities: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Decide for every pixel which class it is.

    Args:
        probabilities: float32, HxWxC. One channel is a person's probability, and gives 0 or 1; several are one class
            each, and give the index of the greatest.

    Returns:
        uint8, HxW.
    """
    if probabilities.shape[2] == 1:
        return person_mask(probabilities[:, :, 0]).astype(np.uint8)
    winner: NDArray[np.uint8] = np.argmax(probabilities, axis=2).astype(np.uint8)
    return winner


def confusion_matrix(
    predicted: NDArray[np.uint8] | Mask, truth: NDArray[np.uint8] | Mask, classes: int, *, ignore: int = IGNORE
) -> Confusion:
    """Count the pixels of every pair (true class, predicted class).

    Args:
        predicted: class indices (or a mask: classes 0 and 1), HxW.
        truth: the same; pixels of the value ``ignore`` are left out.
        classes: how many there are.
        ignore: the index that counts for nothing.

    Returns:
        int64, (classes, classes). Matrices of several pictures may be added.

    Raises:
        ValueError: the shapes differ, or an index is not below ``classes``.
    """
    _same_shape(predicted, truth)
    counted = truth != ignore if truth.dtype != np.bool_ else np.ones(truth.shape, dtype=np.bool_)
    true, other = truth[counted].astype(np.int64), predicted[counted].astype(np.int64)
    if max(true.max(initial=0), other.max(initial=0)) >= classes:
        raise ValueError(f"a class index is not below the number of classes, {classes}")
    counts: Confusion = np.bincount(true * classes + other, minlength=classes * classes)
    return counts.reshape(classes, classes)


def class_ious(confusion: Confusion) -> NDArray[np.float64]:
    """Intersection over union of every class: float64, (classes,), NaN for a class that neither side has."""
    intersections, unions = overlaps(confusion)
    return np.divide(intersections, unions, out=np.full(len(unions), np.nan), where=unions > 0)


def overlaps(confusion: Confusion) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels in the intersection and in the union of every class: int64, (classes,) each."""
    intersections = np.diag(confusion)
    return intersections, confusion.sum(axis=0) + confusion.sum(axis=1) - intersections


def mean_iou(confusion: Confusion) -> float:
    """Mean of the classes' IoU over a whole set (Everingham et al. 2010, section 4.1.3, and every paper since).

    A class that is neither there nor predicted has no IoU and does not count; where no pixel counts at all, 1.0.
    """
    ious = class_ious(confusion)
    present = ious[~np.isnan(ious)]
    return float(present.mean()) if present.size else 1.0


def iou(predicted: Mask, truth: Mask, *, valid: Mask | None = None) -> float:
    """Intersection over union (Jaccard index) of two masks; two empty ones agree: 1.0.

    Raises:
        ValueError: the shapes differ.
    """
    _same_shape(predicted, truth)
    both, either = predicted & truth, predicted | truth
    if valid is not None:
        both, either = both & valid, either & valid
    union = int(np.count_nonzero(either))
    return int(np.count_nonzero(both)) / union if union else 1.0


def boundary(mask: Mask) -> Mask:
    """The outermost pixels of a mask: those with one of their four neighbours outside it.

    The picture's frame is no boundary: a person whom it cuts off ends there by accident, and any mask would match.
    """
    inner = cv2.erode(mask.astype(np.uint8), _CROSS)  # OpenCV treats what lies outside the picture as set
    outermost: Mask = mask & (inner == 0)
    return outermost


def boundary_radius(height: int, width: int, tolerance: float = BOUNDARY_TOLERANCE) -> int:
    """The tolerance in pixels for a picture: a fraction of the diagonal, rounded up."""
    return math.ceil(tolerance * math.hypot(height, width))


def boundary_f(predicted: Mask, truth: Mask, *, tolerance: float = BOUNDARY_TOLERANCE) -> float:
    """Boundary F: harmonic mean of the precision and recall of one mask's boundary against another's.

    A boundary pixel is matched when the other boundary is at most :func:`boundary_radius` pixels away (Euclidean):
    the same as dilating the other one with a disc, the approximation of the Berkeley benchmark's bipartite matching
    that DAVIS takes (Perazzi et al. 2016, section 4).

    Args:
        predicted: bool, HxW.
        truth: bool, HxW.
        tolerance: fraction of the picture's diagonal.

    Returns:
        0 to 1. Where neither has a boundary (both empty, or both fill the picture): 1.0 if they are equal, else 0.0.
        Where only one has: 0.0.

    Raises:
        ValueError: the shapes differ.
    """
    _same_shape(predicted, truth)
    ours, theirs = boundary(predicted), boundary(truth)
    count_ours, count_theirs = int(np.count_nonzero(ours)), int(np.count_nonzero(theirs))
    if not count_ours or not count_theirs:
        return float(not count_ours and not count_theirs and bool(predicted[0, 0] == truth[0, 0]))
    height, width = truth.shape
    radius = boundary_radius(height, width, tolerance)
    precision = np.count_nonzero(ours & _dilate(theirs, radius)) / count_ours
    recall = np.count_nonzero(theirs & _dilate(ours, radius)) / count_theirs
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


def _dilate(mask: Mask, radius: int) -> Mask:
    # The pixels at most `radius` from the mask, which is a dilation with a disc. With a small disc OpenCV's dilation is
    # the quicker (416x312, radius 5: 0.2 ms instead of 1.2); by the exact distance transform the cost does not grow
    # with the disc (1080p, radius 18: 9 ms instead of 25). Both give the same pixels.
    if radius <= _SMALL_DISC:
        rows, columns = np.ogrid[-radius : radius + 1, -radius : radius + 1]
        disc = (rows**2 + columns**2 <= radius**2).astype(np.uint8)
        dilated: Mask = cv2.dilate(mask.astype(np.uint8), disc) != 0
        return dilated
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    near: Mask = distance <= radius
    return near


def false_person_rate(predicted: Mask, *, valid: Mask | None = None) -> float:
    """On a picture without a person: the fraction of its pixels that are called one."""
    counted = predicted if valid is None else predicted[valid]
    return float(counted.mean()) if counted.size else 0.0


def agreement(one: NDArray[Any], other: NDArray[Any]) -> float:
    """The fraction of pixels on which two masks or class maps decide alike.

    Raises:
        ValueError: the shapes differ.
    """
    _same_shape(one, other)
    return float(np.mean(one == other))


def _same_shape(one: NDArray[Any], other: NDArray[Any]) -> None:
    if one.shape != other.shape:
        raise ValueError(f"masks of different shapes cannot be compared: {one.shape} and {other.shape}")
