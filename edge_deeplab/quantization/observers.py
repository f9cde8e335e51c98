"""Observers: from the values that were seen at a point to the interval that int8 shall cover.

What was seen is kept as one :class:`Histogram`, filled in a single pass over the images; an observer is a pure
function of it. So any number of observers can be compared without running the network again.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import SpecError
from edge_deeplab.quantization.affine import INT8_MAX, INT8_MIN

_HALF = 4096  # bins on either side of zero; after a doubling the seen values still fill half of them

_ALMOST_NOTHING = 1e-4  # of a value, in the entropy observer

Interval = tuple[float, float]


@dataclass(frozen=True)
class Histogram:
    """Counts of values in equal bins over [-limit, limit], with the exact extremes.

    The limit is a power of two and doubles when a larger value comes; two bins then merge into one, so nothing that
    was counted is ever guessed again, and the order of the images does not matter.

    Attributes:
        low: the smallest value seen.
        high: the largest value seen.
        limit: the outer edge of the bins, a power of two.
        counts: int64, (2 * 4096,).
    """

    low: float
    high: float
    limit: float
    counts: NDArray[np.int64]

    @staticmethod
    def of(values: NDArray[np.float32]) -> Histogram:
        """Count finite float32 values of any shape. Values that are not finite make ``low`` or ``high`` so too."""
        low, high = float(values.min()), float(values.max())
        largest = max(-low, high)
        if not (math.isfinite(low) and math.isfinite(high)):
            return Histogram(low, high, 1.0, np.zeros(2 * _HALF, np.int64))
        # frexp: largest = m * 2**e with m < 1. Zero, and what float32 cannot tell from it, gets some bin.
        limit = math.ldexp(1.0, max(math.frexp(largest)[1], -100))
        bins = (values.ravel() * np.float32(_HALF / limit) + np.float32(_HALF)).astype(np.int32)
        return Histogram(low, high, limit, np.bincount(np.minimum(bins, 2 * _HALF - 1), minlength=2 * _HALF))

    def merge(self, other: Histogram) -> Histogram:
        """Both together."""
        limit = max(self.limit, other.limit)
        counts = self._widened(limit) + other._widened(limit)
        # min and max of Python drop a NaN that stands second: numpy's carry it on.
        return Histogram(
            float(np.minimum(self.low, other.low)), float(np.maximum(self.high, other.high)), limit, counts
        )

    def centres(self) -> NDArray[np.float64]:
        """The middle of each bin."""
        edges: NDArray[np.float64] = (np.arange(-_HALF, _HALF) + 0.5) * (self.limit / _HALF)
        return edges

    def _widened(self, limit: float) -> NDArray[np.int64]:
        counts, current = self.counts, self.limit
        while current < limit:
            pairs = counts.reshape(-1, 2).sum(axis=1)
            counts = np.concatenate([np.zeros(_HALF // 2, np.int64), pairs, np.zeros(_HALF // 2, np.int64)])
            current *= 2
        return counts


Observer = Callable[[Histogram], Interval]


def min_max(seen: Histogram) -> Interval:
    """Everything that was seen (Jacob et al. 2018, arXiv 1712.05877, section 3.1, without the moving average)."""
    return seen.low, seen.high


@dataclass(frozen=True)
class Percentile:
    """All but a share of the values at either end (Krishnamoorthi 2018; Nagel et al. 2021, arXiv 2106.08295, 3.1).

    Attributes:
        keep: per cent of the values that are kept, 99.99 for instance: half of the rest is cut at either end.
    """

    keep: float

    def __call__(self, seen: Histogram) -> Interval:
        share = np.cumsum(seen.counts) / seen.counts.sum()
        tail = (1 - self.keep / 100) / 2
        edges = np.arange(-_HALF, _HALF + 1) * (seen.limit / _HALF)
        low = edges[np.searchsorted(share, tail, side="right")]
        high = edges[np.searchsorted(share, 1 - tail, side="left") + 1]
        return max(float(low), seen.low), min(float(high), seen.high)


def mean_squared_error(seen: Histogram) -> Interval:
    """The interval with the least mean squared rounding and clipping error (Nagel et al. 2021, section 3.1, "MSE")."""
    used = np.flatnonzero(seen.counts)
    values, counts = seen.centres()[used], seen.counts[used].astype(np.float64)
    return _search(seen, lambda low, high: _error(values, counts, low, high))


def entropy(seen: Histogram) -> Interval:
    """The interval whose 256 levels lose the least information: the least Kullback-Leibler divergence between what was
    seen, clipped to the interval, and the same after rounding.

    Migacz 2017 ("8-bit Inference with TensorRT", GTC 2017, S7310, slides 22-25), which searches one end of |x|; here
    either end is searched, zero stays inside, and both tails go into the outermost bins. Where the clipped values have
    something and the rounded ones nothing, the rounded ones get a ten-thousandth of a value (MXNet's calibration does
    the same), so that the divergence stays finite. Exact zeros, which a rectifier makes by the million and which every
    interval represents, count as much as the bin beside them (NVIDIA's pytorch-quantization does the same): otherwise
    nothing else would.
    """
    counts = seen.counts.astype(np.float64)
    counts[_HALF] = min(counts[_HALF], max(counts[_HALF - 1], counts[_HALF + 1]))
    width = seen.limit / _HALF

    def divergence(low: float, high: float) -> float:
        first, last = _HALF + math.floor(low / width), min(_HALF + math.ceil(high / width), 2 * _HALF)
        return _divergence(counts, max(first, 0), last)

    return _search(seen, divergence) if counts.any() else min_max(seen)


OBSERVERS: dict[str, Observer] = {
    "min-max": min_max,
    "percentile-99.99": Percentile(99.99),
    "percentile-99.9": Percentile(99.9),
    "mse": mean_squared_error,
    "entropy": entropy,
}
"""Name, as it is written into the ranges, to observer."""

BEST = "best"
"""Stands for none of them, but for the one that suits each range: :mod:`calibration.choose`."""


def observer_named(name: str) -> Observer:
    """Raises: SpecError: no such observer; the message lists those that exist."""
    if name not in OBSERVERS:
        raise SpecError(f"there is no observer {name!r}: choose from {', '.join(OBSERVERS)}")
    return OBSERVERS[name]


def _search(seen: Histogram, loss: Callable[[float, float], float]) -> Interval:
    """The interval with the least loss among fractions of the seen one: the upper end first, then the lower, twice."""
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    best = (low, high)
    fractions = np.linspace(1.0, 0.1, 91)
    for _ in range(2):
        if high > 0:
            best = min(((best[0], high * f) for f in fractions), key=lambda ends: loss(*ends))
        if low < 0:
            best = min(((low * f, best[1]) for f in fractions), key=lambda ends: loss(*ends))
    return best


def _error(values: NDArray[np.float64], counts: NDArray[np.float64], low: float, high: float) -> float:
    steps = INT8_MAX - INT8_MIN
    if high - low <= 0:
        return math.inf
    scale = (high - low) / steps
    zero = round(-low / scale)
    levels: NDArray[Any] = np.clip(np.rint(values / scale) + zero, 0, steps) - zero
    return float(np.dot(counts, np.square(values - levels * scale)))


def _divergence(counts: NDArray[np.float64], first: int, last: int) -> float:
    """KL(P || Q) over the bins [first, last): P keeps the tails in its end bins, Q spreads each level over its own."""
    inside = counts[first:last]
    if len(inside) <= INT8_MAX - INT8_MIN:  # finer than the bins: nothing can be said
        return math.inf
    reference = inside.copy()
    reference[0] += counts[:first].sum()
    reference[-1] += counts[last:].sum()
    level = np.arange(len(inside)) * (INT8_MAX - INT8_MIN + 1) // len(inside)
    filled = inside > 0
    if not filled.any():
        return math.inf
    shares = np.bincount(level, inside) / np.maximum(np.bincount(level, filled), 1)
    spread = np.where(filled, shares[level], _ALMOST_NOTHING)
    some = reference > 0
    p, q = reference[some] / reference.sum(), spread[some] / spread[some].sum()
    return float(np.dot(p, np.log(p / q)))
