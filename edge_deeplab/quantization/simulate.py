"""The integer network played in floating point: every rounding and clipping of the deployed file, in PyTorch.

A module stands behind each activation point and in place of each convolution, so a trainable variant is the same graph
with other modules in it (:func:`insert_quantizers`).
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from edge_deeplab.quantization.affine import INT8_MAX, INT8_MIN, WEIGHT_MAX
from edge_deeplab.quantization.graph import ActivationPoint, QuantizationGraph
from edge_deeplab.quantization.ranges import ActivationRange, QuantRanges, WeightRange

QUANTIZERS = "quantizers"
"""The submodule that holds one quantizer for each sharing group."""


class FakeQuantize(nn.Module):
    """Round to the int8 grid of a range and come back: float -> float, the same shape.

    The gradient passes straight through inside the range and is zero outside (Jacob et al. 2018, section 3).

    Attributes:
        scale: 0-dimensional float32.
        zero_point: 0-dimensional int32.
    """

    scale: Tensor
    zero_point: Tensor

    def __init__(self, activation: ActivationRange) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(activation.affine.scale, dtype=torch.float32))
        self.register_buffer("zero_point", torch.tensor(activation.affine.zero_point, dtype=torch.int32))

    def forward(self, x: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(x, self.scale.float(), self.zero_point, INT8_MIN, INT8_MAX)


class QuantizedConv2d(nn.Module):
    """A convolution with weights on their int8 grid and its bias on the int32 grid at s_in * s_w.

    The integers are those of :mod:`edge_deeplab.quantization.affine` whatever the layer's dtype: they are rounded in
    float64. Gradients pass the rounding straight through.

    Attributes:
        conv: the float convolution; its weights stay float, and are rounded in each forward pass.
        scales: float32, (out channels,).
        bias_shift: float32, (out channels,), added to the bias before it is rounded.
    """

    scales: Tensor
    bias_shift: Tensor

    def __init__(self, conv: nn.Conv2d, weight: WeightRange) -> None:
        super().__init__()
        self.conv = conv
        self.register_buffer("scales", torch.from_numpy(weight.array()))
        self.register_buffer("bias_shift", torch.from_numpy(weight.shifts()))

    def forward(self, x: Tensor, input_scale: Tensor) -> Tensor:  # (N, in, H, W), () -> (N, out, H', W')
        assert self.conv.bias is not None
        bias = self.conv.bias.double() + self.bias_shift
        return integer_convolution(x, self.conv, self.conv.weight, bias, self.scales, input_scale)


def integer_convolution(
    x: Tensor, conv: nn.Conv2d, weight: Tensor, bias: Tensor | None, scales: Tensor, input_scale: Tensor
) -> Tensor:
    """Convolve with weights on their int8 grid and the bias on the int32 grid at s_in * s_w; gradients pass both.

    Args:
        x: float, (N, in, H, W), on the input's grid.
        conv: tells stride, padding, dilation and groups.
        weight: float, (out, in / groups, h, w).
        bias: float, (out,), or None: none is added.
        scales: float, (out,), of the weights.
        input_scale: float, 0-dimensional, of the input's grid.

    Returns:
        (N, out, H', W'), dtype of ``x``.
    """
    # The input's scale cancels out of the product, and so does its gradient.
    source, scales = input_scale.detach().double(), scales.double()
    levels = _rounded(weight / scales[:, None, None, None]).clamp(-WEIGHT_MAX, WEIGHT_MAX)
    # Integers are convolved, as in the file: they and their sums are exact where the scaled numbers are not (autocast's
    # bfloat16 holds each of these integers, and would give each scaled weight an error of half an int8 step).
    sums = functional.conv2d(
        x / source.to(x.dtype), levels.to(x.dtype), None, conv.stride, conv.padding, conv.dilation, conv.groups
    )
    steps = (source * scales)[:, None, None]
    if bias is None:
        return sums.to(x.dtype) * steps.to(x.dtype)
    # Rounded at the float32 product, as it stands in the file; multiplied by the exact one, as the sums are.
    integers = _rounded(bias / (source.float() * scales.float()).double())[:, None, None]
    return torch.addcmul((integers * steps).to(x.dtype), sums.to(x.dtype), steps.to(x.dtype))


def _rounded(values: Tensor) -> Tensor:
    """To the nearest integer, halves to even; the gradient passes straight through."""
    return values + (torch.round(values) - values).detach()


def quantizer_path(group: str) -> str:
    """Where :func:`insert_quantizers` puts a group's module."""
    return f"{QUANTIZERS}.{group.replace('.', '_')}"


def insert_quantizers(
    graph: QuantizationGraph,
    activation: Callable[[str], nn.Module],
    convolution: Callable[[str, nn.Conv2d], nn.Module],
) -> fx.GraphModule:
    """Put a module behind each activation point and in place of each convolution.

    Args:
        graph: the float network; left as it is.
        activation: group name to the module that all points of the group share; it takes and gives the tensor, and has
            the attribute ``scale``, a tensor with one element.
        convolution: convolution name and a copy of the layer to the module in its place; it takes the tensor and the
            scale of its input's point.

    Returns:
        (N, 3, H, W) in [0, 1] -> probabilities. Nodes keep their names; a point's quantizer has that of
        :func:`quantizer_node`.
    """
    module = copy.deepcopy(graph.module)
    nodes = {node.name: node for node in module.graph.nodes}
    points = {point.name: point for point in graph.points}
    module.add_submodule(QUANTIZERS, nn.Module())
    paths: dict[str, str] = {}
    for group in graph.groups():
        paths[group] = quantizer_path(group)
        module.add_submodule(paths[group], activation(group))
    for layer in graph.convolutions:
        node = nodes[layer.node]
        conv = module.get_submodule(layer.module)
        assert isinstance(conv, nn.Conv2d)
        _replace(module, layer.module, convolution(layer.name, conv))
        with module.graph.inserting_before(node):
            # Not graph.get_attr, which warns where the scale is a property.
            scale = module.graph.create_node("get_attr", f"{paths[points[layer.input].group]}.scale")
        node.args = (node.args[0], scale)
    for point in graph.points:
        node = nodes[point.node]
        with module.graph.inserting_after(node):
            quantized = module.graph.call_module(paths[point.group])
        quantized.name = quantizer_node(point)
        node.replace_all_uses_with(quantized)
        quantized.args = (node,)
    module.graph.lint()
    module.recompile()
    return module


def quantizer_node(point: ActivationPoint) -> str:
    """The name of the node that quantizes a point in what :func:`insert_quantizers` gives."""
    return f"{point.node}_quantized"


def simulate(graph: QuantizationGraph, ranges: QuantRanges) -> fx.GraphModule:
    """The integer network of these ranges, in eval mode, without gradients.

    Cast it to float64 (``.double()``) to have sums as exact as the integer kernels' own.

    Raises:
        RangesError: the ranges do not fit the network.
    """
    graph.require(ranges)
    module = insert_quantizers(
        graph,
        activation=lambda group: FakeQuantize(ranges.activation(group)),
        convolution=lambda name, conv: QuantizedConv2d(conv, ranges.weight(name)),
    )
    return module.eval().requires_grad_(False)


def _replace(module: nn.Module, path: str, new: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, new)
