"""Dynamic range: TensorFlow's file with its depthwise filters put back into float32.

The sums of depthwise filters cancel, and where BatchNorm is folded in their taps are large: rounded to int8 they were
most of the error of the shipped model (0.0051 of mean probability error on the bundled photos). They are a fortieth
of its weights.
"""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.tflite_schema import constant, new_buffer, op_name, read_model, write_model
from edge_deeplab.errors import ConversionError

_DEPTHWISE = "DEPTHWISE_CONV_2D"
_WEIGHT = 1  # which input of a convolution it is


def restore_depthwise(dynamic_tflite: bytes, float32_tflite: bytes) -> bytes:
    """Give the depthwise convolutions of a dynamic-range file their float32 filters.

    Args:
        dynamic_tflite: TensorFlow's dynamic-range file.
        float32_tflite: the float32 file of the same network.

    Returns:
        The file; its other convolutions keep int8 weights.

    Raises:
        ModelFileError: one of them is not a TFLite file.
        ConversionError: they are not of one network.
    """
    model, exact = read_model(dynamic_tflite), read_model(float32_tflite)
    filters = {}
    for operator in exact.subgraphs[0].operators:
        if op_name(exact, operator) == _DEPTHWISE:
            tensors = exact.subgraphs[0].tensors
            filters[tensors[operator.outputs[0]].name] = constant(exact, tensors[operator.inputs[_WEIGHT]], np.float32)
    (subgraph,) = model.subgraphs
    for operator in subgraph.operators:
        weight = subgraph.tensors[operator.inputs[_WEIGHT]] if len(operator.inputs) > _WEIGHT else None
        if weight is None or op_name(model, operator) != _DEPTHWISE or weight.type != schema.TensorType.INT8:
            continue
        name = subgraph.tensors[operator.outputs[0]].name
        values = filters.get(name)
        if values is None or values.shape != tuple(weight.shape):
            raise ConversionError(f"TensorFlow's two files differ at {name.decode()}: convert again")
        weight.type, weight.buffer, weight.quantization = schema.TensorType.FLOAT32, new_buffer(model, values), None
    return write_model(model)
