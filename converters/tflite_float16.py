"""float32 TFLite to float16: half precision for the constants that fill the file, and for no others.

TensorFlow's converter halves every constant. Two kinds do not bear that, and weigh little: depthwise filters, which are
large where BatchNorm is folded in (up to 56 in the shipped model) and whose sums cancel, and the small convolutions of
the first blocks, whose errors go through all later ones. The greatest error of the shipped model's probability on
photos is 0.05 with everything in half precision (4.3 of 8.6 MB), 0.017 with the depthwise filters left alone (4.5 MB),
0.010 with a fifteenth of all constants left alone (4.6 MB) and 0.006 with a fifth (5.1 MB).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.tflite_schema import constant, new_buffer, op_index, op_name, read_bare_model, write_model
from edge_deeplab.errors import ConversionError

_KEPT = 0.2  # the part of all weights that may stay in float32

_WEIGHT = 1  # which input of a convolution it is
# Its inputs behind the activation: weights and bias. XNNPACK takes a convolution only if both are of one precision.
_CONSTANTS = slice(1, 3)


def halve_weights(float32_tflite: bytes) -> bytes:
    """Store the weights and biases of the largest dense convolutions in half precision.

    Args:
        float32_tflite: a float32 TFLite file.

    Returns:
        The same graph in about 0.6 of the size: each halved constant passes through a DEQUANTIZE, which XNNPACK folds
        away when the file is opened. Input, output and arithmetic stay float32.

    Raises:
        ModelFileError: not a TFLite file, or one with TFLite Model Metadata.
        ConversionError: a constant is beyond float16's greatest number.
    """
    model = read_bare_model(float32_tflite)
    (subgraph,) = model.subgraphs
    halved = {index: None for operator in _large_convolutions(model) for index in operator.inputs[_CONSTANTS]}
    widenings = [_halve(model, subgraph, int(index)) for index in halved if index >= 0]
    subgraph.operators = [*widenings, *subgraph.operators]
    return write_model(model)


def _large_convolutions(model: Any) -> Iterable[Any]:
    """All dense convolutions but the smallest, which with the depthwise ones hold at most _KEPT of all weights."""
    (subgraph,) = model.subgraphs

    def size(operator: Any) -> int:
        return math.prod(int(length) for length in subgraph.tensors[operator.inputs[_WEIGHT]].shape)

    def named(name: str) -> list[Any]:
        return [operator for operator in subgraph.operators if op_name(model, operator) == name]

    dense, depthwise = sorted(named("CONV_2D"), key=size), named("DEPTHWISE_CONV_2D")
    kept = sum(map(size, depthwise))
    budget = _KEPT * (kept + sum(map(size, dense)))
    for index, operator in enumerate(dense):
        kept += size(operator)
        if kept > budget:
            return dense[index:]
    return []


def _halve(model: Any, subgraph: Any, index: int) -> Any:
    """Move the values of a tensor into one of half precision; give the operator that widens them into it again."""
    tensor = subgraph.tensors[index]
    values = constant(model, tensor, np.float32)
    if values is None:
        raise ConversionError(
            "a convolution's weights are computed instead of constant: this network has no float16 form"
        )
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    if not np.isfinite(halves).all():
        raise ConversionError(
            f"a weight of {np.abs(values).max():.3g} does not fit into float16: convert to tflite-float32 instead"
        )
    half = copy.copy(tensor)
    half.name = tensor.name + b"_float16"
    half.type = schema.TensorType.FLOAT16
    half.buffer = new_buffer(model, halves)
    tensor.buffer = 0  # the empty one: the tensor is computed from now on
    subgraph.tensors.append(half)
    widen = schema.OperatorT()
    widen.opcodeIndex = op_index(model, "DEQUANTIZE", 3)  # of float16 since version 3
    widen.inputs = np.array([len(subgraph.tensors) - 1], np.int32)
    widen.outputs = np.array([index], np.int32)
    widen.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    widen.builtinOptions = schema.DequantizeOptionsT()
    return widen
