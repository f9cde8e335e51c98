"""Where a network is quantized: its activation points, and which of them must share a range.

The network is traced with torch.fx after BatchNorm is folded, so the points are those of the deployed graph: one for
each tensor that an integer kernel writes. Which points share follows from the operators alone, by one rule: an
operator whose int8 kernel does no arithmetic on the scale (resize, pad, concatenation) has the same scale on both
sides.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional

from edge_deeplab.errors import ConversionError, RangesError
from edge_deeplab.models.deeplab import DeepLab, Deployed
from edge_deeplab.models.layers import ConvBNAct, SamePadding
from edge_deeplab.quantization.affine import PIXELS, PROBABILITY, Affine
from edge_deeplab.quantization.fold import fold_batchnorm
from edge_deeplab.quantization.ranges import QuantRanges

INPUT, LOGITS, OUTPUT = "input", "logits", "probability"
"""Names of the three points that every network has."""

_NAMED = 3  # how many layers a message names before it counts the rest


class Kind(Enum):
    """What an operator does to the range of its input."""

    INPUT = auto()
    CONVOLUTION = auto()
    RECTIFIER = auto()  # ReLU, ReLU6: fused into the operator before it, or, where that is read by others, like COPY
    ADD = auto()
    MEAN = auto()
    COPY = auto()  # moves, repeats or averages neighbouring values: range in = range out
    ALIAS = auto()  # the same tensor
    PROBABILITY = auto()
    FLOAT = auto()  # has no int8 form here: hard-swish and gates split the integer graph into many partitions
    SHAPE = auto()  # no tensor at all


_MODULES: dict[type[nn.Module], Kind] = {
    nn.Conv2d: Kind.CONVOLUTION,
    nn.ReLU: Kind.RECTIFIER,
    nn.ReLU6: Kind.RECTIFIER,
    nn.MaxPool2d: Kind.COPY,
    nn.ZeroPad2d: Kind.COPY,
    SamePadding: Kind.COPY,
    nn.Identity: Kind.ALIAS,
    nn.Dropout: Kind.ALIAS,
    nn.Hardswish: Kind.FLOAT,
    nn.Hardsigmoid: Kind.FLOAT,
}
_FUNCTIONS: dict[Callable[..., Any], Kind] = {
    operator.add: Kind.ADD,
    operator.mul: Kind.FLOAT,
    torch.cat: Kind.COPY,
    functional.interpolate: Kind.COPY,
    functional.pad: Kind.COPY,
    torch.maximum: Kind.COPY,
    torch.sigmoid: Kind.PROBABILITY,
    torch.softmax: Kind.PROBABILITY,
    getattr: Kind.SHAPE,
    operator.getitem: Kind.SHAPE,
}
_METHODS = {"mean": Kind.MEAN}
_WORDS = {
    operator.add: "add",
    operator.mul: "mul",
    torch.cat: "concat",
    functional.interpolate: "resize",
    functional.pad: "pad",
    torch.maximum: "maximum",
    torch.sigmoid: "sigmoid",
    torch.softmax: "softmax",
    "mean": "mean",
}


@dataclass(frozen=True)
class ActivationPoint:
    """One tensor that an integer kernel writes.

    Attributes:
        name: stable and readable: "backbone.blocks.3.expand", "aspp.concat".
        node: the name of the fx node that computes it, its rectifier included.
        group: the name of the first point of those that share its range; its own name where it is alone.
        copied: its values are those of other points of the group, moved about: nothing new to observe.
        fixed: the parameters that it must have whatever is observed, or None.
    """

    name: str
    node: str
    group: str
    copied: bool
    fixed: Affine | None


@dataclass(frozen=True)
class Convolution:
    """A convolution with the points around it.

    Attributes:
        name: as in ``QuantRanges.weights``; the name of the layer.
        module: the path of the ``nn.Conv2d`` in the traced module.
        node: the name of its fx node, before the rectifier.
        input: the name of the point that it reads.
        unpadded: the name of that point without the border of zeros, which converters put into the convolution where
            their format has a word for it; the same name where no such border is an operator of its own.
        output: the name of the point that it writes.
    """

    name: str
    module: str
    node: str
    input: str
    unpadded: str
    output: str

    def may_read(self, points: Collection[str]) -> bool:
        """A converted file's convolution can be this one if the tensor that it reads is one of these points."""
        return self.input in points or self.unpadded in points


