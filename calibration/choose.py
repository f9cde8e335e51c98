"""The observer of each activation range, chosen by what the layers behind it compute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from calibration.collect import Observations, network_input
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.observers import OBSERVERS
from edge_deeplab.quantization.ranges import activation_range
from edge_deeplab.quantization.simulate import FakeQuantize

PHOTOS = 8
"""Enough for a choice among five intervals: every pixel of a feature map is a sample."""


@torch.no_grad()
def best_observers(
    observations: Observations,
    pixels: NDArray[np.uint8],
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, str]:
    """Try every observer at every sharing group, and take the one that disturbs the next layers least.

    Only the one tensor is quantized. The error is that of the operators which read it (convolutions with their
    rectifier, sums, the mean, the probability), relative to what they give and added up over all readers. A resize and
    a concatenation pass it on to theirs. The idea of judging a choice by the output of the layer and not by the tensor
    itself is that of local reconstruction (Nagel et al. 2020, arXiv 2004.10568, section 3.2), here for activations.

    Args:
        observations: of the network.
        pixels: uint8, (N, H, W, 3), at the network's size: some of the photos that were observed.
        progress: told the readers done, and of how many.

    Returns:
        Group name to observer name, for every group whose range is not fixed.

    Raises:
        RangesError: a group saw nothing but zeros, or values that are not finite.
    """
    choosing = _Choosing(observations, progress)
    choosing.run(network_input(pixels))
    return {group: min(tried, key=lambda name: choosing.errors[group, name]) for group, tried in choosing.tried.items()}


class _Choosing(fx.Interpreter):
    """Runs the float network; at each reader, again with one input quantized by each of the tried ranges."""

    def __init__(self, observations: Observations, progress: Callable[[int, int], None]) -> None:
        graph = observations.graph
        super().__init__(graph.module)
        self._group = {point.node: point.group for point in graph.points}
        self._rectifiers = {layer.node: graph.rectifier(layer) for layer in graph.convolutions}
        self._readers = self._rectifiers.keys() | _other_readers(graph)
        self._progress, self._done = progress, 0
        self.tried = {
            group: {
                name: FakeQuantize(activation_range(*observer(seen), (seen.low, seen.high), name, group))
                for name, observer in OBSERVERS.items()
            }
            for group, seen in observations.histograms.items()
            if next(point for point in graph.points if point.group == group).fixed is None
        }
        self.errors: dict[tuple[str, str], float] = defaultdict(float)

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if n.name in self._readers:
            for source in n.all_input_nodes:
                group = self._group_of(source)
                for name, quantizer in self.tried.get(group, {}).items():
                    self.errors[group, name] += self._error(n, source, quantizer, result)
            self._done += 1
            self._progress(self._done, len(self._readers))
        return result

    def _error(self, n: fx.Node, source: fx.Node, quantizer: FakeQuantize, expected: Tensor) -> float:
        """Mean squared error of a reader over the mean square of what it gives."""
        args, kwargs = fx.node.map_arg(
            (n.args, n.kwargs), lambda node: quantizer(self.env[node]) if node is source else self.env[node]
        )
        rectifier = self._rectifiers.get(n.name, torch.nn.Identity())
        wanted, found = rectifier(expected), rectifier(getattr(self, n.op)(n.target, args, kwargs))
        return float((found - wanted).square().mean() / wanted.square().mean().clamp_min(1e-12))

    def _group_of(self, node: fx.Node) -> str:
        while node.name not in self._group:  # the same tensor under another name
            (node,) = node.all_input_nodes
        return self._group[node.name]


def _other_readers(graph: QuantizationGraph) -> set[str]:
    """The operators beside convolutions that compute something of their own: sums, means, the probability."""
    operators = {node.name for node in graph.module.graph.nodes if node.op in ("call_function", "call_method")}
    return {point.node for point in graph.points if not point.copied} & operators
