"""The scores of one picture, and what many of them amount to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np

from edge_deeplab.data.sample import IGNORE
from edge_deeplab.evaluation.labels import ClassMap
from edge_deeplab.evaluation.metrics import (
    BOUNDARY_TOLERANCE,
    Confusion,
    boundary_f,
    class_ious,
    confusion_matrix,
    false_person_rate,
    iou,
    mean_iou,
)

# Where the person's part of the picture counts as another size: someone across the street, a full body, a half-length
# portrait, head and shoulders, a selfie.
_SIZES = (0.05, 0.15, 0.3, 0.5)


@dataclass(frozen=True)
class ImageScore:
    """What one picture's prediction is worth.

    Attributes:
        index: its place in the data set.
        id: its name.
        source: the collection that it comes from.
        person_fraction: the true person's part of the picture, 0 to 1; 0 makes it a negative.
        person_iou: None on a negative.
        boundary_f: None on a negative, and where pixels are ignored (class maps leave out just the boundary).
        false_person: the fraction of pixels called a person; None where there is one.
        confusion: pixels by true and predicted class.
    """

    index: int
    id: str
    source: str
    person_fraction: float
    person_iou: float | None
    boundary_f: float | None
    false_person: float | None
    confusion: Confusion = field(repr=False, compare=False)

    @property
    def badness(self) -> float:
        """0 (perfect) to 1: what the worst pictures are found by.

        1 - IoU; on a negative the false persons' part of the picture; without a person class 1 - mean IoU.
        """
        if self.person_iou is not None:
            return 1 - self.person_iou
        return self.false_person if self.false_person is not None else 1 - mean_iou(self.confusion)


@dataclass(frozen=True)
class Scores:
    """What many pictures amount to. None where no picture can say.

    Attributes:
        images: how many pictures.
        negatives: how many of them are without a person.
        person_iou: mean over the pictures with a person, each at its own size.
        mean_iou: mean of the classes' IoU (the background's too), each over the pixels of all pictures.
        class_iou: class name to IoU over the pixels of all pictures.
        boundary_f: mean over the pictures with a person.
        false_person: on the negatives: mean fraction of the pixels that are called a person.
    """

    images: int
    negatives: int
    person_iou: float | None
    mean_iou: float
    class_iou: Mapping[str, float | None]
    boundary_f: float | None
    false_person: float | None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def score_image(
    predicted: ClassMap,
    truth: ClassMap,
    *,
    classes: int,
    person: int | None,
    index: int = 0,
    id: str = "",
    source: str = "",
    tolerance: float = BOUNDARY_TOLERANCE,
) -> ImageScore:
    """Score one picture's class map against the truth.

    Args:
        predicted: uint8, HxW, at the picture's own size.
        truth: the same; 255 is ignored.
        classes: how many classes there are, the background among them.
        person: the index of the person class; None: only the confusion is measured.
        index: the picture's place in the data set.
        id: its name.
        source: the collection that it comes from.
        tolerance: of the boundary, as a fraction of the diagonal.

    Raises:
        ValueError: the shapes differ, or an index is out of range.
    """
    confusion = confusion_matrix(predicted, truth, classes)
    if person is None:
        return ImageScore(index, id, source, 0.0, None, None, None, confusion)
    ignored = bool(np.any(truth == IGNORE))
    valid = truth != IGNORE if ignored else None
    ours, theirs = predicted == person, truth == person
    fraction = float(theirs.mean())
    if fraction == 0:
        return ImageScore(index, id, source, 0.0, None, None, false_person_rate(ours, valid=valid), confusion)
    return ImageScore(
        index=index,
        id=id,
        source=source,
        person_fraction=fraction,
        person_iou=iou(ours, theirs, valid=valid),
        boundary_f=None if ignored else boundary_f(ours, theirs, tolerance=tolerance),
        false_person=None,
        confusion=confusion,
    )


def summarize(scores: Sequence[ImageScore], names: Sequence[str]) -> Scores:
    """Add pictures up.

    Args:
        scores: at least one.
        names: of the classes, in the order of the confusion matrices.

    Raises:
        ValueError: no scores.
    """
    if not scores:
        raise ValueError("no scores to add up")
    confusion: Confusion = np.sum([score.confusion for score in scores], axis=0)
    ious = class_ious(confusion)
    return Scores(
        images=len(scores),
        negatives=sum(score.false_person is not None for score in scores),
        person_iou=_mean([score.person_iou for score in scores]),
        mean_iou=mean_iou(confusion),
        class_iou={name: None if np.isnan(value) else float(value) for name, value in zip(names, ious, strict=True)},
        boundary_f=_mean([score.boundary_f for score in scores]),
        false_person=_mean([score.false_person for score in scores]),
    )


def by_source(scores: Sequence[ImageScore], names: Sequence[str]) -> dict[str, Scores]:
    """Add up each source's pictures, the sources by name."""
    sources = sorted({score.source for score in scores})
    return {source: summarize([s for s in scores if s.source == source], names) for source in sources}


def by_size(scores: Sequence[ImageScore], names: Sequence[str]) -> dict[str, Scores]:
    """Add up the pictures with a person by the person's part of the picture, from small to large.

    Returns:
        a range in words ("5 to 15 %", the lower end included) to scores; ranges without a picture are left out.
    """
    found: dict[str, Scores] = {}
    for low, high in pairwise((0.0, *_SIZES, math.inf)):
        inside = [score for score in scores if score.person_iou is not None and low <= score.person_fraction < high]
        if inside:
            above = f"{low:.0%}".rstrip("%")
            name = f"{above} to {high:.0%}" if math.isfinite(high) else f"over {low:.0%}"
            found[name.replace("%", " %")] = summarize(inside, names)
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
