"""Frozen graphs as research/deeplab exports them, written here field by field: no TensorFlow, nobody's file."""

from __future__ import annotations

import copy
import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.spec import NetworkSpec, Rectifier

Message = bytes
_AXIS = np.array(3, np.int32)  # of the channels
FLOAT, INT32, UINT8, INT64 = 1, 3, 4, 9  # types.proto


def varint(number: int) -> bytes:
    number %= 1 << 64
    parts = []
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])


def message(*values: tuple[int, int | float | bytes | str]) -> Message:
    """Numbers and values of its fields: integers as varints, floats in four bytes, the rest with its length."""
    parts = []
    for number, value in values:
        match value:
            case int():
                parts.append(varint(number << 3) + varint(value))
            case float():
                parts.append(varint(number << 3 | 5) + struct.pack("<f", value))
            case _:
                content = value.encode() if isinstance(value, str) else value
                parts.append(varint(number << 3 | 2) + varint(len(content)) + content)
    return b"".join(parts)


def kind(number: int) -> Message:
    """An attribute that is a type."""
    return message((6, number))


def integers(*values: int) -> Message:
    """An attribute that is a list of integers."""
    return message((1, message((3, b"".join(map(varint, values))))))


def tensor(values: NDArray[np.generic]) -> Message:
    """An attribute that is a tensor, its numbers as raw bytes."""
    shape = message(*((2, message((1, size))) for size in values.shape))
    dtype = FLOAT if values.dtype == np.float32 else INT32
    return message((8, message((1, dtype), (2, shape), (4, values.tobytes()))))


def node(name: str, op: str, inputs: Sequence[str] = (), **attributes: Message) -> Message:
    entries = [(5, message((1, key), (2, value))) for key, value in attributes.items()]
    return message((1, name), (2, op), *((3, entry) for entry in inputs), *entries)


def graph(nodes: Sequence[Message]) -> bytes:
    return message(*((1, entry) for entry in nodes), (4, message((1, 134))))


@dataclass
class WrittenGraph:
    """A graph in the making.

    Attributes:
        nodes: name to NodeDef, in the order of execution. A test changes or drops some.
    """

    nodes: dict[str, Message] = field(default_factory=dict)

    def content(self) -> bytes:
        """The GraphDef."""
        return graph(list(self.nodes.values()))

    def add(self, name: str, op: str, inputs: Sequence[str] = (), **attributes: Message) -> str:
        """Add a node, and give its name back."""
        self.nodes[name] = node(name, op, inputs, **attributes)
        return name

    def constant(self, name: str, values: NDArray[np.generic]) -> str:
        """Add a constant behind an Identity, as freezing leaves it."""
        dtype = kind(FLOAT if values.dtype == np.float32 else INT32)
        self.add(name, "Const", value=tensor(values), dtype=dtype)
        return self.add(f"{name}/read", "Identity", [name], T=dtype)

    def numbers(self, name: str, *values: int) -> str:
        """Add a constant vector of int32."""
        return self.constant(name, np.array(values, np.int32))

    def convolution(self, scope: str, source: str, conv: nn.Conv2d, *, size: int) -> str:
        """Add a convolution with the padding SAME, of maps of ``size`` x ``size``; atrous ones as TensorFlow 1 does."""
        depthwise, rate, floats = conv.groups > 1, conv.dilation[0], kind(FLOAT)
        weight = conv.weight.detach().numpy().transpose(2, 3, 0, 1) if depthwise else _hwio(conv)
        name = f"{scope}/depthwise" if depthwise else f"{scope}/Conv2D"
        read = self.constant(f"{scope}/weights", np.ascontiguousarray(weight))
        if rate > 1:
            more = -(size + 2 * rate) % rate
            borders = np.array([[rate, rate + more]] * 2, np.int32)
            inputs = [source, self.numbers(f"{name}/block", rate, rate), self.constant(f"{name}/paddings", borders)]
            source = self.add(f"{name}/SpaceToBatchND", "SpaceToBatchND", inputs, T=floats)
        self.add(
            name,
            "DepthwiseConv2dNative" if depthwise else "Conv2D",
            [source, read],
            T=floats,
            padding=message((2, "SAME" if rate == 1 else "VALID")),
            strides=integers(1, *conv.stride, 1),
        )
        if rate == 1:
            return name
        crops = np.array([[0, more]] * 2, np.int32)
        inputs = [name, f"{name}/block/read", self.constant(f"{name}/crops", crops)]
        return self.add(f"{name}/BatchToSpaceND", "BatchToSpaceND", inputs, T=floats)

    def layer(self, scope: str, source: str, layer: ConvBNAct, *, size: int) -> str:
        """Add a convolution with BatchNorm and activation."""
        made, floats = self.convolution(scope, source, layer.conv, size=size), kind(FLOAT)
        parts = {
            "gamma": layer.bn.weight,
            "beta": layer.bn.bias,
            "moving_mean": layer.bn.running_mean,
            "moving_variance": layer.bn.running_var,
        }
        inputs = [
            self.constant(f"{scope}/BatchNorm/{name}", value.detach().numpy())
            for name, value in parts.items()
            if value is not None
        ]
        made = self.add(
            f"{scope}/BatchNorm/FusedBatchNormV3",
            "FusedBatchNormV3",
            [made, *inputs],
            T=floats,
            U=floats,
            is_training=message((5, 0)),
            epsilon=message((4, float(layer.bn.eps))),
        )
        rectifier = {nn.ReLU: "Relu", nn.ReLU6: "Relu6"}.get(type(layer.act))
        return self.add(f"{scope}/{rectifier}", rectifier, [made], T=floats) if rectifier else made


