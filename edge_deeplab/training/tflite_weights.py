"""A backbone's weights out of a TFLite file, dequantized: a warm start from somebody's DeepLab or MobileNetV2.

TFLite's converter folds BatchNorm into the convolutions, so that all that is left of a MobileNetV2 is a chain of
convolutions with a few additions in between.

Padding: TensorFlow's "SAME" at stride 2 depends on the size. An odd one (513, for which these DeepLabs were made) is
padded by one on each side, as everything here is: the same pixels meet the same weights. An even one (224) is padded at
the right and at the bottom only, so that each such layer looks one pixel further to the right and down than here; at
output stride 16 that adds up to 1 + 2 + 4 + 8 = 15 pixels of the input. Weights from such a file begin with features
that are moved by that much against those that they were trained to give, which the first steps of training settle.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.models.pretrained import FoldedLayer, FoldedWeights
from edge_deeplab.runtime.foreign.adaptation import InputRange
from edge_deeplab.runtime.foreign.guess import stated_input_range
from edge_deeplab.runtime.foreign.layout import End
from edge_deeplab.runtime.foreign.tflite_hints import tflite_hints
from edge_deeplab.runtime.tflite_constants import real_values
from edge_deeplab.runtime.tflite_file import Operator, Tensor, TfliteGraph, inspect_flatbuffer, read_bytes

_DENSE, _DEPTHWISE = "CONV_2D", "DEPTHWISE_CONV_2D"
# What a MobileNetV2 has beside its convolutions. Whatever else comes up ends the backbone: image pooling, resizes; or
# the MUL of a BatchNorm that is not folded, without which the convolutions are not the network.
_BETWEEN = frozenset(
    {"ADD", "PAD", "PADV2", "RELU6", "QUANTIZE", "DEQUANTIZE", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"}
)


def read_tflite(path: Path, input_range: InputRange | None = None) -> FoldedWeights:
    """Read the convolutions of a file up to the first operator that no MobileNetV2 has.

    Weights may be float32, float16 (behind DEQUANTIZE), uint8 with a scale for the whole tensor, or int8 with one for
    each channel. Atrous kernels that are written out with zeros between their taps, as old converters did, are
    brought back to their taps.

    Args:
        path: the file.
        input_range: what its network takes for black and white; None: what the file says, by its input's
            quantization or by its metadata.

    Raises:
        ModelFileError: missing, damaged, not a TFLite file, with weights of another kind or without RGB input.
        SpecError: neither the file nor ``input_range`` says what it takes for black and white.
    """
    content, name = read_bytes(path), str(path)
    graph = inspect_flatbuffer(content, name)
    if len(graph.inputs) != 1 or graph.inputs[0].shape[-1:] != (3,):
        raise ModelFileError(f"{path} takes no RGB picture of rows x columns x 3: give a DeepLab or a MobileNetV2")
    mean, deviation = _normalization(input_range or _stated(path, content, graph.inputs[0]))
    constants = stored_constants(graph)
    layers: list[FoldedLayer] = []
    end = ""
    for node in graph.operators:
        if node.name in (_DENSE, _DEPTHWISE):
            layers.append(folded_layer(node, content, constants, name))
        elif node.name not in _BETWEEN or _adds_constant(node, constants):
            end = f"before its first {node.name}"
            break
    return FoldedWeights(path.name, tuple(layers), mean, deviation, end)


def _stated(path: Path, content: bytes, source: Tensor) -> InputRange:
    dtype = source.type.lower()
    if dtype not in ("float32", "float16", "uint8", "int8"):
        raise ModelFileError(f"{path} takes {dtype}, and must take float, uint8 or int8: give another file")
    affine = (source.scales[0], source.zero_points[0]) if source.scales else (None, 0)
    stated = stated_input_range(End(dtype, source.shape, *affine), tflite_hints(content, str(path)))
    if stated is None:
        raise SpecError(
            f"{path} does not say what it takes for black and white: give --init-range, 0 1 or -1 1 or 0 255"
        )
    return stated[0]


def _normalization(taken: InputRange) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation of each channel: the network takes (x - mean) / deviation for x in [0, 1]."""
    deviation = tuple(1 / (high - low) for low, high in zip(taken.low, taken.high, strict=True))
    return tuple(0.0 - low * part for low, part in zip(taken.low, deviation, strict=True)), deviation


def _adds_constant(node: Operator, constants: Mapping[int, Tensor]) -> bool:
    """It is the rest of a BatchNorm, not the sum of two branches."""
    return node.name == "ADD" and any(tensor.constant or tensor.index in constants for tensor in node.inputs)


def stored_constants(graph: TfliteGraph) -> dict[int, Tensor]:
    """Index of a tensor that is a constant behind DEQUANTIZE, to the tensor as it is stored."""
    return {
        node.outputs[0].index: node.inputs[0]
        for node in graph.operators
        if node.name == "DEQUANTIZE" and node.inputs[0].constant
    }


def folded_layer(node: Operator, content: bytes, constants: Mapping[int, Tensor], name: str) -> FoldedLayer:
    """A convolution's weights and bias, as real numbers.

    Args:
        node: a CONV_2D with weights [out, h, w, in], or a DEPTHWISE_CONV_2D with [1, h, w, channels]; a bias or none.
        content: the file.
        constants: from :func:`stored_constants`.
        name: the file's, for error messages.

    Raises:
        ModelFileError: its weights are of another kind, computed, or damaged.
    """
    tensors = [constants.get(tensor.index, tensor) for tensor in node.inputs[1:]]
    values = [torch.from_numpy(real_values(content, tensor, name)) for tensor in tensors]
    if not values or values[0].ndim != 4 or any(value.ndim != 1 for value in values[1:]):
        raise ModelFileError(f"{name}: a {node.name} has no weights of four dimensions: get a fresh copy")
    weight = values[0].permute(3, 0, 1, 2) if node.name == _DEPTHWISE else values[0].permute(0, 3, 1, 2)
    bias = values[1] if len(values) > 1 else torch.zeros(len(weight))
    return FoldedLayer(tensors[0].name, _without_holes(weight).contiguous(), bias)


def _without_holes(weight: torch.Tensor) -> torch.Tensor:
    """(out, in, 2 d + 1, 2 d + 1) with zeros but at every d-th place -> (out, in, 3, 3); others as they are."""
    rows, columns = weight.shape[2:]
    rate = rows // 2
    if rows != columns or rows % 2 == 0 or rate < 2:
        return weight
    taps = weight[:, :, ::rate, ::rate]
    return taps if torch.count_nonzero(taps) == torch.count_nonzero(weight) else weight
