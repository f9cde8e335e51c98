"""The worst pictures of an evaluation on one sheet, because a mean says what and only a look says why."""

from __future__ import annotations

import threading

from edge_deeplab.data.sample import SegmentationDataset
from edge_deeplab.evaluation.class_colours import names_in, overlay
from edge_deeplab.evaluation.drawing import LEGEND, Tile, difference, sheet
from edge_deeplab.evaluation.evaluate import Evaluation, PostProcessing, predict
from edge_deeplab.evaluation.labels import labels_for
from edge_deeplab.evaluation.scores import ImageScore
from edge_deeplab.image import Rgb
from edge_deeplab.runtime.session import Session

_HEIGHT, _WIDTH = 240, 200
_PAIRS_A_ROW = 4


def contact_sheet(
    evaluation: Evaluation,
    session: Session,
    dataset: SegmentationDataset,
    *,
    title: str,
    post_processing: PostProcessing | None = None,
    count: int = 24,
) -> Rgb:
    """Draw the worst pictures: photo beside prediction against truth, with id, source and scores.

    With several classes the photo has what was predicted over it, in Pascal VOC's colours, and their names above it.

    Args:
        evaluation: what :func:`edge_deeplab.evaluation.evaluate.evaluate` gave for this session and data set.
        session: the model, which segments these pictures once more.
        dataset: the photos.
        title: the sheet's first line: what was measured.
        post_processing: the one that was evaluated.
        count: how many at most.

    Returns:
        RGB, uint8, HxWx3.
    """
    labels = labels_for(session.classes, dataset)
    lock = threading.Lock()
    tiles: list[Tile] = []
    for place, score in enumerate(evaluation.worst(count), start=1):
        sample = dataset[score.index]
        predicted = predict(session, labels, sample.image, lock, post_processing)
        painted = difference(sample.image, predicted, labels.truth(sample.mask, sample.ignored))
        several = len(labels.names) > 2
        shown = overlay(sample.image, predicted) if several else sample.image
        found = names_in(predicted, labels.names) if several else score.source
        tiles += [
            Tile(shown, (f"{place}. {score.id}", found)),
            Tile(painted, (_headline(score), _second_line(score))),
        ]
    rows = [tiles[start : start + 2 * _PAIRS_A_ROW] for start in range(0, len(tiles), 2 * _PAIRS_A_ROW)]
    return sheet(rows, title=(title, LEGEND), height=_HEIGHT, width=_WIDTH)


def _headline(score: ImageScore) -> str:
    if score.person_iou is not None:
        return f"IoU {score.person_iou:.3f}"
    return f"false person {score.false_person:.1%}" if score.false_person is not None else ""


def _second_line(score: ImageScore) -> str:
    return "" if score.boundary_f is None else f"boundary F {score.boundary_f:.3f}"
