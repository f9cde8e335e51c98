"""Quantization-aware training: the deployed integer network, with everything in it learnable.

The same graph as :func:`edge_deeplab.quantization.simulate.simulate` plays, with other modules in it: the activation
scales are parameters, and each convolution keeps the weights and the BatchNorm of its checkpoint and folds them in
every forward pass. In eval mode it computes what the file will, so that what is validated is what is shipped;
:meth:`TrainableNetwork.ranges` reads out the numbers that the file gets.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from edge_deeplab.errors import RangesError
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.quantization.affine import (
    INT8_MAX,
    INT8_MIN,
    Affine,
    symmetric_scales,
    widen_for_bias,
)
from edge_deeplab.quantization.fold import folded
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.ranges import ActivationRange, QuantRanges, WeightRange
from edge_deeplab.quantization.simulate import FakeQuantize, insert_quantizers, integer_convolution, quantizer_path

ORIGIN = "learned: quantization-aware training"

# A channel whose folded factor is smaller than this is switched off: its statistics cannot be told from its output.
_SWITCHED_OFF = 1e-6


class LearnedQuantize(nn.Module):
    """Round to an int8 grid whose scale is learned: float -> float32, the same shape.

    The gradient of the scale is that of LSQ (Esser et al. 2020, arXiv 1902.08153, section 2.1), divided by
    sqrt(elements * levels) as there (section 2.2). What is learned is the scale's logarithm, so that it stays positive
    and a step means the same for small and large scales (TQT: Jain et al. 2020, arXiv 1903.08066, section 3.4). The
    zero point stays: zero must remain exact, and a range grows or shrinks about it.

    Attributes:
        log_scale: parameter, 0-dimensional: the natural logarithm of the scale.
        zero_point: buffer, 0-dimensional float32 with an integer in it.
    """

    zero_point: Tensor

    def __init__(self, affine: Affine) -> None:
        super().__init__()
        self.log_scale = nn.Parameter(torch.tensor(math.log(affine.scale), dtype=torch.float32))
        self.register_buffer("zero_point", torch.tensor(float(affine.zero_point)))

    @property
    def scale(self) -> Tensor:
        """0-dimensional float32, with the gradient of ``log_scale``."""
        return self.log_scale.exp()

    def affine(self, name: str) -> Affine:
        """The numbers that go into the file. Raises: RangesError: training diverged, at the point ``name``."""
        scale = float(self.scale.detach())
        if not (math.isfinite(scale) and scale > 0):
            raise RangesError(f"the learned scale of {name} is {scale}: training diverged, try a lower rate")
        return Affine(scale, int(self.zero_point))

    def forward(self, x: Tensor) -> Tensor:
        quantized: Tensor = _LearnedStepSize.apply(x.float(), self.scale, self.zero_point)
        return quantized


class _LearnedStepSize(torch.autograd.Function):
    """Fake-quantize, with LSQ's gradient of the scale in two inner products.

    Inside the range the output changes with the scale by (x_q - x) / s, outside by x_q / s (Esser et al. 2020, equation
    3). With the gradient of x, which is that of the output inside and zero outside, the sum over all elements is
    (<dy, x_q> - <dx, x>) / s. PyTorch's own operator writes two tensors of the activation's size for it.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero_point: Tensor) -> Tensor:
        quantized, inside = torch.ops.aten.fake_quantize_per_tensor_affine_cachemask(
            x, float(scale), int(zero_point), INT8_MIN, INT8_MAX
        )
        ctx.save_for_backward(x, quantized, inside, scale)
        result: Tensor = quantized
        return result

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        x, quantized, inside, scale = ctx.saved_tensors
        passed = torch.where(inside, gradient, 0.0)
        slope = (_inner(gradient, quantized) - _inner(passed, x)) / scale
        # LSQ's gradient scale, with the elements of one image (section 2.2).
        share = 1.0 / math.sqrt(x[0].numel() * (INT8_MAX - INT8_MIN))
        return passed, slope * share, None


