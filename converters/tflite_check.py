"""What an int8 TFLite file must be, checked on the file itself: its numbers, its types, how it runs.

The file is read back as a stranger would read it; nothing is taken from the writer but which tensor is which layer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from converters.kernel_check import check_kernels
from converters.tflite_match import MOVES, Match, MatchedConvolution, channels_last
from converters.tflite_probe import tensor_values
from converters.tflite_schema import IO_TYPES, constant, op_name, read_model
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.affine import INT8_MIN, PIXELS, PROBABILITY
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.litert import delegation
from edge_deeplab.runtime.native_log import without_info_lines
from edge_deeplab.runtime.tflite_file import TfliteGraph
from edge_deeplab.spec import IoType

_BORDERS = ("QUANTIZE", "DEQUANTIZE")
# XNNPACK has them for floats only, and LiteRT's own integer kernels take them: the softmax of several classes, at the
# end, and a rectifier that stands alone because others read what is before it (Xception's shortcuts).
_SOFTMAX, _RECTIFIER = "SOFTMAX", "RELU"


def check_numbers(data: bytes, graph: QuantizationGraph, ranges: QuantRanges, matched: Match) -> None:
    """Every scale, zero point, integer weight and integer bias of the file is the ranges' own, to the last bit.

    Raises:
        ConversionError: one is not; the message names the layer.
    """
    model = read_model(data)
    subgraph = model.subgraphs[0]
    for index, name in matched.activations.items():
        affine = ranges.activation(name).affine
        parameters = subgraph.tensors[index].quantization
        if list(parameters.scale) != [np.float32(affine.scale)] or list(parameters.zeroPoint) != [affine.zero_point]:
            raise ConversionError(
                f"{name} was written with scale {list(parameters.scale)} and zero point {list(parameters.zeroPoint)}, "
                f"not {affine.scale} and {affine.zero_point}"
            )
    seen = set()
    for operator in subgraph.operators:
        entry = matched.convolutions.get(int(operator.outputs[0]))
        if entry is not None:
            _check_layer(model, operator, entry, graph, ranges)
            seen.add(entry.layer.name)
    missing = {layer.name for layer in graph.convolutions} - seen
    if missing:
        raise ConversionError(f"the int8 file lacks {', '.join(sorted(missing))}")


def check_integer(graph: TfliteGraph, io: IoType) -> None:
    """Integer kernels from end to end.

    Raises:
        ConversionError: a float tensor inside, a QUANTIZE or DEQUANTIZE anywhere but at the two ends, or an input or
            output of another type than ``io`` or with other parameters than its contract.
    """
    ends = (*graph.inputs, *graph.outputs)
    if [tensor.type for tensor in ends] != [IO_TYPES[io]] * 2:
        raise ConversionError(f"the file's input and output are {[tensor.type for tensor in ends]}, not {IO_TYPES[io]}")
    for operator in graph.operators:
        for tensor in (*operator.inputs, *operator.outputs):
            if tensor not in ends and tensor.type not in ("INT8", "INT32"):
                raise ConversionError(f"the tensor {tensor.name} inside the int8 file is {tensor.type}")
    for tensor, contract in zip(ends, (PIXELS, PROBABILITY), strict=True) if io is not IoType.FLOAT32 else ():
        lowest = 0 if io is IoType.UINT8 else INT8_MIN
        if (tensor.scales, tensor.zero_points) != ((contract.scale,), (lowest,)):
            raise ConversionError(
                f"{tensor.name} at the end of the file has scale {tensor.scales} and zero point {tensor.zero_points}"
            )
    borders = [place for place, operator in enumerate(graph.operators) if operator.name in _BORDERS]
    wanted = [] if io is IoType.INT8 else [0, len(graph.operators) - 1]
    if borders != wanted:
        raise ConversionError(f"QUANTIZE or DEQUANTIZE stand at the places {borders}, and only {wanted} is wanted")


def check_delegation(int8_data: bytes, graph: QuantizationGraph) -> None:
    """XNNPACK executes everything, in one partition but for the operators that it has for floats only.

    Args:
        int8_data: the file with int8 input and output. The conversions at the two ends of a uint8 file are LiteRT's
            own, outside of the partition.
        graph: the float network.

    Raises:
        ConversionError: more partitions, or other operators outside, than the network's own rectifiers and softmax
            account for.
    """
    try:
        with without_info_lines():
            interpreter: Any = Interpreter(model_content=int8_data)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ConversionError(f"LiteRT refuses the int8 file that was written: {error}") from error
    share = delegation(interpreter)
    alone = (_RECTIFIER,) * share.left.count(_RECTIFIER)
    expected = len(alone) <= len(graph.lone_rectifiers()) and share.left in (alone, (*alone, _SOFTMAX))
    if not expected or share.partitions > 1 + len(alone):
        raise ConversionError(
            f"XNNPACK splits the int8 file into {share.partitions} partitions, and leaves out: "
            f"{', '.join(share.left) or 'nothing'}"
        )


def check_execution(
    int8_data: bytes, graph: QuantizationGraph, ranges: QuantRanges, matched: Match, pixels: NDArray[np.uint8]
) -> None:
    """Every kernel of XNNPACK gives what the simulation gives from the same integers.

    Args:
        int8_data: the file with int8 input and output.
        graph: the float network.
        ranges: its ranges.
        matched: which tensor is which point.
        pixels: RGB, uint8, HxWx3, of the network's size.

    Raises:
        ConversionError: a layer computes something else; the message names it.
    """
    moved = _moved_tensors(int8_data)
    values = tensor_values(int8_data, (pixels.astype(np.int16) + INT8_MIN).astype(np.int8))
    integers = {
        name: channels_last(values[index]).transpose(0, 3, 1, 2)
        for index, name in matched.activations.items()
        if index not in moved
    }
    check_kernels(integers, graph, ranges, pixels)


def check_variant(data: bytes, int8_data: bytes, io: IoType, pixels: NDArray[np.uint8]) -> None:
    """An I/O variant gives the integers of the int8 file, to the last bit.

    Args:
        data: the variant.
        int8_data: the same network with int8 input and output.
        io: what the variant takes and gives.
        pixels: RGB, uint8, HxWx3, of the network's size.

    Raises:
        ConversionError: another result.
    """
    shifted = (pixels.astype(np.int16) + INT8_MIN).astype(np.int8)
    expected = _result(int8_data, shifted).astype(np.float64)
    match io:
        case IoType.INT8:
            found = _result(data, shifted).astype(np.float64)
        case IoType.UINT8:
            found = _result(data, pixels).astype(np.float64) + INT8_MIN
        case IoType.FLOAT32:
            found = _result(data, pixels.astype(np.float32) / 255) / PROBABILITY.scale + INT8_MIN
    if not np.array_equal(found, expected):
        raise ConversionError(f"the file with {io} input and output gives another result than the one with int8")


def _result(data: bytes, image: NDArray[Any]) -> NDArray[Any]:
    (output,) = read_model(data).subgraphs[0].outputs
    return tensor_values(data, image)[int(output)]


def _check_layer(
    model: Any, operator: Any, entry: MatchedConvolution, graph: QuantizationGraph, ranges: QuantRanges
) -> None:
    layer = entry.layer
    tensors = model.subgraphs[0].tensors
    kernel, offset = (tensors[int(operator.inputs[place])] for place in (1, 2))
    weights, scales, bias, steps = layer_integers(graph, ranges, layer)
    for what, equal in (
        ("weights", _same(constant(model, kernel, np.int8), weights.transpose(entry.permutation))),
        ("scales of the weights", np.array_equal(kernel.quantization.scale, scales)),
        ("axis of the scales", kernel.quantization.quantizedDimension == entry.axis),
        ("zero points of the weights", not np.any(kernel.quantization.zeroPoint)),
        ("biases", _same(constant(model, offset, np.int32), bias)),
        ("scales of the biases", np.array_equal(offset.quantization.scale, steps)),
        ("zero points of the biases", not np.any(offset.quantization.zeroPoint)),
    ):
        if not equal:
            raise ConversionError(f"the {what} of {layer.name} in the int8 file are not those of the ranges")


def _moved_tensors(data: bytes) -> set[int]:
    """The tensors that the exporter added: their values are another point's, in another shape."""
    model = read_model(data)
    operators = [operator for operator in model.subgraphs[0].operators if op_name(model, operator) in MOVES]
    return {int(operator.outputs[0]) for operator in operators}


def _same(found: NDArray[Any] | None, expected: NDArray[Any]) -> bool:
    return found is not None and np.array_equal(found, expected)
