"""Which DeepLab a frozen graph is, as research/deeplab's export_model.py writes it.

The graph takes a picture (``ImageTensor``), pads it with grey to its own size, normalizes it, runs the network whose
layers have the names of their TF-Slim scopes, and takes the argmax of the resized logits (``SemanticPredictions``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.importing.graph_def import Graph, Node, read_graph
from edge_deeplab.importing.layers import BatchNorm, Layer, SourceDeepLab
from edge_deeplab.importing.tarball import graph_in_tarball, is_tarball
from edge_deeplab.spec import Rectifier

INPUT, OUTPUT = "ImageTensor", "SemanticPredictions"
_BACKBONE = "MobilenetV2/"
_POINTWISE, _POOLING, _PROJECTION, _CLASSIFIER = "aspp0", "image_pooling", "concat_projection", "logits/semantic"
_DENSE, _DEPTHWISE = "Conv2D", "DepthwiseConv2dNative"
_NORMS = ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3")
_RECTIFIERS = {"Relu": Rectifier.RELU, "Relu6": Rectifier.RELU6}
_SUMS = ("Add", "AddV2")
_BYTES = 255.0  # the graph takes bytes, ours takes [0, 1]


def graph_bytes(path: Path) -> bytes:
    """The GraphDef in a .pb file or in a tarball.

    Raises:
        ModelFileError: missing, unreadable; of a tarball: as :func:`edge_deeplab.importing.tarball.graph_in_tarball`.
    """
    if is_tarball(path):
        return graph_in_tarball(path)
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error


def read_frozen_deeplab(content: bytes, source: str) -> SourceDeepLab:
    """Find a DeepLab's layers in a frozen graph.

    Args:
        content: a GraphDef, from :func:`graph_bytes`.
        source: the file, for error messages.

    Raises:
        ModelFileError: it is no frozen graph, no DeepLab of research/deeplab, one of another architecture than
            MobileNetV2 with a head without atrous branches, or damaged.
    """
    graph = read_graph(content, source)
    _require_deeplab(graph)
    try:
        return _deeplab(graph)
    except (IndexError, ValueError) as error:  # a node without its inputs, an attribute that is cut off
        raise ModelFileError(f"{source} is a damaged frozen graph ({error}): get a fresh copy") from error


def _deeplab(graph: Graph) -> SourceDeepLab:
    layers = {layer.name: layer for layer in _layers(graph)}
    backbone = tuple(layer for name, layer in layers.items() if name.startswith(_BACKBONE))
    _require_architecture(graph, layers, backbone)
    _require_chain(graph, backbone)
    mean, deviation = _normalization(graph, backbone[0])
    height, width = _size(graph)
    branch_order = _branch_order(graph, layers)
    return SourceDeepLab(
        source=graph.source,
        backbone=backbone,
        pointwise=layers[_POINTWISE],
        pooling=layers.get(_POOLING),
        projection=_in_our_order(layers[_PROJECTION], branch_order),
        branch_order=branch_order,
        classifier=layers[_CLASSIFIER],
        mean=mean,
        deviation=deviation,
        height=height,
        width=width,
    )


def _require_deeplab(graph: Graph) -> None:
    missing = [name for name in (INPUT, OUTPUT) if name not in graph.nodes]
    if not missing:
        return
    inputs = [node.name for node in graph.nodes.values() if node.op == "Placeholder"]
    raise ModelFileError(
        f"{graph.source} has no {' and no '.join(missing)} (its inputs: {', '.join(inputs[:3]) or 'none'}): it is a "
        "frozen graph of something else than a DeepLab of research/deeplab"
    )


def _require_architecture(graph: Graph, layers: Mapping[str, Layer], backbone: Sequence[Layer]) -> None:
    if not backbone:
        scopes = dict.fromkeys(name.partition("/")[0] for name in layers)
        raise ModelFileError(
            f"{graph.source} has no backbone {_BACKBONE.rstrip('/')}, but {', '.join(list(scopes)[:3]) or 'nothing'}: "
            "only DeepLabs with MobileNetV2 can be imported"
        )
    known = {_POINTWISE, _POOLING, _PROJECTION, _CLASSIFIER, *(layer.name for layer in backbone)}
    if unknown := [name for name in layers if name not in known]:
        raise ModelFileError(
            f"{graph.source} has layers that the head of MobileNetV2's DeepLabV3 lacks ({', '.join(unknown[:3])}): "
            "heads with atrous branches or a decoder cannot be imported from a frozen graph"
        )
    if missing := [name for name in (_POINTWISE, _PROJECTION, _CLASSIFIER) if name not in layers]:
        raise ModelFileError(f"{graph.source} lacks {', '.join(missing)}: its head is not that of a DeepLabV3")


def _require_chain(graph: Graph, backbone: Sequence[Layer]) -> None:
    """Each layer reads what the one before it gives, or the sum of that and of something before."""
    for before, layer in pairwise(backbone):
        node = graph.producer(layer.reads)
        read = [graph.producer(name).name for name in node.inputs] if node.op in _SUMS else [node.name]
        if graph.producer(before.gives).name not in read:
            raise ModelFileError(
                f"{graph.source}: {layer.name} does not follow {before.name}: it is no MobileNetV2 as it was published"
            )


def _layers(graph: Graph) -> Iterator[Layer]:
    """Every convolution of the graph with its BatchNorm or bias, in the file's order."""
    readers: dict[str, list[Node]] = {}
    for node in graph.nodes.values():
        for name in node.inputs:
            readers.setdefault(name, []).append(node)
    for node in graph.nodes.values():
        if node.op in (_DENSE, _DEPTHWISE):
            yield _layer(graph, node, readers)


