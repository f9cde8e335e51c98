"""Which tensor of a TFLite file is which activation point: found by running both and comparing the values.

Names and the order of operators are the exporter's own business and change with its version; what a tensor holds
does not. A wrong match would put a right-looking scale on the wrong tensor, so whatever is not clear is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from converters.point_match import PointValues, close, settle, unknown_tensor
from converters.probe import point_values
from converters.tflite_probe import tensor_values
from converters.tflite_schema import constant, op_name, read_model, tensor_name
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.graph import Convolution, QuantizationGraph
from edge_deeplab.quantization.ranges import QuantRanges

# Operators that the exporter adds: they only move values, and pad with the zero point.
MOVES = frozenset({"PAD", "RESHAPE", "TRANSPOSE"})

CONVOLUTIONS = {"CONV_2D": (0, (0, 2, 3, 1)), "DEPTHWISE_CONV_2D": (3, (1, 2, 3, 0))}
"""Operator to the axis of the output channels in its weights, and the permutation from OIHW to its layout."""


@dataclass(frozen=True)
class MatchedConvolution:
    """A convolution operator of the file and the layer that it is.

    Attributes:
        layer: the PyTorch layer.
        axis: the axis of the output channels in the file's layout.
        permutation: from OIHW to the file's layout.
    """

    layer: Convolution
    axis: int
    permutation: tuple[int, ...]


@dataclass(frozen=True)
class Match:
    """A TFLite file's tensors, by index, in PyTorch's words.

    Attributes:
        activations: tensor index to the name of its activation point.
        convolutions: index of the tensor that a convolution writes to its layer.
    """

    activations: Mapping[int, str]
    convolutions: Mapping[int, MatchedConvolution]


def match(graph: QuantizationGraph, ranges: QuantRanges, data: bytes, pixels: NDArray[np.uint8]) -> Match:
    """Find the activation point behind each float tensor, and the layer behind each convolution.

    Args:
        graph: the PyTorch network.
        ranges: its ranges, to tell whether an ambiguous match matters.
        data: the float32 file.
        pixels: the probe, RGB, uint8, (height, width, 3).

    Raises:
        ConversionError: a tensor's values are those of no point, or of several with different ranges; an operator that
            has no integer form here; weights that are not the layer's.
    """
    model = read_model(data)
    points = point_values(graph.module, {point.name: point.node for point in graph.points}, pixels)
    candidates = _candidates(model, points, tensor_values(data, pixels.astype(np.float32) / 255))
    tensors = model.subgraphs[0].tensors
    activations = {
        index: settle(f"the TFLite tensor {tensor_name(tensors[index])!r}", names, ranges)
        for index, names in candidates.items()
    }
    return Match(activations, _match_convolutions(graph, model, candidates))


def _candidates(model: Any, points: dict[str, Tensor], tensors: dict[int, NDArray[Any]]) -> dict[int, tuple[str, ...]]:
    """Tensor index to the points with these values; what the exporter only moved has its source's."""
    known = PointValues({name: value.permute(0, 2, 3, 1).numpy() for name, value in points.items()})
    graph = model.subgraphs[0]
    found: dict[int, tuple[str, ...]] = {}
    for index in graph.inputs:
        found[int(index)] = known.near(tensors[int(index)])
    for operator in graph.operators:
        kind = op_name(model, operator)
        for index in map(int, operator.outputs):
            names = known.near(tensors[index]) or known.near(channels_last(tensors[index]))
            if not names and kind in MOVES:
                names = found[int(operator.inputs[0])]
            found[index] = names
    for index, names in found.items():
        if not names:
            raise unknown_tensor(f"the TFLite tensor {tensor_name(graph.tensors[index])!r} {tensors[index].shape}")
    return found


def channels_last(values: NDArray[Any]) -> NDArray[Any]:
    """A map of one pixel that the exporter left as (N, C, 1, 1), as the mean behind a TRANSPOSE, as (N, 1, 1, C): the
    same numbers in the same order. Others as they are.
    """
    return values.transpose(0, 2, 3, 1) if values.ndim == 4 and values.shape[2:] == (1, 1) else values


def _match_convolutions(
    graph: QuantizationGraph, model: Any, candidates: dict[int, tuple[str, ...]]
) -> dict[int, MatchedConvolution]:
    layers = {layer.output: layer for layer in graph.convolutions}
    matched: dict[int, MatchedConvolution] = {}
    for operator in model.subgraphs[0].operators:
        kind = op_name(model, operator)
        if kind not in CONVOLUTIONS:
            continue
        axis, permutation = CONVOLUTIONS[kind]
        output = int(operator.outputs[0])
        sources = candidates[int(operator.inputs[0])]
        names = [name for name in candidates[output] if name in layers and layers[name].may_read(sources)]
        if not names or len(operator.inputs) != 3:
            raise ConversionError(
                f"the {kind} operator that writes {candidates[output][0]} is no convolution of the PyTorch network: "
                "the export changed the network"
            )
        matched[output] = MatchedConvolution(layers[names[0]], axis, permutation)
        _require_weights(graph, model, operator, matched[output])
    missing = {layer.name for layer in graph.convolutions} - {entry.layer.name for entry in matched.values()}
    if missing:
        raise ConversionError(f"the TFLite file lacks the convolutions {', '.join(sorted(missing))}")
    return matched


def _require_weights(graph: QuantizationGraph, model: Any, operator: Any, matched: MatchedConvolution) -> None:
    """The file's float weights are those of the PyTorch layer, in the layout that the integers will be written in."""
    conv = graph.conv(matched.layer)
    assert conv.bias is not None
    tensors = model.subgraphs[0].tensors
    for place, expected in (
        (1, conv.weight.detach().numpy().transpose(matched.permutation)),
        (2, conv.bias.detach().numpy()),
    ):
        found = constant(model, tensors[int(operator.inputs[place])], np.float32)
        if found is None or found.shape != expected.shape or not close(found, expected):
            raise ConversionError(
                f"the weights or biases of {matched.layer.name} in the float32 TFLite file are not the checkpoint's: "
                "convert this very checkpoint"
            )