@dataclass(frozen=True)
class QuantizationGraph:
    """A BatchNorm-folded network with its activation inside, its points and its convolutions, in order of execution.

    Attributes:
        module: the traced network.
        points: every tensor that a kernel writes.
        convolutions: the layers.
        float_only: what has no int8 form here: points, and layers that run several times.
    """

    module: fx.GraphModule
    points: tuple[ActivationPoint, ...]
    convolutions: tuple[Convolution, ...]
    float_only: tuple[str, ...] = ()

    def groups(self) -> dict[str, tuple[ActivationPoint, ...]]:
        """Group name to the points that share one range."""
        groups: dict[str, tuple[ActivationPoint, ...]] = {}
        for point in self.points:
            groups[point.group] = (*groups.get(point.group, ()), point)
        return groups

    def conv(self, convolution: Convolution) -> nn.Conv2d:
        """The layer itself, with folded weights (OIHW) and bias."""
        module = self.module.get_submodule(convolution.module)
        assert isinstance(module, nn.Conv2d)
        return module

    def rectifier(self, convolution: Convolution) -> nn.Module:
        """The rectifier that is fused into a convolution; ``nn.Identity`` where there is none."""
        (point,) = (point for point in self.points if point.name == convolution.output)
        if point.node == convolution.node:
            return nn.Identity()
        layer = self._layer(point)
        assert layer is not None, point.name
        return layer

    def lone_rectifiers(self) -> tuple[str, ...]:
        """The points of rectifiers that are fused into nothing: others read what is before them (as in Xception)."""
        return tuple(
            point.name for point in self.points if point.copied and isinstance(self._layer(point), nn.ReLU | nn.ReLU6)
        )

    def borders(self) -> tuple[str, ...]:
        """The points that are others with a border of zeros around them (TensorFlow's "SAME" padding)."""
        return tuple(point.name for point in self.points if isinstance(self._layer(point), nn.ZeroPad2d | SamePadding))

    def _layer(self, point: ActivationPoint) -> nn.Module | None:
        (node,) = (node for node in self.module.graph.nodes if node.name == point.node)
        return self.module.get_submodule(str(node.target)) if node.op == "call_module" else None

    def require_integers(self) -> None:
        """Check that every operator has an int8 form.

        Raises:
            ConversionError: some have not: the message names them.
        """
        if self.float_only:
            names, rest = ", ".join(self.float_only[:_NAMED]), len(self.float_only) - _NAMED
            more = f" and {rest} more" if rest > 0 else ""
            raise ConversionError(
                f"{names}{more} cannot be computed in int8 here (hard-swish, gates and "
                "layers that run at several scales): convert to a float target, or choose another network"
            )

    def require(self, ranges: QuantRanges) -> None:
        """Check that ranges fit this network.

        Raises:
            ConversionError: as :meth:`require_integers`.
            RangesError: a point or a weight is missing or unknown, a fixed point or a shared range differs, or a weight
                has another number of channels.
        """
        self.require_integers()
        for point in self.points:
            affine = ranges.activation(point.name).affine
            if point.fixed is not None and affine != point.fixed:
                raise RangesError(
                    f"{point.name} must have scale {point.fixed.scale} and zero point {point.fixed.zero_point}, "
                    f"not {affine.scale} and {affine.zero_point}: calibrate the network again"
                )
            if affine != ranges.activation(point.group).affine:
                raise RangesError(f"{point.name} and {point.group} must share one range: calibrate the network again")
        for convolution in self.convolutions:
            weight, channels = ranges.weight(convolution.name), self.conv(convolution).out_channels
            if weight.axis != 0 or len(weight.scales) != channels:
                raise RangesError(
                    f"the weights of {convolution.name} need one scale for each of {channels} output channels "
                    f"(axis 0), not {len(weight.scales)} on axis {weight.axis}: calibrate the network again"
                )
        unknown = (ranges.activations.keys() - {point.name for point in self.points}) | (
            ranges.weights.keys() - {convolution.name for convolution in self.convolutions}
        )
        if unknown:
            raise RangesError(
                f"there are ranges for layers that the network does not have: {', '.join(sorted(unknown))}"
            )


def quantization_graph(network: DeepLab, num_classes: int) -> QuantizationGraph:
    """Fold BatchNorm, put the last activation inside, and find the points.

    Args:
        network: trained; left as it is.
        num_classes: 1: sigmoid, several: softmax.

    Raises:
        ConversionError: an operator that has no rule here.
    """
    deployed = Deployed(fold_batchnorm(network), num_classes).eval()
    module = fx.GraphModule(deployed, _Tracer().trace(deployed))
    walk = _Walk(module)
    return QuantizationGraph(module, tuple(walk.points()), tuple(walk.convolutions()), tuple(walk.float_only()))


