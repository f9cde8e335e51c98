"""Gaussian filtering of scattered points in several dimensions by a permutohedral lattice (Adams, Baek, Davis 2010).

Summing a Gaussian over all pairs of N points costs N^2. The lattice costs a few passes over N: every point spreads its
value to the d + 1 corners of the simplex that it lies in (splat), the corners are blurred along the lattice's d + 1
directions, and every point gathers from its corners again (slice).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LARGEST_CODE = 2**62  # corners are numbered in int64, with room for their neighbours


class PermutohedralLattice:
    """The lattice that N points span; made once, it filters any number of values at these points.

    The blur passes through the corners that points touch, as in the paper, and through those between two of them,
    which the paper leaves out: where points are few, half of the kernel would be lost without them (noise of 32x30
    pixels, sigmas of 10 pixels and 20 code values: an error of 0.07 for values 0..1, and 0.02 with them). The common
    factor between the result and the sum of exp(-|x - y|^2 / 2) is left out: every user divides by the result for ones.

    Args:
        features: float, (N, d): each point's place in units of the kernel's standard deviation, finite.

    Raises:
        ValueError: the places are so far apart that the corners cannot be numbered in 64 bits.
    """

    def __init__(self, features: NDArray[np.floating[Any]]) -> None:
        elevated = _elevated(np.asarray(features, np.float64))
        origin, rank = _simplex(elevated)
        self._weights = _barycentric(elevated - origin, rank)
        codes, strides = _codes(origin.astype(np.int64), rank)
        # What a step along each of the d + 1 directions adds: d along one coordinate, and 1 back along all others.
        steps = len(strides) * strides - strides.sum()
        corners = _with_those_between(np.unique(codes), steps)
        self._index = np.searchsorted(corners, codes)
        self._count = len(corners)
        self._neighbours = _neighbours(corners, steps)

    def __call__(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Sum the points' values, weighted by a Gaussian of their distance.

        Args:
            values: float32, (C, N).

        Returns:
            float32, (C, N).
        """
        filtered = np.empty(values.shape, np.float32)
        flat_index = self._index.ravel()
        for channel, out in zip(values, filtered, strict=True):
            spread = np.bincount(flat_index, (self._weights * channel).ravel(), self._count + 1).astype(np.float32)
            blurred = self._blurred(spread)
            np.sum(self._weights * blurred[self._index], axis=0, out=out)
        return filtered

    def _blurred(self, corners: NDArray[np.float32]) -> NDArray[np.float32]:
        """The kernel 1/4, 1/2, 1/4 along each direction; the last value stands for all corners that do not exist."""
        for ahead, behind in self._neighbours:
            step = corners[ahead]
            step += corners[behind]
            step *= 0.5
            corners[:-1] += step
            corners *= 0.5
        return corners


def _elevated(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The points in the hyperplane of d + 1 coordinates whose sum is 0: (N, d) -> (d + 1, N).

    Scaled so that splat, blur and slice together have the variance of a Gaussian of standard deviation 1
    (Adams, Baek, Davis 2010, section 3.1).
    """
    dimensions = features.shape[1]
    basis = np.zeros((dimensions + 1, dimensions))
    for axis in range(dimensions):
        basis[: axis + 1, axis] = 1.0
        basis[axis + 1, axis] = -(axis + 1.0)
    basis /= np.linalg.norm(basis, axis=0)
    elevated: NDArray[np.float64] = (basis * ((dimensions + 1) * math.sqrt(2 / 3))) @ features.T
    return elevated


def _simplex(elevated: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """The simplex around every point.

    Args:
        elevated: (d + 1, N).

    Returns:
        (its corner of remainder 0, float64, (d + 1, N), whole numbers; the rank of each coordinate among the point's
        distances from that corner, (d + 1, N), 0 for the greatest).
    """
    size = len(elevated)
    origin = np.rint(elevated / size)
    surplus = origin.sum(axis=0).astype(np.intp)
    origin *= size
    difference = elevated - origin
    rank = np.zeros(elevated.shape, np.intp)
    for one in range(size):
        for other in range(one + 1, size):
            lower = difference[one] < difference[other]
            rank[one] += lower
            rank[other] += ~lower
    # Rounding may leave the hyperplane: the coordinates that were rounded furthest go back by one step each.
    rank += surplus
    shift = np.where(rank >= size, -size, np.where(rank < 0, size, 0))
    return origin + shift, rank + shift


def _barycentric(difference: NDArray[np.float64], rank: NDArray[np.intp]) -> NDArray[np.float32]:
    """A point's weight at each corner, by the corner's remainder: (d + 1, N) -> float32, (d + 1, N), of sum 1."""
    size = len(difference)
    descending = np.empty_like(difference)
    np.put_along_axis(descending, rank, difference / size, axis=0)
    weights = np.empty(difference.shape, np.float32)
    weights[0] = 1.0 + descending[-1] - descending[0]
    weights[1:] = (descending[:-1] - descending[1:])[::-1]
    return weights


def _codes(origin: NDArray[np.int64], rank: NDArray[np.intp]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """One number for every corner of the simplices.

    Args:
        origin: the corner of remainder 0, (d + 1, N).
        rank: as :func:`_simplex`.

    Returns:
        (codes by the corner's remainder, int64, (d + 1, N); what a step along each coordinate adds, int64, (d + 1,)).
    """
    size = len(origin)
    # A corner is at most d from the origin in each coordinate, one between two as much again, and its neighbour, too.
    low = origin.min(axis=1) - 3 * size
    extents = [int(extent) for extent in origin.max(axis=1) + 3 * size - low + 1]
    if math.prod(extents[:-1]) > _LARGEST_CODE:
        raise ValueError("the points are too far apart for the lattice: use larger standard deviations")
    # The last coordinate follows from the others.
    strides = np.array([math.prod(extents[:axis]) for axis in range(size - 1)] + [0], np.int64)
    by_rank = np.empty_like(origin)
    np.put_along_axis(by_rank, rank, np.broadcast_to(strides[:, None], origin.shape), axis=0)
    codes = np.empty_like(origin)
    codes[0] = strides @ (origin - low[:, None])
    for remainder in range(1, size):
        # From one corner to the next: 1 along every coordinate, and d + 1 back along the one of the next rank.
        codes[remainder] = codes[remainder - 1] + strides.sum() - size * by_rank[size - remainder]
    return codes, strides


def _with_those_between(corners: NDArray[np.int64], steps: NDArray[np.int64]) -> NDArray[np.int64]:
    """Sorted corners, and all that are one step from at least two of them."""
    reached, times = np.unique(np.concatenate([corners + s for s in (*steps, *-steps)]), return_counts=True)
    return np.union1d(corners, reached[times > 1])


def _neighbours(
    corners: NDArray[np.int64], steps: NDArray[np.int64]
) -> list[tuple[NDArray[np.int32], NDArray[np.int32]]]:
    """For each direction the indices of the corners one step ahead and one behind; their count where there is none."""
    count = len(corners)
    pairs = []
    for step in steps:
        wanted = corners + step
        place = np.searchsorted(corners, wanted)
        here = np.flatnonzero(corners[np.minimum(place, count - 1)] == wanted)
        ahead = np.full(count, count, np.int32)
        behind = np.full(count, count, np.int32)
        ahead[here] = place[here]
        behind[place[here]] = here
        pairs.append((ahead, behind))
    return pairs
