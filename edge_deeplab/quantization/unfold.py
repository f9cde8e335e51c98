"""A folded network back into the form of a checkpoint: with BatchNorm layers that do nothing, and with its weights as
the integers that they are.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from edge_deeplab.checkpoint import IntegerWeight
from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.quantization.affine import dequantize_weights, quantize_weights
from edge_deeplab.quantization.fold import fold_batchnorm
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.spec import NetworkSpec

_WRAPPER = "network."  # of the traced module, which has the last activation around the network


def unfold_batchnorm(folded: DeepLab) -> DeepLab:
    """Give a folded network the layers of a trained one, so that it can be saved, loaded and converted like any other.

    Each convolution loses its bias to a BatchNorm with mean 0, weight 1 and variance 1 - eps, whose factor
    1 / sqrt(var + eps) differs from 1 by less than half of float32's last bit: folding the result again gives every
    weight and bias back as it was.

    Args:
        folded: from :func:`edge_deeplab.quantization.fold.fold_batchnorm`; left as it is.

    Returns:
        A copy in eval mode with the parameters of :func:`edge_deeplab.models.deeplab.build_network`.
    """
    network = copy.deepcopy(folded).eval()
    for layer in network.modules():
        if isinstance(layer, ConvBNAct) and isinstance(layer.bn, nn.Identity):
            layer.bn = _carrier(layer.conv)
            layer.conv.bias = None
    return network


def network_of(graph: QuantizationGraph, spec: NetworkSpec) -> DeepLab:
    """The network whose quantization graph this is, its layers changed or not.

    Args:
        graph: of a network of this specification.
        spec: the layers.

    Returns:
        A network in eval mode; ``quantization_graph`` of it has the weights and biases of ``graph``, bit for bit.
    """
    folded = fold_batchnorm(build_network(spec))
    folded.load_state_dict({name.removeprefix(_WRAPPER): value for name, value in graph.module.state_dict().items()})
    return unfold_batchnorm(folded)


def on_int8_grid(graph: QuantizationGraph, ranges: QuantRanges) -> QuantizationGraph:
    """Replace every weight by the number that its integer stands for.

    Args:
        graph: the folded network; left as it is.
        ranges: of this network.

    Returns:
        The graph with other weights. They are rounded to the same integers again, and
        :func:`integer_weights` stores them as those.
    """
    module = copy.deepcopy(graph.module)
    for layer in graph.convolutions:
        scales, conv = ranges.weight(layer.name).array(), module.get_submodule(layer.module)
        assert isinstance(conv, nn.Conv2d)
        integers = quantize_weights(conv.weight.detach().numpy(), scales, 0)
        conv.weight.data.copy_(torch.from_numpy(dequantize_weights(integers, scales, 0)))
    return replace(graph, module=module)


def integer_weights(
    network: DeepLab, graph: QuantizationGraph, ranges: QuantRanges
) -> dict[str, NDArray[Any] | IntegerWeight]:
    """What to store of a network whose weights lie on their grid: nothing is rounded.

    Args:
        network: from :func:`network_of`, read from its checkpoint or not; left as it is.
        graph: its quantization graph.
        ranges: of this network.

    Returns:
        State-dict name to the integers of a convolution's weight, and to the array of everything else.

    Raises:
        CheckpointError: a weight is not, bit for bit, an integer of [-127, 127] times its scale, or has another number
            of channels than scales.
    """
    state: dict[str, NDArray[Any] | IntegerWeight] = {
        name: value.detach().numpy() for name, value in network.state_dict().items()
    }
    for layer in graph.convolutions:
        name = f"{layer.module.removeprefix(_WRAPPER)}.weight"
        weight = network.get_parameter(name).detach().numpy()
        try:
            state[name] = _integers(weight, ranges.weight(layer.name).array())
        except CheckpointError as error:
            raise CheckpointError(f"{name} cannot be stored as integers: {error}") from error
    return state


def _integers(weight: NDArray[np.float32], scales: NDArray[np.float32]) -> IntegerWeight:
    if len(scales) != len(weight):
        raise CheckpointError(f"it has {len(weight)} output channels, and its ranges {len(scales)} scales")
    found = IntegerWeight(quantize_weights(weight, scales, 0), scales)
    # As bytes: a zero that is negative is not what an integer gives.
    if found.array().tobytes() != np.ascontiguousarray(weight).tobytes():
        raise CheckpointError("it is not made of integers times its scales, as quantization-aware training leaves it")
    return found


@torch.no_grad()
def _carrier(conv: nn.Conv2d) -> nn.BatchNorm2d:
    assert conv.bias is not None
    bn = nn.BatchNorm2d(conv.out_channels, dtype=conv.weight.dtype).eval()
    assert bn.running_var is not None
    bn.running_var.fill_(1 - bn.eps)
    bn.bias.copy_(conv.bias)
    return bn
