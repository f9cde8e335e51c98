"""The few layers that, left in more than 8 bits, win back most of what int8 loses.

A layer that is *left in float* has exact weights and hands its sums on unrounded, as do all tensors that must share its
range: resizing and concatenation give one type, too. *In int16* its weights stay int8 and its tensors get 16 bits,
symmetric over what calibration saw, as TFLite's 16x8 kernels have them. In both cases the kernels that read the tensor
must take the wide one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx, nn

from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.ranges import ActivationRange, QuantRanges
from edge_deeplab.quantization.sensitivity import Effect, Progress, Sensitivity, to_tensor
from edge_deeplab.quantization.simulate import FakeQuantize, QuantizedConv2d, insert_quantizers

_SHORTLIST, _STEPS = 6, 4
_INT16_MAX = 32767
_MORE_BYTES = 3  # of a weight: float32 instead of int8


@dataclass(frozen=True)
class MixedStep:
    """One more layer is widened, in addition to those of the steps before.

    Attributes:
        layer: the name of its activation point.
        more_bytes: by how much the weights of all layers so far grow if they are float32 instead of int8.
        in_float: the probabilities if all layers so far are left in float.
        in_int16: the probabilities if their tensors have 16 bits and their weights 8.
    """

    layer: str
    more_bytes: int
    in_float: Effect
    in_int16: Effect


@dataclass(frozen=True)
class MixedPrecision:
    """The mixed-precision answer.

    Attributes:
        int8: the probabilities with every layer in int8.
        steps: one more layer each; none where no layer wins anything.
    """

    int8: Effect
    steps: tuple[MixedStep, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def choose_mixed_precision(
    graph: QuantizationGraph,
    ranges: QuantRanges,
    pixels: NDArray[np.uint8],
    sensitivity: Sensitivity,
    *,
    progress: Progress = lambda done, count: None,
) -> MixedPrecision:
    """Leave layers in float greedily: in every step the one that, with those before, leaves the least mean error.

    Tried are the six layers that do the most harm alone, in at most four steps: at most 22 runs of the integer network
    for each photo.

    Args:
        graph: the float network.
        ranges: its ranges.
        pixels: RGB, uint8, (N, H, W, 3), at the network's size; N at least 1.
        sensitivity: of the same network and ranges.
        progress: told after each variant of the network.

    Raises:
        RangesError: the ranges do not fit the network.
    """
    graph.require(ranges)
    candidates = [layer.layer for layer in sensitivity.worst(_SHORTLIST)]
    steps_at_most = min(_STEPS, len(candidates))
    runs = sum(len(candidates) - step + 1 for step in range(steps_at_most))
    done = 0
    expected = _probabilities(graph.module, pixels)

    def judged(module: fx.GraphModule) -> Effect:
        nonlocal done
        found = _probabilities(module, pixels)
        done += 1
        progress(done, runs)
        return Effect.mean([Effect.between(one, other) for one, other in zip(expected, found, strict=True)])

    best, chosen, steps = sensitivity.whole, list[str](), list[MixedStep]()
    for _ in range(steps_at_most):
        tried = {name: judged(left_in_float(graph, ranges, [*chosen, name])) for name in candidates}
        name = min(tried, key=lambda candidate: tried[candidate].mean_error)
        if tried[name].mean_error >= best.mean_error:
            break
        best = tried[name]
        chosen.append(name)
        candidates.remove(name)
        steps.append(
            MixedStep(name, _more_bytes(graph, chosen), best, judged(with_int16_tensors(graph, ranges, chosen)))
        )
    return MixedPrecision(sensitivity.whole, tuple(steps))


def left_in_float(graph: QuantizationGraph, ranges: QuantRanges, layers: Collection[str]) -> fx.GraphModule:
    """The simulated network with some layers left in float.

    Args:
        graph: the float network.
        ranges: its ranges.
        layers: names of activation points.
    """
    return _mixed(
        graph,
        layers,
        wide=lambda group: _Unrounded(ranges.activation(group)),
        narrow=lambda group: FakeQuantize(ranges.activation(group)),
        convolution=lambda name, conv: (
            _ExactConv2d(conv) if name in layers else QuantizedConv2d(conv, ranges.weight(name))
        ),
    )


def with_int16_tensors(graph: QuantizationGraph, ranges: QuantRanges, layers: Collection[str]) -> fx.GraphModule:
    """The simulated network with 16 bits in what some layers write; every weight stays int8.

    Args:
        graph: the float network.
        ranges: its ranges.
        layers: names of activation points.
    """
    return _mixed(
        graph,
        layers,
        wide=lambda group: _Int16(ranges.activation(group)),
        narrow=lambda group: FakeQuantize(ranges.activation(group)),
        convolution=lambda name, conv: QuantizedConv2d(conv, ranges.weight(name)),
    )


def _mixed(
    graph: QuantizationGraph,
    layers: Collection[str],
    *,
    wide: Callable[[str], nn.Module],
    narrow: Callable[[str], nn.Module],
    convolution: Callable[[str, nn.Conv2d], nn.Module],
) -> fx.GraphModule:
    widened = {point.group for point in graph.points if point.name in layers}
    module = insert_quantizers(
        graph, lambda group: wide(group) if group in widened else narrow(group), convolution=convolution
    )
    return module.eval().requires_grad_(False)


class _Unrounded(nn.Module):
    """In the place of a quantizer: hands the tensor on. The reader's bias keeps the grid that the int8 scale gives."""

    scale: Tensor

    def __init__(self, activation: ActivationRange) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor(activation.affine.scale))

    def forward(self, x: Tensor) -> Tensor:
        return x


class _Int16(nn.Module):
    """Rounds to 16 bits with the zero point 0, over the largest value that calibration saw."""

    scale: Tensor

    def __init__(self, activation: ActivationRange) -> None:
        super().__init__()
        largest = max(abs(activation.low), abs(activation.high))
        self.register_buffer("scale", torch.tensor(largest / _INT16_MAX))

    def forward(self, x: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(x, float(self.scale), 0, -_INT16_MAX - 1, _INT16_MAX)


class _ExactConv2d(nn.Module):
    """In the place of a quantized convolution: the float one."""

    def __init__(self, conv: nn.Conv2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor, input_scale: Tensor) -> Tensor:  # the scale: (), which only a bias of integers needs
        return self.conv(x)  # type: ignore[no-any-return]


def _more_bytes(graph: QuantizationGraph, layers: Collection[str]) -> int:
    convolutions = [graph.conv(one) for one in graph.convolutions if one.output in layers]
    return sum(_MORE_BYTES * convolution.weight.numel() for convolution in convolutions)


@torch.no_grad()
def _probabilities(module: fx.GraphModule, pixels: NDArray[np.uint8]) -> Sequence[Tensor]:
    return [module(to_tensor(picture)) for picture in pixels]
