"""Cross-layer equalization: channels that are large in one layer and small in the next are brought together.

Nagel et al. 2019, "Data-Free Quantization Through Weight Equalization and Bias Correction" (arXiv 1906.04721),
section 4.1.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from edge_deeplab.quantization.graph import Convolution, QuantizationGraph

Floats = NDArray[np.float64]

# A channel is never raised closer to the clip than this, so that photos which were not seen have some room.
_ROOM = 0.9
_ROUNDS, _SETTLED = 20, 1.01


@dataclass(frozen=True)
class Pair:
    """Two convolutions of which the second alone reads the first.

    Attributes:
        first: its output channels are divided by the factors.
        second: its input channels are multiplied by them.
        clip: where the rectifier between them cuts off; infinite for ReLU and where there is none.
    """

    first: Convolution
    second: Convolution
    clip: float


def pairs(graph: QuantizationGraph) -> tuple[Pair, ...]:
    """All pairs of convolutions with nothing but a rectifier between them, in order of execution.

    A tensor that is also added, resized, averaged or concatenated has other readers, whose weights are not its own.
    """
    seconds = {layer.node: layer for layer in graph.convolutions}
    nodes = {node.name: node for node in graph.module.graph.nodes}
    points = {point.name: point for point in graph.points}
    found = []
    for first in graph.convolutions:
        readers = list(_readers(graph, nodes[points[first.output].node]))
        if len(readers) == 1 and readers[0].name in seconds:
            rectifier = graph.rectifier(first)
            clip = 6.0 if isinstance(rectifier, nn.ReLU6) else np.inf
            found.append(Pair(first, seconds[readers[0].name], clip))
    return tuple(found)


def equalization_factors(first: Floats, second: Floats, peaks: Floats, clip: float) -> Floats:
    """How far each channel is divided in the first layer and multiplied in the second.

    The factor sqrt(r1 / r2) makes the two ranges of a channel equal (equation 11). The paper replaces ReLU6 by ReLU,
    which is homogeneous; here the network stays what it is, and ReLU6 commutes with a factor only below its clip. So a
    channel that was seen at the clip, or within a tenth of it, keeps its scale, and no channel is raised into that
    tenth. A channel that gives nothing, or that nothing is made of, keeps its scale too.

    Args:
        first: (channels,), the largest absolute weight of each output channel of the first layer, r1.
        second: (channels,), that of each input channel of the second, r2.
        peaks: (channels,), the largest value of each channel between them that was seen.
        clip: of the rectifier between them; infinite if it has none.

    Returns:
        float64, (channels,), positive.
    """
    usable = (first > 0) & (second > 0)
    wanted: Floats = np.sqrt(np.where(usable, first, 1.0) / np.where(usable, second, 1.0))
    if np.isinf(clip):
        return wanted
    room = clip * _ROOM
    free = usable & (peaks > 0) & (peaks < room)
    factors: Floats = np.where(free, np.maximum(wanted, peaks / room), 1.0)
    return factors


def equalize(graph: QuantizationGraph, peaks: Mapping[str, Floats]) -> QuantizationGraph:
    """Equalize all pairs, again and again until nothing moves by more than a hundredth (section 4.1.2).

    On the photos that gave the peaks the network computes what it did, to float32's rounding. On another photo a
    channel that goes further than any that was seen is clipped elsewhere than before.

    Args:
        graph: the folded network; left as it is.
        peaks: convolution name to the largest value of each channel of its input
            (:attr:`calibration.collect.Observations.peaks`).

    Returns:
        The graph with other weights and biases.
    """
    equalized = replace(graph, module=copy.deepcopy(graph.module))
    between = {pair.second.name: np.array(peaks[pair.second.name], np.float64) for pair in pairs(graph)}
    for _ in range(_ROUNDS):
        moved = 1.0
        for pair in pairs(equalized):
            first, second = equalized.conv(pair.first), equalized.conv(pair.second)
            factors = equalization_factors(
                output_ranges(first), input_ranges(second), between[pair.second.name], pair.clip
            )
            _apply(first, second, factors)
            between[pair.second.name] /= factors
            moved = max(moved, float(np.maximum(factors, 1 / factors).max()))
        if moved < _SETTLED:
            break
    return equalized


def output_ranges(conv: nn.Conv2d) -> Floats:
    """float64, (out channels,): the largest absolute weight of each output channel."""
    ranges: Floats = conv.weight.detach().double().abs().amax((1, 2, 3)).numpy()
    return ranges


def input_ranges(conv: nn.Conv2d) -> Floats:
    """float64, (in channels,): the largest absolute weight of each input channel."""
    ranges: Floats = _by_group(conv).detach().abs().amax((1, 3, 4)).flatten().numpy()
    return ranges


@torch.no_grad()
def _apply(first: nn.Conv2d, second: nn.Conv2d, factors: Floats) -> None:
    scale = torch.from_numpy(factors)
    assert first.bias is not None
    first.weight.copy_(first.weight.double() / scale[:, None, None, None])
    first.bias.copy_(first.bias.double() / scale)
    second.weight.copy_((_by_group(second) * scale.view(second.groups, 1, -1, 1, 1)).flatten(0, 1))


def _by_group(conv: nn.Conv2d) -> Tensor:
    """float64, (groups, out channels of a group, in channels of a group, rows, columns)."""
    return conv.weight.double().reshape(conv.groups, -1, *conv.weight.shape[1:])


def _readers(graph: QuantizationGraph, node: fx.Node) -> Iterator[fx.Node]:
    """The nodes that read a tensor, also under another name."""
    for user in node.users:
        if user.op == "call_module" and isinstance(graph.module.get_submodule(str(user.target)), nn.Identity):
            yield from _readers(graph, user)
        else:
            yield user
