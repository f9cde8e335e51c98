"""Which tensor of an ONNX file is which activation point: found by running both and comparing the values.

As for TFLite (:mod:`converters.tflite_match`): names are the exporter's own business, what a tensor holds is not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from converters.onnx_probe import tensor_values
from converters.point_match import PointValues, close, settle, unknown_tensor
from converters.probe import point_values
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.graph import Convolution, QuantizationGraph
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.onnx_session import image_tensor

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

RECTIFIERS = frozenset({"Clip", "Relu"})


@dataclass(frozen=True)
class Match:
    """The tensors of a float32 ONNX file, by name, in PyTorch's words.

    Attributes:
        activations: tensor to the name of its activation point. A tensor before its rectifier has no point.
        convolutions: the tensor that a convolution writes, its rectifier included, to its layer.
    """

    activations: Mapping[str, str]
    convolutions: Mapping[str, Convolution]


def match(graph: QuantizationGraph, ranges: QuantRanges, exported: bytes, pixels: NDArray[np.uint8]) -> Match:
    """Find the activation point behind each tensor, and the layer behind each convolution.

    Args:
        graph: the PyTorch network.
        ranges: its ranges, to tell whether an ambiguous match matters.
        exported: the float32 file.
        pixels: the probe, RGB, uint8, (height, width, 3).

    Raises:
        ConversionError: a tensor's values are those of no point, or of several with different ranges; weights that are
            not the layer's; a convolution that is missing.
    """
    import onnx

    model = onnx.load_from_string(exported)
    rectified = rectified_tensors(model)
    image = image_tensor(pixels)
    (entry,) = (value.name for value in model.graph.input)
    computed = [name for node in model.graph.node for name in node.output if name not in rectified]
    known = PointValues(
        {
            name: value.numpy()
            for name, value in point_values(graph.module, {p.name: p.node for p in graph.points}, pixels).items()
        }
    )
    values = {entry: image} | tensor_values(exported, computed, image)
    candidates: dict[str, tuple[str, ...]] = {}
    for name in (entry, *computed):
        candidates[name] = known.near(values[name])
        if not candidates[name]:
            raise unknown_tensor(f"the ONNX tensor {name!r} {values[name].shape}")
    return Match(
        {name: settle(f"the ONNX tensor {name!r}", names, ranges) for name, names in candidates.items()},
        _match_convolutions(graph, model, candidates, rectified),
    )


def rectified_tensors(model: ModelProto) -> dict[str, str]:
    """Each tensor that only a rectifier reads, to the tensor that this rectifier writes."""
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return {
        name: behind[0].output[0]
        for name, behind in readers.items()
        if len(behind) == 1 and behind[0].op_type in RECTIFIERS and behind[0].input[0] == name
    }


def constants(model: ModelProto) -> dict[str, NDArray[Any]]:
    """The initializers by their names."""
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def _match_convolutions(
    graph: QuantizationGraph,
    model: ModelProto,
    candidates: Mapping[str, tuple[str, ...]],
    rectified: Mapping[str, str],
) -> dict[str, Convolution]:
    layers = {layer.output: layer for layer in graph.convolutions}
    found, stored = {}, constants(model)
    for node in model.graph.node:
        if node.op_type != "Conv":
            continue
        output = rectified.get(node.output[0], node.output[0])
        sources = candidates[node.input[0]]
        names = [name for name in candidates[output] if name in layers and layers[name].may_read(sources)]
        if not names or len(node.input) != 3:
            raise ConversionError(
                f"the Conv operator that writes {candidates[output][0]} is no convolution of the PyTorch network: "
                "the export changed the network"
            )
        found[output] = layer = layers[names[0]]
        conv = graph.conv(layer)
        assert conv.bias is not None
        for name, expected in zip(node.input[1:], (conv.weight, conv.bias), strict=True):
            values = stored.get(name)
            if values is None or values.shape != expected.shape or not close(values, expected.detach().numpy()):
                raise ConversionError(
                    f"the weights or biases of {layer.name} in the float32 ONNX file are not the checkpoint's: "
                    "convert this very checkpoint"
                )
    missing = {layer.name for layer in graph.convolutions} - {layer.name for layer in found.values()}
    if missing:
        raise ConversionError(f"the ONNX file lacks the convolutions {', '.join(sorted(missing))}")
    return found
