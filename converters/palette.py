"""Palettes: weights as indices into a short table (Han et al. 2016, arXiv 1510.00149, section 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Palette:
    """One table for a whole tensor.

    Attributes:
        table: float, (2 ** bits,), ascending; entries that are not needed are zero, at the end.
        indices: uint8, the shape of the weights, each below 2 ** bits.
        bits: of an index.
    """

    table: NDArray[np.floating[Any]]
    indices: NDArray[np.uint8]
    bits: int

    def packed(self) -> NDArray[np.uint8]:
        """The indices one behind the other in C order, each with its lowest bit first; the last byte filled up with 0.

        uint8, (ceil(indices * bits / 8),): how an ML Program stores them.
        """
        places = np.arange(self.bits, dtype=np.uint8)
        return np.packbits((self.indices.reshape(-1, 1) >> places) & 1, bitorder="little")

    def weights(self) -> NDArray[np.floating[Any]]:
        """What the palette stands for: the shape of ``indices``, the type of ``table``."""
        return self.table[self.indices]


def palettize(weights: NDArray[np.floating[Any]], bits: int) -> Palette:
    """The table with the least squared error, and each weight's nearest entry.

    One-dimensional k-means has one best answer, which dynamic programming finds (Grønlund et al. 2017, arXiv
    1701.07204), so there is neither a seed nor an iteration that could end elsewhere.

    Args:
        weights: float, any shape.
        bits: of an index, at most 8.
    """
    # coremltools' own copy of the package kmeans1d (a private name; coremltools is pinned, and a test asks for it).
    # What it offers in public wants scikit-learn for small tensors, and finds a good table there instead of the best.
    from coremltools._deps import kmeans1d

    values, counts = np.unique(weights, return_counts=True)
    clustered = kmeans1d.cluster(values.astype(np.float64), min(len(values), 1 << bits), weights=counts)
    entries = np.unique(np.array(clustered.centroids).astype(weights.dtype))
    # Not the cluster's own entry: rounding the table may have brought a neighbour nearer.
    edges = (entries[1:].astype(np.float64) + entries[:-1]) / 2
    indices = np.searchsorted(edges, weights.astype(np.float64)).astype(np.uint8)
    table = np.zeros(1 << bits, weights.dtype)
    table[: len(entries)] = entries
    return Palette(table, indices, bits)
