"""How far one model's outputs are from another's, at the network's size: arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ParityError
from edge_deeplab.evaluation.metrics import Confusion, class_map, confusion_matrix, overlaps


@dataclass(frozen=True)
class Deviation:
    """How far one session's probabilities are from the reference's on one picture, at the network's size.

    Attributes:
        max_error: greatest absolute difference, over pixels and classes; NaN where an output is not finite.
        mean_error: mean absolute difference; NaN likewise.
        agreement: fraction of pixels on which the class maps are equal.
        confusion: pixels by the reference's class (row) and this one's (column).
    """

    max_error: float
    mean_error: float
    agreement: float
    confusion: Confusion


def deviation(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> Deviation:
    """Compare two sessions' probabilities of one picture.

    Args:
        reference: float32, (rows, columns, classes).
        candidate: the same.

    Raises:
        ParityError: the shapes differ.
    """
    if reference.shape != candidate.shape:
        raise ParityError(
            f"outputs of different shapes cannot be compared: the reference gives {reference.shape} "
            f"and the candidate {candidate.shape}: convert again from the same checkpoint"
        )
    error = np.abs(reference.astype(np.float64) - candidate)
    ours, theirs = class_map(candidate), class_map(reference)
    confusion = confusion_matrix(ours, theirs, max(2, reference.shape[2]))
    return Deviation(
        max_error=float(error.max()),
        mean_error=float(error.mean()),
        agreement=float(np.trace(confusion) / confusion.sum()),
        confusion=confusion,
    )


@dataclass(frozen=True)
class ClassAgreement:
    """One of several classes, over all pictures.

    Attributes:
        name: of the class.
        pixels: on which the reference has it.
        iou: of its mask against the reference's.
    """

    name: str
    pixels: int
    iou: float


@dataclass(frozen=True)
class Agreement:
    """How far one session is from the reference over all pictures.

    Attributes:
        max_error: greatest difference of a probability anywhere.
        mean_error: mean difference.
        mask_agreement: fraction of pixels decided alike.
        reference_iou: IoU of the masks against the reference's over the pixels of all pictures together (a mean over
            pictures would let a mask of three pixels weigh as much as a portrait). With several classes it is the sum
            of their intersections over the sum of their unions, without the background, for the same reason: a class
            of three pixels weighs as three pixels do. It is still a Jaccard index, of the sets of pairs of a pixel and
            its class, and one class gives the same number either way.
        worst_image: the picture with the lowest agreement.
        worst_index: its place among the pictures.
        worst_agreement: its agreement.
        classes: with several classes, each that either side has, but for the background, by its name; else empty.
    """

    max_error: float
    mean_error: float
    mask_agreement: float
    reference_iou: float
    worst_image: str
    worst_index: int
    worst_agreement: float
    classes: tuple[ClassAgreement, ...] = ()

    @property
    def worst_class(self) -> ClassAgreement | None:
        """Of the classes that the reference has, the one that keeps least; None where none loses anything."""
        apart = [one for one in self.classes if one.pixels and one.iou < 1]
        return min(apart, key=lambda one: one.iou, default=None)


def accumulate(deviations: Sequence[Deviation], ids: Sequence[str], classes: Sequence[str]) -> Agreement:
    """Add up one session's deviations over all pictures.

    Args:
        deviations: one for each picture, at least one.
        ids: the pictures' names, in the same order.
        classes: the name of each output channel; of several, the first is the background.
    """
    confusion: Confusion = np.sum([one.confusion for one in deviations], axis=0)
    intersections, unions = overlaps(confusion)
    named = classes[1:] if len(classes) > 1 else ()
    agreements = [one.agreement for one in deviations]
    worst = int(np.argmin(agreements))
    return Agreement(
        # np.max keeps a NaN, Python's max may lose it.
        max_error=float(np.max([one.max_error for one in deviations])),
        mean_error=float(np.mean([one.mean_error for one in deviations])),
        mask_agreement=float(np.mean(agreements)),
        reference_iou=float(intersections[1:].sum() / unions[1:].sum()) if unions[1:].any() else 1.0,
        worst_image=ids[worst],
        worst_index=worst,
        worst_agreement=agreements[worst],
        classes=tuple(
            ClassAgreement(name, int(confusion[place].sum()), float(intersections[place] / unions[place]))
            for place, name in enumerate(named, start=1)
            if unions[place]
        ),
    )
