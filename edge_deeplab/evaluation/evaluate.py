"""Run a model over a data set and score every picture."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.data.sample import Sample, SegmentationDataset
from edge_deeplab.data.subset import Skipped
from edge_deeplab.errors import DatasetError, ImageError
from edge_deeplab.evaluation.labels import ClassMap, Labels, labels_for
from edge_deeplab.evaluation.metrics import BOUNDARY_TOLERANCE, COVERAGE_THRESHOLD, THRESHOLD
from edge_deeplab.evaluation.parallel import Progress, in_order
from edge_deeplab.evaluation.scores import ImageScore, Scores, by_source, score_image, summarize
from edge_deeplab.files import write_json
from edge_deeplab.image import Rgb, resize_area
from edge_deeplab.runtime.session import Session

# One thread is in the network while the others read, resize and score.
_WORKERS = 3

PostProcessing = Callable[[Rgb, NDArray[np.float32]], NDArray[np.float32]]
"""A step behind the network: photo, RGB, uint8, HxWx3, and probabilities, float32, hxwxC -> the same of any size."""


@dataclass(frozen=True)
class Evaluation:
    """What a model is worth on a data set.

    Attributes:
        runtime: who executed it.
        names: of the classes, the background first.
        total: over all pictures.
        sources: source to scores, by name.
        images: every picture's scores, in the data set's order.
        skipped: pictures that were left out.
    """

    runtime: str
    names: tuple[str, ...]
    total: Scores
    sources: Mapping[str, Scores]
    images: tuple[ImageScore, ...]
    skipped: tuple[Skipped, ...]

    def worst(self, count: int) -> tuple[ImageScore, ...]:
        """The pictures with the lowest IoU (on negatives: the most false person), the worst first."""
        return tuple(sorted(self.images, key=lambda score: (-score.badness, score.index))[:count])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with the conditions that the numbers hold under."""
        return {
            "runtime": self.runtime,
            "conditions": {
                "probability_threshold": THRESHOLD,
                "coverage_threshold": COVERAGE_THRESHOLD,
                "boundary_tolerance": BOUNDARY_TOLERANCE,
                "size": "each image's own",
            },
            "classes": list(self.names),
            "total": self.total.to_dict(),
            "sources": {source: scores.to_dict() for source, scores in self.sources.items()},
            "skipped": [skip.reason for skip in self.skipped],
            "images": [
                {
                    "id": score.id,
                    "source": score.source,
                    "person_fraction": round(score.person_fraction, 6),
                    "person_iou": _rounded(score.person_iou),
                    "boundary_f": _rounded(score.boundary_f),
                    "false_person": _rounded(score.false_person),
                }
                for score in self.images
            ],
        }

    def write_json(self, path: Path) -> None:
        """Write :meth:`to_dict`. Raises: OutputError."""
        write_json(path, self.to_dict())


def evaluate(
    session: Session,
    dataset: SegmentationDataset,
    *,
    skip_bad: bool = False,
    post_processing: PostProcessing | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Score a model on every picture of a data set, each at its own size.

    Pictures are read and scored in threads beside the network, which takes one at a time; the result does not depend
    on which thread was first.

    Args:
        session: the opened model.
        dataset: photos with masks.
        skip_bad: leave out pictures that cannot be read, and list them in the result, instead of stopping at the first.
        post_processing: what is done with the network's probabilities; called from several threads.
        progress: told after each picture.

    Raises:
        DatasetError: nothing in the data set, or its classes are not the model's, or a mask is unusable.
        ImageError: a picture cannot be read.
    """
    count = len(dataset)
    if not count:
        raise DatasetError("there is nothing to evaluate on: the data set is empty")
    labels = labels_for(session.classes, dataset)
    one_at_a_time = threading.Lock()

    def score(index: int, _: threading.Event) -> ImageScore | Skipped:
        try:
            sample = dataset[index]
        except (DatasetError, ImageError) as error:
            if not skip_bad:
                raise
            return Skipped(index, str(error))
        return score_sample(session, labels, sample, index, one_at_a_time, post_processing)

    images: list[ImageScore] = []
    skipped: list[Skipped] = []
    for result in in_order(score, count, workers=_WORKERS, progress=progress):
        if isinstance(result, Skipped):
            skipped.append(result)
        else:
            images.append(result)
    if not images:
        raise DatasetError(f"none of the {count} images could be read; the first: {skipped[0].reason}")
    return Evaluation(
        runtime=session.runtime,
        names=labels.names,
        total=summarize(images, labels.names),
        sources=by_source(images, labels.names),
        images=tuple(images),
        skipped=tuple(skipped),
    )


def score_sample(
    session: Session,
    labels: Labels,
    sample: Sample,
    index: int,
    one_at_a_time: threading.Lock,
    post_processing: PostProcessing | None = None,
) -> ImageScore:
    """Score a model on one photo, at the photo's own size.

    Args:
        session: the opened model.
        labels: how its channels and the mask become class maps.
        sample: the photo with its mask.
        index: the photo's place in its data set.
        one_at_a_time: the session's lock.
        post_processing: as :func:`evaluate`.
    """
    return score_prediction(
        predict(session, labels, sample.image, one_at_a_time, post_processing), labels, sample, index
    )


def score_prediction(predicted: ClassMap, labels: Labels, sample: Sample, index: int) -> ImageScore:
    """Score a photo's class map (uint8, HxW) against its mask, at the photo's own size.

    Args:
        predicted: in the classes of ``labels``.
        labels: how the mask becomes a class map.
        sample: the photo with its mask.
        index: the photo's place in its data set.
    """
    return score_image(
        predicted,
        labels.truth(sample.mask, sample.ignored),
        classes=len(labels.names),
        person=labels.person,
        index=index,
        id=sample.id,
        source=sample.source,
    )


def predict(
    session: Session,
    labels: Labels,
    rgb: Rgb,
    one_at_a_time: threading.Lock,
    post_processing: PostProcessing | None = None,
) -> ClassMap:
    """A photo's class map at its own size: the one resize, the network (under the lock), what follows it, and back.

    Args:
        session: the opened model; not called by two threads at once, which no runtime allows.
        labels: how its channels become a class map.
        rgb: RGB, uint8, HxWx3.
        one_at_a_time: the session's lock.
        post_processing: as :func:`evaluate`.

    Returns:
        uint8, HxW.
    """
    pixels = resize_area(rgb, session.height, session.width)
    with one_at_a_time:
        probabilities = session.run(pixels)
    if post_processing is not None:
        probabilities = post_processing(rgb, probabilities)
    return labels.predicted(probabilities, *rgb.shape[:2])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
