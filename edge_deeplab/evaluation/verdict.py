"""An artifact's numbers held against its tolerance, in sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from edge_deeplab.evaluation.agreement import Agreement
from edge_deeplab.evaluation.scores import Scores
from edge_deeplab.evaluation.tolerances import Tolerance


@dataclass(frozen=True)
class Accuracy:
    """One session against the true masks, at the pictures' own size.

    Attributes:
        total: over all pictures.
        sources: source to scores.
    """

    total: Scores
    sources: Mapping[str, Scores]


@dataclass(frozen=True)
class IouDrop:
    """Person IoU that an artifact has lost against the reference (negative: gained)."""

    total: float
    worst_source: str
    worst: float


def iou_drop(reference: Accuracy, candidate: Accuracy) -> IouDrop | None:
    """Person IoU of the reference minus the candidate's, in total and in the worst source; None without persons."""
    drops = {
        source: drop
        for source, scores in reference.sources.items()
        if (drop := _drop(scores, candidate.sources[source])) is not None
    }
    total = _drop(reference.total, candidate.total)
    if total is None:
        return None
    worst = max(drops, key=lambda source: drops[source])
    return IouDrop(total, worst, drops[worst])


def _drop(reference: Scores, candidate: Scores) -> float | None:
    return difference(reference.person_iou, candidate.person_iou)


def difference(one: float | None, other: float | None) -> float | None:
    """``one - other``; None where either is not known."""
    return None if one is None or other is None else one - other


@dataclass(frozen=True)
class Override:
    """A loss over the tolerance that was allowed by name, and what it overrode.

    Attributes:
        allowed_points: of person IoU that may be lost; one point is 0.01.
        lost_points: that are lost.
        measured_by: the number that ``lost_points`` was read from.
        failures: the criteria that the artifact fails, as :func:`verdict` gave them.
    """

    allowed_points: float
    lost_points: float
    measured_by: str
    failures: tuple[str, ...]


def override(
    failures: tuple[str, ...], agreement: Agreement, drop: IouDrop | None, allowed_points: float
) -> Override | None:
    """Let an artifact pass that fails its tolerance, if it loses no more than somebody allowed.

    Where the true masks are known, what is lost is the drop of the person IoU in the worst source. Where they are not,
    it is what the masks' IoU against the reference's lacks to 1: one minus the IoU is a metric (Kosub 2019, arXiv
    1612.02696), so that against no truth the IoU over the same pixels can have dropped by more.

    Args:
        failures: what :func:`verdict` gave.
        agreement: the numbers that it was given.
        drop: likewise.
        allowed_points: of person IoU; one point is 0.01.

    Returns:
        None: there is nothing to override, more is lost than is allowed, or the values are not finite, which is no
        loss but a broken file.
    """
    lost, measured_by = (
        (drop.worst, "person IoU against the true masks, worst source")
        if drop is not None
        else (1 - agreement.reference_iou, "IoU against the reference's masks")
    )
    if not failures or not np.isfinite(agreement.max_error) or not 100 * lost <= allowed_points:
        return None
    return Override(allowed_points, 100 * lost, measured_by, failures)


def violations(tolerance: Tolerance, agreement: Agreement, drop: IouDrop | None) -> frozenset[str]:
    """The criteria that an artifact fails, by the names of :class:`Tolerance`'s fields.

    Values that are not finite fail "max_error", even where nothing else is demanded of it.
    """
    values = {
        "max_error": (agreement.max_error, -1),
        "mean_error": (agreement.mean_error, -1),
        "mask_agreement": (agreement.mask_agreement, 1),
        "reference_iou": (agreement.reference_iou, 1),
    }
    if drop is not None:
        values["iou_drop"] = (drop.worst, -1)
    failing = set() if np.isfinite(agreement.max_error) else {"max_error"}
    for name, (value, better) in values.items():
        bound = getattr(tolerance, name).bound
        if bound is not None and not better * value >= better * bound:  # also where the value is not a number
            failing.add(name)
    return frozenset(failing)


def verdict(name: str, tolerance: Tolerance, agreement: Agreement, drop: IouDrop | None) -> tuple[str, ...]:
    """Hold an artifact's numbers against its tolerance.

    Returns:
        one sentence for each criterion that fails: which number, how much, how much is allowed, and why.
    """
    if not np.isfinite(agreement.max_error):
        return (f"{name} gives values that are not finite numbers: convert it again, from a checkpoint without them",)
    failing = violations(tolerance, agreement, drop)
    failures = []
    for what, criterion, value in (
        ("the greatest error of a probability", "max_error", agreement.max_error),
        ("the mean error of the probabilities", "mean_error", agreement.mean_error),
    ):
        if criterion in failing:
            limit = getattr(tolerance, criterion)
            failures.append(f"{name}: {what} is {value:.3g}, over {limit.bound:g} ({limit.reason})")
    for what, criterion, value in (
        ("the masks agree with the reference's on", "mask_agreement", agreement.mask_agreement),
        ("the masks' IoU against the reference's is", "reference_iou", agreement.reference_iou),
    ):
        if criterion in failing:
            limit = getattr(tolerance, criterion)
            failures.append(
                f"{name}: {what} {value:.2%}, under {limit.bound:.1%}, "
                f"worst on {agreement.worst_image} ({limit.reason})"
            )
    if drop is not None and "iou_drop" in failing:
        limit = tolerance.iou_drop
        where = f" on {drop.worst_source}" if drop.worst_source else ""
        failures.append(f"{name}: person IoU drops by {drop.worst:.4f}{where}, over {limit.bound:g} ({limit.reason})")
    return tuple(failures)
