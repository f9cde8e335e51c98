"""The same pictures through a reference and every artifact: how far apart are they, and is that allowed?

Every picture goes through the one resize once; then every session sees the same pixels. The probabilities are compared
at the network's own size; where true masks are given, each session is also scored at the pictures' own size.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ParityError
from edge_deeplab.evaluation.agreement import Agreement, Deviation, accumulate, deviation
from edge_deeplab.evaluation.labels import Labels
from edge_deeplab.evaluation.parallel import Progress, in_order
from edge_deeplab.evaluation.parity_images import ParityImage, ParityImages
from edge_deeplab.evaluation.scores import ImageScore, by_source, score_image, summarize
from edge_deeplab.evaluation.tolerances import TOLERANCES
from edge_deeplab.evaluation.verdict import Accuracy, IouDrop, Override, difference, iou_drop, override, verdict
from edge_deeplab.image import resize_area
from edge_deeplab.runtime.session import Session
from edge_deeplab.spec import Target


@dataclass(frozen=True, eq=False)
class Contender:
    """An opened model that takes part.

    Attributes:
        name: what the report calls it; unique.
        session: the opened model.
        size: bytes of its file or files.
        target: what it was converted to, which says how far it may be off; None for the reference, which is not judged.
        allowed_drop: points of person IoU that it may lose all the same (see
            :func:`edge_deeplab.evaluation.verdict.override`); None: its tolerance is all that counts.
    """

    name: str
    session: Session
    size: int
    target: Target | None = None
    allowed_drop: float | None = None


@dataclass(frozen=True)
class ParityRow:
    """One artifact's line of the report.

    Attributes:
        name: of the artifact.
        target: what it was converted to.
        runtime: who executed it.
        size: bytes.
        agreement: with the reference.
        accuracy: against true masks, where they are given.
        drop: of the person IoU, where there are persons in the masks.
        boundary_drop: of the boundary F in total (negative: gained), likewise.
        false_person_rise: of the false person rate in total, where there are pictures without a person.
        failures: one sentence for each criterion that it fails; empty: passed.
        override: why it passed although it is over its tolerance; None: it is not, or it failed.
    """

    name: str
    target: Target
    runtime: str
    size: int
    agreement: Agreement
    accuracy: Accuracy | None
    drop: IouDrop | None
    boundary_drop: float | None
    false_person_rise: float | None
    failures: tuple[str, ...]
    override: Override | None = None

    @property
    def passed(self) -> bool:
        return not self.failures

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the tolerance and its reasons among them."""
        return {
            "name": self.name,
            "target": str(self.target),
            "runtime": self.runtime,
            "bytes": self.size,
            "passed": self.passed,
            "failures": list(self.failures),
            "override": None if self.override is None else asdict(self.override),
            **asdict(self.agreement),
            "classes": [asdict(one) for one in self.agreement.classes],
            "accuracy": _accuracy_dict(self.accuracy),
            "iou_drop": None if self.drop is None else asdict(self.drop),
            "boundary_f_drop": self.boundary_drop,
            "false_person_rise": self.false_person_rise,
            "tolerance": asdict(TOLERANCES[self.target]),
        }