def _layer(graph: Graph, node: Node, readers: Mapping[str, Sequence[Node]]) -> Layer:
    scope = node.name.rpartition("/")[0] or node.name
    if len(node.inputs) != 2 or node.text("data_format") not in ("", "NHWC"):
        raise ModelFileError(f"{graph.source}: {node.name} is not a convolution of rows x columns x channels")
    weight = graph.reals(node.inputs[1])
    stride, rate = _uniform(graph, node, "strides"), _uniform(graph, node, "dilations")
    reads, last, padded = node.inputs[0], node, node.text("padding") == "SAME"
    before = graph.producer(reads)
    if before.op == "SpaceToBatchND":  # an atrous convolution, as TensorFlow 1 writes it
        rate, padded = _block(graph, before, weight), node.text("padding") == "VALID"
        reads = before.inputs[0]
        last = _next(readers, last, ("BatchToSpaceND",))
    if weight.ndim != 4 or weight.shape[0] != weight.shape[1] or weight.shape[0] % 2 == 0 or not padded:
        raise ModelFileError(f"{graph.source}: {node.name} is not a square convolution with the padding SAME")
    # HWIO; depthwise: HWC and a multiplier, which is 1.
    order = (2, 3, 0, 1) if node.op == _DEPTHWISE else (3, 2, 0, 1)
    after = _next(readers, last, (*_NORMS, "BiasAdd"))
    if after is last:
        raise ModelFileError(f"{graph.source}: {node.name} is followed by neither a BatchNorm nor a bias")
    norm: BatchNorm | NDArray[np.float32] = (
        graph.reals(after.inputs[1]) if after.op == "BiasAdd" else _batchnorm(graph, after)
    )
    rectified = _next(readers, after, tuple(_RECTIFIERS))
    return Layer(
        name=scope,
        weight=np.ascontiguousarray(weight.transpose(order)),
        norm=norm,
        stride=stride,
        rate=rate,
        rectifier=_RECTIFIERS.get(rectified.op),
        reads=reads,
        gives=rectified.name,
    )


def _next(readers: Mapping[str, Sequence[Node]], node: Node, ops: Sequence[str]) -> Node:
    """The node of one of these kinds that alone reads ``node``; ``node`` itself if there is none."""
    found = readers.get(node.name, ())
    return found[0] if len(found) == 1 and found[0].op in ops else node


def _uniform(graph: Graph, node: Node, name: str) -> int:
    """A stride or rate that is the same for rows and columns."""
    values = node.integers(name) or (1, 1, 1, 1)
    if len(values) != 4 or values[0] != 1 or values[3] != 1 or values[1] != values[2] or values[1] < 1:
        raise ModelFileError(f"{graph.source}: {node.name} has {name} {values}: it is no layer of a DeepLab")
    return values[1]


