"""What many times of one model come to, and how many times as long it takes as another."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95
_RESAMPLES = 2000  # the ends of a 95 % interval rest on 50 of them each
_SEED = 1979  # any fixed number; the year of Efron's paper


@dataclass(frozen=True)
class Spread:
    """Of the times of one model, in their unit.

    Attributes:
        median: half of the runs took longer.
        p95: one run in twenty took longer; between two runs, linear interpolation.
        minimum: the least disturbed run.
    """

    median: float
    p95: float
    minimum: float


@dataclass(frozen=True)
class Ratio:
    """How many times as long as another model.

    Attributes:
        median: of the ratios of the rounds.
        low: lower end of the interval in which the median lies with :data:`CONFIDENCE`.
        high: its upper end.
    """

    median: float
    low: float
    high: float


def spread(times: NDArray[np.float64]) -> Spread:
    """Median, 95th percentile and minimum of times, float64, (runs,), at least one."""
    return Spread(float(np.median(times)), float(np.percentile(times, 95)), float(times.min()))


def paired_ratio(times: NDArray[np.float64], against: NDArray[np.float64]) -> Ratio:
    """The median of the ratios of each round, with a bootstrap interval.

    A round's two times were taken one after the other, so what slows the machine down for longer than a round slows
    both, and their ratio stays. The interval is the percentile one (Efron and Tibshirani: An Introduction to the
    Bootstrap, 1993, chapter 13); it takes the rounds for independent of each other.

    Args:
        times: of one model, float64, (rounds,), in any unit.
        against: of the other in the same rounds and the same unit, above 0.

    Returns:
        The same for the same times: the resampling is seeded.
    """
    ratios = times / against
    draws = np.random.default_rng(_SEED).integers(0, ratios.size, (_RESAMPLES, ratios.size))
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(np.median(ratios[draws], axis=1), [tail, 100 - tail])
    return Ratio(float(np.median(ratios)), float(low), float(high))