def _inner(a: Tensor, b: Tensor) -> Tensor:  # (N, C, H, W) twice
    if a.is_contiguous() and b.is_contiguous():
        return torch.dot(a.reshape(-1), b.reshape(-1))
    # Channels last, as activations lie in training: nothing is copied, and no product is written.
    return torch.dot(a.permute(0, 2, 3, 1).reshape(-1), b.permute(0, 2, 3, 1).reshape(-1))


class TrainableConv2d(nn.Module):
    """A convolution with its BatchNorm, folded and rounded in every forward pass.

    With living statistics (``live``, and only in training) the weights are folded with the running statistics, as they
    are deployed, and rounded; then the batch's own statistics normalize (Krishnamoorthi 2018, arXiv 1806.08342, section
    3.2.2). Normalizing does not see a factor on its input, so that the division by the folded factor in that paper is
    not needed. Otherwise everything is as in the file: folded bias and its rounding included.

    Attributes:
        conv: float weights, without bias where there is a BatchNorm.
        bn: the BatchNorm, or None (the classifier).
        live: whether training uses and updates the batch's statistics.
    """

    def __init__(self, conv: nn.Conv2d, bn: nn.BatchNorm2d | None) -> None:
        super().__init__()
        self.conv, self.bn = conv, bn
        self.live = bn is not None

    def forward(self, x: Tensor, input_scale: Tensor) -> Tensor:  # (N, in, H, W), () -> (N, out, H', W')
        weight, bias = self.folded()
        scales = self._scales(weight, bias, float(input_scale.detach()))
        if self.live and self.training:
            assert self.bn is not None
            return _normalized(integer_convolution(x, self.conv, weight, None, scales, input_scale), self.bn)
        return integer_convolution(x, self.conv, weight, bias, scales, input_scale)

    def folded(self) -> tuple[Tensor, Tensor]:
        """Weight and bias, float32, as :func:`edge_deeplab.quantization.fold.fold_batchnorm` gives them."""
        if self.bn is None:
            assert self.conv.bias is not None
            return self.conv.weight, self.conv.bias
        weight, bias = folded(self.conv, self.bn)
        return weight.float(), bias.float()

    def weight_range(self, input_scale: float) -> WeightRange:
        """The numbers that go into the file."""
        with torch.no_grad():
            scales = self._scales(*self.folded(), input_scale)
        return WeightRange(tuple(float(scale) for scale in scales), 0)

    def _scales(self, weight: Tensor, bias: Tensor, input_scale: float) -> Tensor:
        # They follow the weights, max|w| / 127: the same function, in numpy, that calibration takes.
        largest = symmetric_scales(weight.detach().cpu().numpy(), 0)
        scales = widen_for_bias(largest, bias.detach().cpu().numpy(), input_scale)
        return torch.from_numpy(scales).to(weight.device)


def _normalized(x: Tensor, bn: nn.BatchNorm2d) -> Tensor:
    """BatchNorm over the batch, of a tensor that was computed with weights folded by the running statistics."""
    assert bn.running_mean is not None
    assert bn.running_var is not None
    assert bn.num_batches_tracked is not None
    mean, variance = torch.zeros_like(bn.running_mean), torch.zeros_like(bn.running_var)
    # The folded factor carries the sign of the scale already. Momentum 1 hands over the batch's own statistics.
    normalized = functional.batch_norm(x, mean, variance, bn.weight.abs(), bn.bias, True, 1.0, bn.eps)
    with torch.no_grad():
        factor = bn.weight / torch.sqrt(bn.running_var + bn.eps)
        seen = factor.abs() > _SWITCHED_OFF
        factor = torch.where(seen, factor, torch.ones_like(factor))
        share = bn.momentum or 0.0
        bn.running_mean.lerp_(torch.where(seen, mean / factor, bn.running_mean), share)
        bn.running_var.lerp_(torch.where(seen, variance / factor.square(), bn.running_var), share)
        bn.num_batches_tracked.add_(1)
    return normalized