def _block(graph: Graph, node: Node, weight: NDArray[np.float32]) -> int:
    """The atrous rate that a SpaceToBatchND stands for."""
    blocks = graph.constant(node.inputs[1]).tolist()
    begins = graph.constant(node.inputs[2])[:, 0].tolist()
    rate = blocks[0]
    if blocks != [rate, rate] or begins != [rate * (weight.shape[0] // 2)] * 2:
        raise ModelFileError(f"{graph.source}: {node.name} is not the first half of an atrous convolution")
    return int(rate)


def _batchnorm(graph: Graph, node: Node) -> BatchNorm:
    if node.flag("is_training") or len(node.inputs) != 5:
        raise ModelFileError(f"{graph.source}: {node.name} takes its statistics from the picture: export it for eval")
    gamma, beta, mean, variance = (graph.reals(name) for name in node.inputs[1:])
    return BatchNorm(gamma, beta, mean, variance, node.real("epsilon"))


def _branch_order(graph: Graph, layers: Mapping[str, Layer]) -> tuple[int, ...]:
    """Where the 1x1 branch and image pooling are in the concatenation that the projection reads."""
    wanted = [layers[name].gives for name in (_POINTWISE, _POOLING) if name in layers]
    concat = graph.producer(layers[_PROJECTION].reads)
    read = [_behind_resize(graph, name) for name in concat.inputs[:-1]] if concat.op == "ConcatV2" else [concat.name]
    if sorted(read) != sorted(wanted):
        raise ModelFileError(f"{graph.source}: {_PROJECTION} does not read the branches of the head")
    return tuple(read.index(name) for name in wanted)


def _in_our_order(projection: Layer, order: Sequence[int]) -> Layer:
    """The projection with the channels of its input in the order 1x1 branch, image pooling."""
    parts = np.split(projection.weight, len(order), axis=1)  # each branch has as many channels
    return replace(projection, weight=np.concatenate([parts[place] for place in order], axis=1))


def _behind_resize(graph: Graph, name: str) -> str:
    node = graph.producer(name)
    return graph.producer(node.inputs[0]).name if node.op == "ResizeBilinear" else node.name


def _normalization(graph: Graph, stem: Layer) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and deviation for x in [0, 1] of: bytes * factor - offset."""
    minus = graph.producer(stem.reads)
    times = graph.producer(minus.inputs[0]) if minus.op == "Sub" else minus
    if times.op != "Mul":
        raise ModelFileError(f"{graph.source}: the picture is not normalized by a product and a difference")
    numbers = [name for name in times.inputs if graph.producer(name).op == "Const"]
    if len(numbers) != 1:
        raise ModelFileError(f"{graph.source}: {times.name} does not multiply the picture by a number")
    factors = np.broadcast_to(graph.reals(numbers[0]).astype(np.float64), 3)
    offsets = np.broadcast_to(graph.reals(minus.inputs[1]).astype(np.float64), 3)
    if not (factors > 0).all():
        raise ModelFileError(f"{graph.source}: {times.name} multiplies the picture by a number that is not positive")
    deviation = 1 / (_BYTES * factors)
    return tuple((offsets * deviation).tolist()), tuple(deviation.tolist())


def _size(graph: Graph) -> tuple[int, int]:
    """Rows and columns of the map of classes before it is cut to the picture: the size of the network's input."""
    found = [node for node in graph.nodes.values() if node.op == "ArgMax"]
    resize = graph.producer(found[0].inputs[0]) if len(found) == 1 else None
    if resize is None or resize.op != "ResizeBilinear":
        raise ModelFileError(
            f"{graph.source} does not take the argmax of resized logits, once: export it for one scale and no flip"
        )
    size = graph.producer(resize.inputs[1])
    values = graph.constant(size.inputs[0])[1:3] if size.op == "StridedSlice" else graph.constant(size.name)
    if values.shape != (2,):
        raise ModelFileError(f"{graph.source}: {resize.name} has no fixed size: export it with a crop size")
    height, width = values.tolist()
    return height, width