class _Tracer(fx.Tracer):
    """Traces into everything but PyTorch's layers and those whose arithmetic depends on the input's size."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, SamePadding) or super().is_leaf_module(m, module_qualified_name)


class _Walk:
    """One pass over the traced nodes: which node's tensor each node gives, and who shares with whom."""

    def __init__(self, module: fx.GraphModule) -> None:
        self._module = module
        self._kinds: dict[fx.Node, Kind] = {}
        self._tensor: dict[fx.Node, fx.Node] = {}  # node to the node whose tensor it is at run time
        self._nodes = [node for node in module.graph.nodes if node.op != "output"]
        for node in self._nodes:
            self._kinds[node] = kind = self._kind(node)
            self._tensor[node] = self._tensor[_inputs(node)[0]] if kind is Kind.ALIAS else node
            if kind is Kind.RECTIFIER:
                self._fuse(node)
        self._written = [
            node for node in self._nodes if self._tensor[node] is node and self._kinds[node] is not Kind.SHAPE
        ]
        self._parent = {node: node for node in self._written}
        for node in self._written:
            if self._kinds[node] is Kind.COPY:
                for source in self._sources(node):
                    self._join(source, node)
        self._names = self._name_all()

    def points(self) -> Iterator[ActivationPoint]:
        fixed: dict[fx.Node, Affine] = {}
        for node in self._written:
            affine = _FIXED.get(self._kinds[node])
            if affine is not None and fixed.setdefault(self._find(node), affine) != affine:
                raise ConversionError(
                    f"{self._names[node]} is tied to a tensor with other fixed quantization parameters"
                )
        for node in self._written:
            root = self._find(node)
            yield ActivationPoint(
                name=self._names[node],
                node=node.name,
                group=self._names[root],
                copied=self._kinds[node] is Kind.COPY,
                fixed=fixed.get(root),
            )

    def float_only(self) -> Iterator[str]:
        yield from (self._names[node] for node in self._written if self._kinds[node] is Kind.FLOAT)
        runs = Counter(layer.name for layer in self.convolutions())
        yield from (name for name, count in runs.items() if count > 1)

    def convolutions(self) -> Iterator[Convolution]:
        for node in self._nodes:
            if self._kinds[node] is Kind.CONVOLUTION:
                (source,) = self._sources(node)
                unpadded = self._sources(source)[0] if self._is_same_padding(source) else source
                yield Convolution(
                    name=self._layer_name(node),
                    module=str(node.target),
                    node=node.name,
                    input=self._names[source],
                    unpadded=self._names[unpadded],
                    output=self._names[self._tensor[node]],
                )

    def _is_same_padding(self, node: fx.Node) -> bool:
        return node.op == "call_module" and isinstance(self._module.get_submodule(str(node.target)), SamePadding)

    def _kind(self, node: fx.Node) -> Kind:
        kind: Kind | None = None
        match node.op:
            case "placeholder":
                kind = Kind.INPUT
            case "call_module":
                kind = _MODULES.get(type(self._module.get_submodule(str(node.target))))
            case "call_function":
                kind = _FUNCTIONS.get(node.target)  # type: ignore[arg-type]
            case "call_method":
                kind = _METHODS.get(str(node.target))
        if kind is None:
            raise ConversionError(
                f"the operator {node.target} ({node.op}) has no rule for int8: add one to quantization/graph.py"
            )
        return kind

    def _fuse(self, rectifier: fx.Node) -> None:
        """Give the tensor of the operator before a rectifier to the rectifier, as the integer kernel writes it; unless
        others read that tensor as it was, as Xception's shortcuts do.
        """
        before = self._tensor[_inputs(rectifier)[0]]
        chain = [node for node, tensor in self._tensor.items() if tensor is before]
        readers = {user for node in chain for user in node.users} - set(chain) - {rectifier}
        if self._kinds[before] not in (Kind.CONVOLUTION, Kind.ADD) or readers:
            # It stands alone: its kernel compares with the zero point, and the scale stays.
            self._kinds[rectifier] = Kind.COPY
            return
        for node in chain:
            self._tensor[node] = rectifier

    def _sources(self, node: fx.Node) -> list[fx.Node]:
        return [self._tensor[source] for source in _inputs(node) if self._kinds[source] is not Kind.SHAPE]

    def _find(self, node: fx.Node) -> fx.Node:
        while self._parent[node] is not node:
            node = self._parent[node]
        return node

    def _join(self, a: fx.Node, b: fx.Node) -> None:
        first, second = sorted((self._find(a), self._find(b)), key=self._written.index)
        self._parent[second] = first

    def _layer_name(self, node: fx.Node) -> str:
        """The path of the layer, without the wrapper's name; a convolution and what is fused into it have that of their
        ConvBNAct.
        """
        path = str(node.target)
        parent = path.rpartition(".")[0]
        scopes = node.meta.get("nn_module_stack", {})
        kinds = {str(name): scope[1] for name, scope in scopes.items()}
        whole = kinds.get(parent) is ConvBNAct and self._kinds[node] in (Kind.CONVOLUTION, Kind.RECTIFIER)
        return (parent if whole else path).removeprefix("network.")

    def _name_all(self) -> dict[fx.Node, str]:
        names: dict[fx.Node, str] = {}
        for node in self._written:
            match node.op:
                case "placeholder":
                    name = INPUT
                case "call_module":
                    name = self._layer_name(node)
                case _:
                    scope = next(reversed(node.meta.get("nn_module_stack", {})), "")
                    name = f"{scope}.{_WORDS[node.target]}".removeprefix("network").removeprefix(".")
            if self._kinds[node] is Kind.PROBABILITY:
                name, names[self._sources(node)[0]] = OUTPUT, LOGITS
            taken = sum(other == name or other.startswith(f"{name}#") for other in names.values())
            names[node] = f"{name}#{taken + 1}" if taken else name
        return names


_FIXED = {Kind.INPUT: PIXELS, Kind.PROBABILITY: PROBABILITY}


def _inputs(node: fx.Node) -> list[fx.Node]:
    return list(node.all_input_nodes)