class TrainableNetwork(nn.Module):
    """A network in quantization-aware training: (N, 3, H, W) in [0, 1] -> logits on their grid, (N, classes, H, W).

    Args:
        network: the float network to start from; left as it is.
        graph: of the same network.
        ranges: where the activation scales start, from calibration.

    Raises:
        RangesError: the ranges do not fit the network.
    """

    def __init__(self, network: DeepLab, graph: QuantizationGraph, ranges: QuantRanges) -> None:
        super().__init__()
        graph.require(ranges)
        self._graph = graph
        fixed = {point.group for point in graph.points if point.fixed is not None}

        def activation(group: str) -> nn.Module:
            given = ranges.activation(group)
            return FakeQuantize(given) if group in fixed else LearnedQuantize(given.affine)

        def convolution(name: str, _: nn.Conv2d) -> nn.Module:
            layer = copy.deepcopy(network.get_submodule(name))
            if isinstance(layer, ConvBNAct):
                return TrainableConv2d(layer.conv, layer.bn)
            assert isinstance(layer, nn.Conv2d)
            return TrainableConv2d(layer, None)

        self.body = _up_to_logits(insert_quantizers(graph, activation, convolution))

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.body(image)
        return logits

    def live_batchnorm(self, live: bool) -> None:
        """Whether training normalizes by each batch's own statistics, or by the running ones as the file does."""
        for layer in self._layers().values():
            layer.live = live and layer.bn is not None

    def backbone_parameters(self) -> Iterator[nn.Parameter]:
        """The weights and BatchNorms of the backbone."""
        for name, layer in self._layers().items():
            if name.startswith("backbone."):
                yield from layer.parameters()

    def scale_parameters(self) -> Iterator[nn.Parameter]:
        """The logarithms of the activation scales."""
        for module in self.body.modules():
            if isinstance(module, LearnedQuantize):
                yield module.log_scale

    def state_of_network(self) -> dict[str, Tensor]:
        """The state dict of the DeepLab network that was started from, with the weights as they are now."""
        state: dict[str, Tensor] = {}
        for name, layer in self._layers().items():
            prefixes = {name: layer.conv} if layer.bn is None else {f"{name}.conv": layer.conv, f"{name}.bn": layer.bn}
            for prefix, module in prefixes.items():
                state |= {f"{prefix}.{key}": value for key, value in module.state_dict().items()}
        return state

    def ranges(self, checkpoint_sha256: str) -> QuantRanges:
        """The numbers that the file gets.

        Args:
            checkpoint_sha256: hash of the checkpoint that will hold the network.

        Raises:
            RangesError: training diverged: a number is not finite.
        """
        activations = {}
        for point in self._graph.points:
            origin = ORIGIN
            if point.fixed is None:
                quantizer = self.body.get_submodule(quantizer_path(point.group))
                assert isinstance(quantizer, LearnedQuantize)
                affine = quantizer.affine(point.name)
            else:
                affine, origin = point.fixed, "fixed"
            activations[point.name] = ActivationRange(affine, affine.low, affine.high, origin)
        layers = self._layers()
        return QuantRanges(
            checkpoint_sha256=checkpoint_sha256,
            activations=activations,
            weights={
                convolution.name: layers[convolution.name].weight_range(activations[convolution.input].affine.scale)
                for convolution in self._graph.convolutions
            },
        )

    def _layers(self) -> dict[str, TrainableConv2d]:
        layers = {}
        for convolution in self._graph.convolutions:
            layer = self.body.get_submodule(convolution.module)
            assert isinstance(layer, TrainableConv2d)
            layers[convolution.name] = layer
        return layers


def _up_to_logits(module: fx.GraphModule) -> fx.GraphModule:
    """Leave out the last activation and what rounds it: losses want logits."""
    (end,) = module.graph.find_nodes(op="output")
    probability = end.args[0].args[0]  # the quantizer's input
    end.args = (probability.args[0],)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.graph.lint()
    module.recompile()
    return module