@dataclass(frozen=True)
class ParityReport:
    """What came of comparing artifacts with a reference.

    Attributes:
        reference: its name.
        runtime: who executed it.
        size: bytes of it.
        accuracy: of the reference, where true masks are given.
        data: where the pictures come from, in words.
        images: how many pictures went through.
        rows: one for each artifact, in the given order.
    """

    reference: str
    runtime: str
    size: int
    accuracy: Accuracy | None
    data: str
    images: int
    rows: tuple[ParityRow, ...]

    @property
    def passed(self) -> bool:
        return all(row.passed for row in self.rows)

    @property
    def failures(self) -> tuple[str, ...]:
        """The failing criteria of all artifacts."""
        return tuple(failure for row in self.rows for failure in row.failures)

    def check(self) -> None:
        """Raise if an artifact failed.

        Raises:
            ParityError: with the failing criteria of every artifact that failed.
        """
        if not self.passed:
            raise ParityError("; ".join(self.failures))

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the tolerances and their reasons among them."""
        return {
            "passed": self.passed,
            "data": self.data,
            "images": self.images,
            "reference": {
                "name": self.reference,
                "runtime": self.runtime,
                "bytes": self.size,
                "accuracy": _accuracy_dict(self.accuracy),
            },
            "artifacts": [row.to_dict() for row in self.rows],
        }


@dataclass(frozen=True)
class _Passage:
    """One picture through all sessions: the reference first in ``scores``; ``scores`` is empty without a truth."""

    id: str
    deviations: tuple[Deviation, ...]
    scores: tuple[ImageScore, ...]


def compare(
    reference: Contender,
    candidates: Sequence[Contender],
    images: ParityImages,
    *,
    workers: int | None = None,
    progress: Progress | None = None,
) -> ParityReport:
    """Run the same pictures through the reference and every candidate, and judge the candidates.

    The pictures go through in threads; a session takes one at a time, as no runtime allows two, and each thread begins
    with another session, so that none waits for all the others. The report does not depend on how many threads.

    Args:
        reference: what the others are held against, usually the checkpoint in PyTorch.
        candidates: each with its target.
        images: at least one; with true masks the accuracy is compared as well.
        workers: threads; None: one for each core.
        progress: told after each picture.

    Raises:
        ParityError: no pictures or no candidates, a candidate without a target, of another size or with other classes
            than the reference, or the reference's own output is not finite. A candidate that is too far off is a
            failed row of the report, not an error.
        ImageError: a picture cannot be read.
        DatasetError: a mask is unusable.
    """
    _check(reference, candidates, images)
    contenders = (reference, *candidates)
    locks = tuple(threading.Lock() for _ in contenders)

    def passage(index: int, stopped: threading.Event) -> _Passage:
        image = images[index]
        pixels = resize_area(image.rgb, reference.session.height, reference.session.width)
        found: dict[int, NDArray[np.float32]] = {}
        for turn in range(len(contenders)):
            place = (index + turn) % len(contenders)
            with locks[place]:
                if stopped.is_set():
                    raise CancelledError
                found[place] = contenders[place].session.run(pixels)
        outputs = [found[place] for place in range(len(contenders))]
        if not np.isfinite(outputs[0]).all():
            raise ParityError(f"the reference {reference.name} itself gives values that are not finite on {image.id}")
        return _Passage(
            id=image.id,
            deviations=tuple(deviation(outputs[0], output) for output in outputs[1:]),
            scores=_scores(image, outputs, images.labels),
        )

    passages = in_order(passage, len(images), workers=workers, progress=progress)
    ids = [one.id for one in passages]
    accuracies = [
        _accuracy([one.scores[place] for one in passages if one.scores], images.labels)
        for place in range(len(contenders))
    ]
    rows = []
    for place, candidate in enumerate(candidates):
        assert candidate.target is not None  # _check
        agreement = accumulate([one.deviations[place] for one in passages], ids, reference.session.classes)
        mine, theirs = accuracies[place + 1], accuracies[0]
        drop = None if mine is None or theirs is None else iou_drop(theirs, mine)
        failures = verdict(candidate.name, TOLERANCES[candidate.target], agreement, drop)
        allowed = candidate.allowed_drop
        overridden = None if allowed is None else override(failures, agreement, drop, allowed)
        rows.append(
            ParityRow(
                name=candidate.name,
                target=candidate.target,
                runtime=candidate.session.runtime,
                size=candidate.size,
                agreement=agreement,
                accuracy=mine,
                drop=drop,
                boundary_drop=_loss("boundary_f", theirs, mine),
                false_person_rise=_loss("false_person", mine, theirs),
                failures=failures if overridden is None else (),
                override=overridden,
            )
        )
    return ParityReport(
        reference=reference.name,
        runtime=reference.session.runtime,
        size=reference.size,
        accuracy=accuracies[0],
        data=images.description,
        images=len(passages),
        rows=tuple(rows),
    )


def _check(reference: Contender, candidates: Sequence[Contender], images: ParityImages) -> None:
    if not candidates:
        raise ParityError(f"there is nothing to compare {reference.name} with: name at least one converted file")
    if not len(images):
        raise ParityError("there are no images to compare on")
    session = reference.session
    for candidate in candidates:
        other = candidate.session
        if candidate.target is None:
            raise ParityError(f"{candidate.name} has no target, so that no tolerance applies to it: say what it is")
        if (other.height, other.width) != (session.height, session.width):
            raise ParityError(
                f"{candidate.name} takes {other.height}x{other.width} pixels and {reference.name} "
                f"{session.height}x{session.width}: compare files of the same checkpoint"
            )
        if other.classes != session.classes:
            raise ParityError(
                f"{candidate.name} gives {', '.join(other.classes)} and {reference.name} {', '.join(session.classes)}: "
                "compare files of the same checkpoint"
            )


def _scores(
    image: ParityImage, outputs: Sequence[NDArray[np.float32]], labels: Labels | None
) -> tuple[ImageScore, ...]:
    if image.truth is None or labels is None:
        return ()
    height, width = image.rgb.shape[:2]
    return tuple(
        score_image(
            labels.predicted(output, height, width),
            image.truth,
            classes=len(labels.names),
            person=labels.person,
            id=image.id,
            source=image.source,
        )
        for output in outputs
    )


def _accuracy(scores: Sequence[ImageScore], labels: Labels | None) -> Accuracy | None:
    if not scores or labels is None:
        return None
    return Accuracy(total=summarize(scores, labels.names), sources=by_source(scores, labels.names))


def _loss(metric: str, greater: Accuracy | None, less: Accuracy | None) -> float | None:
    if greater is None or less is None:
        return None
    return difference(getattr(greater.total, metric), getattr(less.total, metric))


def _accuracy_dict(accuracy: Accuracy | None) -> dict[str, Any] | None:
    if accuracy is None:
        return None
    return {
        "total": accuracy.total.to_dict(),
        "sources": {source: scores.to_dict() for source, scores in accuracy.sources.items()},
    }
