"""Is each layer of a dynamic-range file a layer of the network, as near as its weights' type allows?

Its kernels round activations as they go, and what they lose hides a first layer that is half a percent off or a
rectifier without its bound: those the probabilities do not show, and the file's own layers do.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from torch import nn

from converters.point_match import close
from converters.tflite_match import CONVOLUTIONS
from converters.tflite_schema import constant, op_name, read_model, tensor_name
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.graph import Convolution, QuantizationGraph

_ACTIVATIONS = {
    nn.Identity: schema.ActivationFunctionType.NONE,
    nn.ReLU: schema.ActivationFunctionType.RELU,
    nn.ReLU6: schema.ActivationFunctionType.RELU6,
}
_HALF_STEP = 0.5 + 1e-3  # of an int8 weight's scale, and what float32 makes of it


def check_layers(data: bytes, network: QuantizationGraph) -> None:
    """Find a layer of the network for each convolution of the file, each once: weights, bias and rectifier.

    Args:
        data: the dynamic-range TFLite file.
        network: the float network.

    Raises:
        ModelFileError: no TFLite file.
        ConversionError: a convolution that is none of the network's, or a layer that is missing.
    """
    model = read_model(data)
    left = list(network.convolutions)
    for operator in model.subgraphs[0].operators:
        if op_name(model, operator) not in CONVOLUTIONS:
            continue
        found = next((layer for layer in left if _is(model, operator, network, layer)), None)
        if found is None:
            name = tensor_name(model.subgraphs[0].tensors[int(operator.outputs[0])])
            raise ConversionError(
                f"the convolution that writes {name!r} in the dynamic-range file has other weights, biases or "
                "another rectifier than every layer of the checkpoint: convert again"
            )
        left.remove(found)
    if left:
        raise ConversionError(f"the dynamic-range file lacks {', '.join(layer.name for layer in left)}")


def _is(model: Any, operator: Any, network: QuantizationGraph, layer: Convolution) -> bool:
    conv = network.conv(layer)
    assert conv.bias is not None
    _, permutation = CONVOLUTIONS[op_name(model, operator)]
    weight, bias = (model.subgraphs[0].tensors[int(operator.inputs[place])] for place in (1, 2))
    offset = constant(model, bias, np.float32)
    return (
        offset is not None
        and offset.shape == tuple(conv.bias.shape)
        and operator.builtinOptions.fusedActivationFunction == _ACTIVATIONS[type(network.rectifier(layer))]
        and close(offset, conv.bias.detach().numpy())
        and _near(model, weight, conv.weight.detach().numpy().transpose(permutation))
    )


def _near(model: Any, weight: Any, wanted: NDArray[np.float32]) -> bool:
    if tuple(weight.shape) != wanted.shape:
        return False
    if weight.type == schema.TensorType.FLOAT32:
        found = constant(model, weight, np.float32)
        return found is not None and close(found, wanted)
    integers, numbers = constant(model, weight, np.int8), weight.quantization
    if weight.type != schema.TensorType.INT8 or integers is None or np.any(numbers.zeroPoint):
        return False
    sizes = [1] * wanted.ndim
    sizes[numbers.quantizedDimension] = len(numbers.scale)
    scales = np.asarray(numbers.scale, np.float32).reshape(sizes)
    return bool((np.abs(integers * scales - wanted) <= _HALF_STEP * scales).all())
