"""What a QDQ file must be, checked on the file itself: its numbers, what onnxruntime makes of it, what that computes.

The file is read back as a stranger would read it; nothing is taken from the writer but the names of its tensors.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from converters.kernel_check import check_kernels
from converters.onnx_match import Match, constants
from converters.onnx_probe import optimized_graph, tensor_values
from converters.onnx_qdq_write import FLOAT_ONLY, quantized_name
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.affine import UINT8_SHIFT, Affine
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.onnx_session import image_tensor

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_QUANTIZE, _DEQUANTIZE = "QuantizeLinear", "DequantizeLinear"
_ANY_TYPE = frozenset({"Clip", "Transpose"})  # no arithmetic: the same on floats as on integers


def check_numbers(data: bytes, graph: QuantizationGraph, ranges: QuantRanges, matched: Match) -> None:
    """Every scale, zero point, integer weight and integer bias of the file is the ranges' own, to the last bit.

    Raises:
        ConversionError: one is not; the message names the layer.
    """
    file = _File(data)
    for tensor, point in matched.activations.items():
        _check_pair(file, quantized_name(tensor), point, ranges.activation(point).affine)
    for tensor, layer in matched.convolutions.items():
        weights, scales, bias, steps = layer_integers(graph, ranges, layer)
        kernel, offset = file.layer_constants(quantized_name(tensor))
        _check_constants(f"weights of {layer.name}", kernel, weights, scales)
        _check_constants(f"biases of {layer.name}", offset, bias, steps)


def _check_constants(
    what: str, found: Sequence[NDArray[Any] | None], integers: NDArray[Any], scales: NDArray[np.float32]
) -> None:
    if not _all_same(found, [integers, scales, np.zeros(len(scales), integers.dtype)]):
        raise ConversionError(f"the {what} in the QDQ file are not those of the ranges")


def _check_pair(file: _File, integers: str, point: str, affine: Affine) -> None:
    pair = file.pair(integers)
    if [node.op_type for node in pair] != [_QUANTIZE, _DEQUANTIZE]:
        raise ConversionError(f"{point} is not rounded by one pair in the QDQ file, but by {len(pair)} operators")
    wanted: list[NDArray[Any]]
    wanted = [np.array(affine.scale, np.float32), np.array(affine.zero_point + UINT8_SHIFT, np.uint8)]
    for node in pair:
        found = [file.constants.get(name) for name in node.input[1:]]
        if not _all_same(found, wanted):
            raise ConversionError(
                f"{point} was written with scale and zero point "
                f"{', '.join(str(value) for value in found)} (uint8), not {wanted[0]}, {wanted[1]}"
            )


def check_kernel_types(data: bytes, network: QuantizationGraph) -> None:
    """onnxruntime merges the pairs into integer kernels, all but those that must stay in float, and but for the
    network's own borders of zeros and rectifiers that are fused into nothing: it has no integer kernel for these, and
    they give the same on floats as on integers.

    Args:
        data: the file.
        network: the float network.

    Raises:
        ConversionError: something else runs in float, or one that must stay there in integers. An integer resize is off
            by no more than the one step that :func:`check_execution` allows, so it shows only here.
    """
    graph = optimized_graph(data)
    floats = {value.name for value in graph.input}
    in_float, in_integers = Counter[str](), Counter[str]()
    for node in graph.node:
        reads_floats = not floats.isdisjoint(node.input)
        if reads_floats and node.op_type not in FLOAT_ONLY | _ANY_TYPE | {_QUANTIZE}:
            in_float[node.op_type] += 1
        if not reads_floats and node.op_type.removeprefix("QLinear") in FLOAT_ONLY:
            in_integers[node.op_type] += 1
        if node.op_type == _DEQUANTIZE or (reads_floats and node.op_type != _QUANTIZE):
            floats.update(node.output)
    in_float -= Counter({"Pad": len(network.borders()), "Relu": len(network.lone_rectifiers())})
    for found, where in ((in_float, "in float"), (in_integers, "in integers, with a wrong rounding")):
        if found:
            words = ", ".join(f"{count} {name}" for name, count in sorted(found.items()))
            raise ConversionError(f"onnxruntime runs operators of the QDQ file {where}: {words}")


def check_execution(
    data: bytes, graph: QuantizationGraph, ranges: QuantRanges, matched: Match, pixels: NDArray[np.uint8]
) -> None:
    """Every kernel of onnxruntime gives what the simulation gives from the same integers.

    Args:
        data: the file.
        graph: the float network.
        ranges: its ranges.
        matched: which tensor is which point.
        pixels: RGB, uint8, HxWx3, of the network's size.

    Raises:
        ConversionError: a layer computes something else; the message names it.
    """
    check_kernels(point_integers(data, matched, pixels), graph, ranges, pixels)


def point_integers(
    data: bytes, matched: Match, pixels: NDArray[np.uint8], *, optimized: bool = True
) -> dict[str, NDArray[np.int8]]:
    """Run the file on one image: point name to the integers that it computes, int8, NCHW.

    Args:
        data: the file.
        matched: which tensor is which point.
        pixels: RGB, uint8, HxWx3, of the network's size.
        optimized: as in :func:`converters.onnx_probe.tensor_values`.
    """
    names = [quantized_name(tensor) for tensor in matched.activations]
    values = tensor_values(data, names, image_tensor(pixels), optimized=optimized)
    return {
        point: (values[quantized_name(tensor)].astype(np.int16) - UINT8_SHIFT).astype(np.int8)
        for tensor, point in matched.activations.items()
    }


class _File:
    """A QDQ file's graph, to be followed from integers to operators."""

    def __init__(self, data: bytes) -> None:
        import onnx

        model: ModelProto = onnx.load_from_string(data)
        self.constants = constants(model)
        self._nodes = list(model.graph.node)
        self._writer = {name: node for node in self._nodes for name in node.output}

    def pair(self, integers: str) -> list[NodeProto]:
        """The quantizing and the dequantizing operators of a tensor of integers, in order of execution."""
        names = {integers}
        clip = self._writer.get(integers)
        if clip is not None and clip.op_type == "Clip":  # a rectifier, on integers
            names.add(clip.input[0])
        return [
            node
            for node in self._nodes
            if (node.op_type == _QUANTIZE and node.output[0] in names)
            or (node.op_type == _DEQUANTIZE and node.input[0] == integers)
        ]

    def layer_constants(self, integers: str) -> tuple[list[NDArray[Any] | None], list[NDArray[Any] | None]]:
        """Integers, scales and zero points of the weights and of the biases of the convolution that gives ``integers``.

        Empty lists where there is no convolution.
        """
        quantize, _ = self.pair(integers)
        conv = self._writer.get(quantize.input[0])
        if conv is None or conv.op_type != "Conv":
            return [], []
        _, weights, biases = conv.input
        return self._dequantized(weights), self._dequantized(biases)

    def _dequantized(self, name: str) -> list[NDArray[Any] | None]:
        node = self._writer.get(name)
        if node is None or node.op_type != _DEQUANTIZE or [(a.name, a.i) for a in node.attribute] != [("axis", 0)]:
            return []
        return [self.constants.get(place) for place in node.input]


def _all_same(found: Sequence[NDArray[Any] | None], wanted: Sequence[NDArray[Any]]) -> bool:
    """Equal to the last bit, and of the same types."""
    return len(found) == len(wanted) and all(
        value is not None and value.dtype == expected.dtype and np.array_equal(value, expected)
        for value, expected in zip(found, wanted, strict=True)
    )