def _hwio(conv: nn.Conv2d) -> NDArray[np.float32]:
    return conv.weight.detach().numpy().transpose(2, 3, 1, 0)


def write_deeplab(network: DeepLab, size: int, *, offset: float = 0.0) -> WrittenGraph:
    """Write a network as a frozen graph of the input size ``size``, which takes bytes * 2 / 255 - offset."""
    made, floats = WrittenGraph(), kind(FLOAT)
    shape = message((7, message(*((2, message((1, side))) for side in (1, -1, -1, 3)))))
    made.add("ImageTensor", "Placeholder", dtype=kind(UINT8), shape=shape)
    made.add("Cast", "Cast", ["ImageTensor"], SrcT=kind(UINT8), DstT=floats)
    made.add("mul", "Mul", [made.constant("mul/x", np.array(2 / 255, np.float32)), "Cast"], T=floats)
    last = made.add("sub_2", "Sub", ["mul", made.constant("sub_2/y", np.array(offset, np.float32))], T=floats)
    last = made.layer("MobilenetV2/Conv", last, network.backbone.stem, size=size)
    side = math.ceil(size / 2)
    for index, block in enumerate(network.backbone.blocks):
        scope = "MobilenetV2/expanded_conv" + (f"_{index}" if index else "")
        before = last
        if block.expand is not None:
            last = made.layer(f"{scope}/expand", last, block.expand, size=side)
        last = made.layer(f"{scope}/depthwise", last, block.depthwise, size=side)
        side = math.ceil(side / block.depthwise.conv.stride[0])
        last = made.layer(f"{scope}/project", last, block.project, size=side)
        if block.residual:
            last = made.add(f"{scope}/add", "AddV2", [last, before], T=floats)
    made.add(
        "AvgPool2D/AvgPool",
        "AvgPool",
        [last],
        T=floats,
        ksize=integers(1, side, side, 1),
        strides=integers(1, 1, 1, 1),
        padding=message((2, "VALID")),
    )
    pooled = made.layer("image_pooling", "AvgPool2D/AvgPool", network.aspp.branches[1].project, size=1)
    aligned = {"T": floats, "align_corners": message((5, 1))}
    made.add("ResizeBilinear", "ResizeBilinear", [pooled, made.numbers("ResizeBilinear/size", side, side)], **aligned)
    pointwise = made.layer("aspp0", last, network.aspp.branches[0], size=side)
    # The pooled branch comes first, unlike here.
    inputs = ["ResizeBilinear", pointwise, made.constant("concat/axis", _AXIS)]
    made.add("concat", "ConcatV2", inputs, T=floats, Tidx=kind(INT32), N=message((3, 2)))
    project = network.aspp.project
    swapped = copy.deepcopy(project)
    with torch.no_grad():
        swapped.conv.weight.copy_(torch.cat(project.conv.weight.chunk(2, dim=1)[::-1], dim=1))
    last = made.layer("concat_projection", "concat", swapped, size=side)
    last = made.convolution("logits/semantic", last, network.classifier, size=side)
    assert network.classifier.bias is not None
    bias = made.constant("logits/semantic/biases", network.classifier.bias.detach().numpy())
    made.add("logits/semantic/BiasAdd", "BiasAdd", [last, bias], T=floats)
    resized = ["logits/semantic/BiasAdd", made.numbers("size", size, size)]
    made.add("ResizeBilinear_1", "ResizeBilinear", resized, **aligned)
    argmax = ["ResizeBilinear_1", made.constant("ArgMax/dimension", _AXIS)]
    made.add("ArgMax", "ArgMax", argmax, T=floats, Tidx=kind(INT32), output_type=kind(INT64))
    made.add("SemanticPredictions", "Cast", ["ArgMax"], SrcT=kind(INT64), DstT=kind(INT32))
    return made


SPEC = NetworkSpec(
    width_multiplier=0.35,
    output_stride=8,
    aspp_channels=16,
    atrous_rates=(),
    decoder=False,
    num_classes=3,
    head_rectifier=Rectifier.RELU,
)
SIZE = 65


@pytest.fixture(scope="session")
def written_spec() -> NetworkSpec:
    """A DeepLab of the kind that can be imported."""
    return SPEC


@pytest.fixture(scope="session")
def random_deeplab() -> DeepLab:
    """Such a network, with random weights and BatchNorms that do something."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        network = build_network(SPEC)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                nn.init.uniform_(layer.weight, 0.5, 2.0)
                nn.init.normal_(layer.bias, 0.0, 0.5)
                nn.init.normal_(layer.running_mean, 0.0, 0.1)
                nn.init.uniform_(layer.running_var, 0.05, 0.5)
                layer.eps = 1e-3  # TF-Slim's
    return network.eval()


@pytest.fixture
def written(random_deeplab: DeepLab) -> WrittenGraph:
    """That network as a graph for pictures of 65x65, to be changed."""
    return write_deeplab(random_deeplab, SIZE)
