"""PyTorch ranges into an int8 TFLite file: the very scales, zero points and integer weights, from end to end.

No converter decides anything here. TensorFlow has written the float32 file; this module gives each of its tensors the
parameters of the PyTorch layer that it is, replaces the weights by integers, and writes the flatbuffer anew. The same
function serves ranges that were observed and ranges that were learned.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from converters.probe import probe_pixels
from converters.tflite import TOOLS
from converters.tflite_check import (
    check_delegation,
    check_execution,
    check_integer,
    check_numbers,
    check_variant,
)
from converters.tflite_match import Match, match
from converters.tflite_schema import new_buffer, op_index, op_name, read_bare_model, write_model
from edge_deeplab.artifact import Artifact
from edge_deeplab.errors import ConversionError, SpecError
from edge_deeplab.files import sha256, write_bytes
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.affine import UINT8_SHIFT, Affine
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.tflite_file import inspect_flatbuffer
from edge_deeplab.runtime.versions import versions
from edge_deeplab.spec import Format, IoType, Precision, Target

# The operator versions that introduced int8 (per channel for convolutions), from TFLite's op_version.cc. An operator
# that is not here has no integer form that has been checked.
_INT8_VERSIONS = {
    "ADD": 2,
    "CONCATENATION": 2,
    "CONV_2D": 3,
    "DEPTHWISE_CONV_2D": 3,
    "LOGISTIC": 2,
    "MAXIMUM": 2,
    "MAX_POOL_2D": 2,
    "MEAN": 2,
    "PAD": 2,
    "RELU": 2,
    "RELU6": 2,
    "RESHAPE": 1,
    "RESIZE_BILINEAR": 2,
    "SOFTMAX": 2,
    "TRANSPOSE": 2,
}


def convert(
    checkpoint: Path, out: Path, ranges: QuantRanges, float32_tflite: bytes, io: IoType = IoType.UINT8
) -> Artifact:
    """Write the int8 file of a checkpoint, and prove that it holds what the ranges say.

    Args:
        checkpoint: the checkpoint that the ranges and the float32 file were made of.
        out: where to, ending in ``.tflite``. Nothing is written unless every check passes.
        ranges: of this checkpoint.
        float32_tflite: the float32 TFLite file of this checkpoint, NHWC, probabilities out.
        io: element type of input and output; the integers inside do not depend on it.

    Returns:
        The artifact; its sidecar is not written yet.

    Raises:
        SpecError: ``io`` is an image, which a TFLite file does not know.
        RangesError: the ranges are another checkpoint's, or lack a point.
        ConversionError: a tensor of the float32 file cannot be told, an operator has no integer form, or what was
            written is not what the ranges say.
        ModelFileError: ``float32_tflite`` is not a TFLite file, or has TFLite Model Metadata.
        OutputError: the place cannot be written to.
    """
    if io is IoType.IMAGE:
        raise SpecError("a TFLite file takes and gives numbers, no images: choose uint8, int8 or float")
    network, loaded = load_network(checkpoint)
    ranges.require_checkpoint(loaded.sha256)
    graph = quantization_graph(network, loaded.spec.network.num_classes)
    graph.require(ranges)
    pixels = probe_pixels(loaded.spec.height, loaded.spec.width)
    matched = match(graph, ranges, float32_tflite, pixels)
    data = quantize_model(float32_tflite, graph, ranges, matched, io)
    check_numbers(data, graph, ranges, matched)
    check_integer(inspect_flatbuffer(data, out.name), io)
    # The integers inside do not depend on the ends: they are watched at work in the form that has none.
    bare = quantize_model(float32_tflite, graph, ranges, matched, IoType.INT8)
    check_delegation(bare, graph)
    check_execution(bare, graph, ranges, matched, pixels)
    check_variant(data, bare, io, pixels)
    write_bytes(out, data)
    return Artifact(
        path=out,
        spec=loaded.spec,
        target=Target(Format.TFLITE, Precision.INT8),
        io=io,
        sha256=sha256(out),
        checkpoint_sha256=loaded.sha256,
        tools=versions(*TOOLS),
    )


def quantize_model(
    float32_tflite: bytes, graph: QuantizationGraph, ranges: QuantRanges, matched: Match, io: IoType
) -> bytes:
    """Rewrite a float32 TFLite file with integers.

    Tensors keep their indices; those that the I/O variant adds come last.

    Raises:
        ModelFileError: ``float32_tflite`` is not a TFLite file, or has TFLite Model Metadata.
        ConversionError: an operator has no integer form here.
        RangesError: a bias does not fit into int32.
    """
    model = read_bare_model(float32_tflite)
    subgraph = model.subgraphs[0]
    types = schema.TensorType
    for index, name in matched.activations.items():
        tensor = subgraph.tensors[index]
        tensor.type = types.INT8
        tensor.quantization = _per_tensor(ranges.activation(name).affine)
    taken: set[int] = set()
    for operator in subgraph.operators:
        entry = matched.convolutions.get(int(operator.outputs[0]))
        if entry is None:
            continue
        weights, scales, bias, steps = layer_integers(graph, ranges, entry.layer)
        kernel, offset = (_own_constant(subgraph, operator, place, taken) for place in (1, 2))
        kernel.type, kernel.buffer = types.INT8, new_buffer(model, weights.transpose(entry.permutation))
        kernel.quantization = _per_channel(scales, entry.axis)
        offset.type, offset.buffer = types.INT32, new_buffer(model, bias)
        offset.quantization = _per_channel(steps, 0)
    for operator in subgraph.operators:
        name = op_name(model, operator)
        if name not in _INT8_VERSIONS:
            raise ConversionError(
                f"the TFLite operator {name} has no integer form here: change the network or the export"
            )
        version = max(_INT8_VERSIONS[name], model.operatorCodes[operator.opcodeIndex].version)
        operator.opcodeIndex = op_index(model, name, version)
    _drop_unused_codes(model)
    _set_io(model, io)
    model.description = "edge-deeplab int8"
    # What TensorFlow notes about its own conversion: no longer true, and it carries versions and times.
    model.metadata = [entry for entry in model.metadata or [] if entry.name != b"CONVERSION_METADATA"]
    return write_model(model)


def _own_constant(subgraph: Any, operator: Any, place: int, taken: set[int]) -> Any:
    """The constant tensor that an operator reads, or a copy of it where another operator has taken it.

    TensorFlow stores equal constants once (two biases of nothing but zeros); as integers they differ in scale.
    """
    index = int(operator.inputs[place])
    if index in taken:
        clone = copy.copy(subgraph.tensors[index])
        clone.name += f";{len(subgraph.tensors)}".encode()
        subgraph.tensors.append(clone)
        operator.inputs[place] = index = len(subgraph.tensors) - 1
    taken.add(index)
    return subgraph.tensors[index]


def _per_tensor(affine: Affine) -> Any:
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.array([affine.scale], np.float32)
    parameters.zeroPoint = np.array([affine.zero_point], np.int64)
    return parameters


def _per_channel(scales: NDArray[np.float32], axis: int) -> Any:
    parameters = schema.QuantizationParametersT()
    parameters.scale = np.ascontiguousarray(scales, np.float32)
    parameters.zeroPoint = np.zeros(len(scales), np.int64)
    parameters.quantizedDimension = axis
    return parameters


def _drop_unused_codes(model: Any) -> None:
    used = sorted({operator.opcodeIndex for operator in model.subgraphs[0].operators})
    for operator in model.subgraphs[0].operators:
        operator.opcodeIndex = used.index(operator.opcodeIndex)
    model.operatorCodes = [model.operatorCodes[index] for index in used]


def _set_io(model: Any, io: IoType) -> None:
    """Give the int8 network the input and output that were asked for: one operator at either end, none for int8."""
    if io is IoType.INT8:
        return
    subgraph = model.subgraphs[0]
    (entry,), (result,) = map(list, (subgraph.inputs, subgraph.outputs))
    outer_entry, outer_result = _add_outer(subgraph, entry, io), _add_outer(subgraph, result, io)
    # DEQUANTIZE of int8 came with version 2; QUANTIZE has had both forms that are used here from its first.
    leave = ("QUANTIZE", 1) if io is IoType.UINT8 else ("DEQUANTIZE", 2)
    subgraph.operators.insert(0, _border(model, "QUANTIZE", 1, outer_entry, entry))
    subgraph.operators.append(_border(model, *leave, result, outer_result))
    subgraph.inputs, subgraph.outputs = np.array([outer_entry], np.int32), np.array([outer_result], np.int32)
    for signature in model.signatureDefs or []:
        for inner, outer, ends in ((entry, outer_entry, signature.inputs), (result, outer_result, signature.outputs)):
            for end in ends:
                if end.tensorIndex == inner:
                    end.tensorIndex = outer


def _add_outer(subgraph: Any, inner: int, io: IoType) -> int:
    """Append the tensor that the client sees for an int8 tensor; it takes over the name that clients know."""
    outer = copy.copy(subgraph.tensors[inner])
    subgraph.tensors[inner].name = outer.name + b"_int8"
    parameters = schema.QuantizationParametersT()
    if io is IoType.UINT8:
        outer.type = schema.TensorType.UINT8
        parameters.scale = outer.quantization.scale.copy()
        parameters.zeroPoint = outer.quantization.zeroPoint + UINT8_SHIFT
    else:
        outer.type = schema.TensorType.FLOAT32
    outer.quantization = parameters
    subgraph.tensors.append(outer)
    return len(subgraph.tensors) - 1


def _border(model: Any, name: str, version: int, source: int, target: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = op_index(model, name, version)
    operator.inputs, operator.outputs = np.array([source], np.int32), np.array([target], np.int32)
    operator.builtinOptionsType = getattr(schema.BuiltinOptions, f"{name.title()}Options")
    operator.builtinOptions = getattr(schema, f"{name.title()}OptionsT")()
    return operator
