"""A whole DeepLab out of a TFLite file: backbone and head, dequantized.

The backbone is what :func:`edge_deeplab.training.tflite_weights.read_tflite` finds. The head of a DeepLabV3 without
atrous branches (Sandler et al. 2018, section 6.3) is told by what its four convolutions read: the pooled features, the
features, the concatenation, and what came of that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_deeplab.errors import ModelFileError
from edge_deeplab.importing.network import OUTPUT_STRIDES, width_of
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.pretrained import FoldedLayer, FoldedWeights, load_folded
from edge_deeplab.runtime.foreign.adaptation import InputRange
from edge_deeplab.runtime.tflite_file import Operator, TfliteGraph, inspect_flatbuffer, read_bytes
from edge_deeplab.spec import NetworkSpec, Rectifier
from edge_deeplab.training.tflite_weights import folded_layer, read_tflite, stored_constants

_POOLS = ("AVERAGE_POOL_2D", "MEAN")
_PASS_THROUGH = ("QUANTIZE", "DEQUANTIZE", "RESIZE_BILINEAR", "RESHAPE")
_CONCATENATION = "CONCATENATION"
_CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_RECTIFIERS = {"RELU": Rectifier.RELU, "RELU6": Rectifier.RELU6}


@dataclass(frozen=True)
class FoldedDeepLab:
    """The layers of a DeepLab without BatchNorms.

    Attributes:
        spec: the network.
        height: rows of the picture that the file takes, in pixels.
        width: columns.
        weights: its layers but the last, in the order of our network's modules.
        classifier: the 1x1 that gives the logits.
        logits: index of the tensor of the logits in the file.
        dtype: of the file's input, as numpy calls it.
    """

    spec: NetworkSpec
    height: int
    width: int
    weights: FoldedWeights
    classifier: FoldedLayer
    logits: int
    dtype: str


@dataclass(frozen=True)
class _Head:
    backbone: int  # convolutions before it
    pointwise: Operator
    pooling: Operator
    projection: Operator
    classifier: Operator
    pooling_first: bool


def read_tflite_deeplab(path: Path, input_range: InputRange | None = None) -> FoldedDeepLab:
    """Find a DeepLab's layers in a TFLite file.

    Args:
        path: the file, quantized or not.
        input_range: what its network takes for black and white; None: what the file says.

    Raises:
        ModelFileError: as :func:`edge_deeplab.training.tflite_weights.read_tflite`; or it is no DeepLabV3 with
            MobileNetV2 and a head without atrous branches.
        SpecError: neither the file nor ``input_range`` says what it takes for black and white.
    """
    backbone = read_tflite(path, input_range)
    content, name = read_bytes(path), str(path)
    graph = inspect_flatbuffer(content, name)
    if len(graph.inputs[0].shape) != 4:
        raise ModelFileError(f"{path} takes no batch of pictures, but {graph.inputs[0].shape}: give a DeepLab")
    _, height, columns, _ = graph.inputs[0].shape
    head = _head(graph, name)
    layers = backbone.layers[: head.backbone]
    constants = stored_constants(graph)
    pointwise, pooling, projection, classifier = (
        folded_layer(node, content, constants, name)
        for node in (head.pointwise, head.pooling, head.projection, head.classifier)
    )
    if head.pooling_first:
        halves = projection.weight.chunk(2, dim=1)
        projection = replace(projection, weight=torch.cat(halves[::-1], dim=1))
    width, divisor = width_of([layer.weight.shape for layer in layers], name)
    spec = NetworkSpec(
        width_multiplier=width,
        channel_divisor=divisor,
        output_stride=_output_stride(graph, head, name),
        aspp_channels=len(projection.weight),
        atrous_rates=(),
        decoder=False,
        num_classes=len(classifier.weight),
        head_rectifier=_rectifier(head, name),
    )
    weights = replace(backbone, layers=(*layers, pointwise, pooling, projection), end="")
    logits, dtype = head.classifier.outputs[0].index, graph.inputs[0].type.lower()
    return FoldedDeepLab(spec, height, columns, weights, classifier, logits, dtype)


def build_folded(found: FoldedDeepLab, images: Tensor) -> DeepLab:
    """The network with the file's weights, in eval mode; it takes RGB in [0, 1].

    Args:
        found: the layers.
        images: float, (N, 3, H, W), RGB in [0, 1]: the BatchNorms that training needs take their statistics from these
            (:func:`edge_deeplab.models.pretrained.load_folded`). In eval mode they change nothing.

    Raises:
        CheckpointError: the file's layers are not the network's.
        ModelFileError: the last one is not.
    """
    network = build_network(found.spec)
    classifier = network.classifier
    assert isinstance(classifier, nn.Conv2d)
    assert classifier.bias is not None
    if found.classifier.weight.shape != classifier.weight.shape or found.classifier.bias.shape != classifier.bias.shape:
        raise ModelFileError(f"{found.weights.source}: {found.classifier.name} is no 1x1 convolution behind the head")
    load_folded(network, found.weights, images)
    with torch.no_grad():
        classifier.weight.copy_(found.classifier.weight)
        classifier.bias.copy_(found.classifier.bias)
    return network.eval()


def fed(rgb: NDArray[np.uint8], found: FoldedDeepLab) -> NDArray[Any]:
    """A picture as the file takes it: HxWx3, of its element type. ``rgb`` has its size."""
    match found.dtype:
        case "uint8":
            return rgb
        case "int8":
            return (rgb.astype(np.int16) - 128).astype(np.int8)
        case _:
            weights = found.weights
            real: NDArray[np.float64] = (rgb / 255 - np.array(weights.mean)) / np.array(weights.deviation)
            return real.astype(found.dtype)


def _head(graph: TfliteGraph, name: str) -> _Head:
    """The convolutions behind the one whose map is pooled."""
    producers = {tensor.index: node for node in graph.operators for tensor in node.outputs}
    convolutions = [node for node in graph.operators if node.name in _CONVOLUTIONS]
    pool = next((node for node in graph.operators if node.name in _POOLS), None)
    last = None if pool is None else _source(producers, pool)
    if last not in convolutions:
        raise ModelFileError(
            f"{name} does not pool what a convolution gives, as the last of a MobileNetV2: it is no DeepLabV3 that can "
            "be imported"
        )
    backbone = convolutions.index(last) + 1
    rest = convolutions[backbone:]
    roles: dict[str, Operator] = {}
    for node in rest:
        source = _source(producers, node)
        if source is None:
            role = "an input"
        elif source.name in _POOLS:
            role = "pooling"
        elif source is last:
            role = "pointwise"
        elif source.name == _CONCATENATION:
            role = "projection"
        else:
            role = "classifier" if source is roles.get("projection") else f"what reads {source.name}"
        if role in roles or role not in ("pooling", "pointwise", "projection", "classifier"):
            raise ModelFileError(
                f"{name}: {node.inputs[1].name} is a layer that the head of MobileNetV2's DeepLabV3 lacks: only "
                "DeepLabs without atrous branches and decoder can be imported"
            )
        roles[role] = node
    if len(roles) != 4:
        raise ModelFileError(
            f"{name} has {len(rest)} convolutions behind its backbone, and the head of MobileNetV2's DeepLabV3 has 4: "
            "only DeepLabs without atrous branches and decoder can be imported"
        )
    concatenation = _source(producers, roles["projection"])
    assert concatenation is not None
    read = [_behind(producers, tensor.index) for tensor in concatenation.inputs]
    branches = [roles["pooling"], roles["pointwise"]]
    if read not in (branches, branches[::-1]):
        raise ModelFileError(f"{name}: its concatenation does not join the two branches of the head")
    return _Head(
        backbone, roles["pointwise"], roles["pooling"], roles["projection"], roles["classifier"], read == branches
    )


def _source(producers: Mapping[int, Operator], node: Operator) -> Operator | None:
    """What computes the map that a convolution reads."""
    return _behind(producers, node.inputs[0].index)


def _behind(producers: Mapping[int, Operator], index: int) -> Operator | None:
    """What computes a tensor, behind those that only pass it on; None for the file's input."""
    node = producers.get(index)
    while node is not None and node.name in _PASS_THROUGH:
        node = producers.get(node.inputs[0].index)
    return node


def _output_stride(graph: TfliteGraph, head: _Head, name: str) -> int:
    rows, features = graph.inputs[0].shape[1], head.pointwise.inputs[0].shape[1]
    for stride in OUTPUT_STRIDES:
        if -(-rows // stride) == features:
            return stride
    raise ModelFileError(f"{name} makes {features} rows of {rows}: that is no output stride of {OUTPUT_STRIDES}")


def _rectifier(head: _Head, name: str) -> Rectifier:
    found = {node.activation for node in (head.pointwise, head.pooling, head.projection)}
    if len(found) != 1 or not found <= _RECTIFIERS.keys():
        raise ModelFileError(f"{name}: the layers of its head do not have one activation, ReLU or ReLU6")
    return _RECTIFIERS[found.pop()]
