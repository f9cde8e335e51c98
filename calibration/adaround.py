"""AdaRound: whether each weight is rounded up or down, learned from what its layer computes.

Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization" (arXiv 2004.10568).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from edge_deeplab.quantization.affine import WEIGHT_MAX

# The stretch of the rectified sigmoid, equation 23 (from Louizos et al. 2018, arXiv 1712.01312).
_ZETA, _GAMMA = 1.1, -0.1


@dataclass(frozen=True)
class Rounding:
    """How the rounding is learned.

    The paper takes 10 000 steps. Two things make fewer do: the learning rate is higher, and the error of each output
    channel is measured in units of what rounding to nearest leaves, so that all layers and channels, whose errors
    differ by orders of magnitude, learn at one pace under one weight of the regularizer.

    Attributes:
        steps: of Adam, for each layer.
        batch: samples in each step.
        rate: Adam's learning rate.
        regularizer: its weight (lambda in equation 21), per output channel, on the mean over the channel's weights.
        free: the first part of the steps, which go without the regularizer.
        exponents: of the regularizer, from the broad one at first to the sharp one at last (beta in equation 24).
    """

    steps: int = 400
    batch: int = 512
    rate: float = 0.02
    regularizer: float = 0.3
    free: float = 0.2
    exponents: tuple[float, float] = (20.0, 2.0)


@dataclass(frozen=True)
class LayerSamples:
    """What a layer does at some positions, as matrix products, one for each group of channels.

    Attributes:
        inputs: float32, (groups, samples, in), in = input channels of a group times kernel area: what the layer reads
            in the quantized network.
        targets: float32, (groups, samples, out): what the float layer gives there from float inputs, rectified.
        bias: float32, (groups, 1, out).
        rectifier: of the layer; the identity where it has none.
    """

    inputs: Tensor
    targets: Tensor
    bias: Tensor
    rectifier: Callable[[Tensor], Tensor]

    def error(self, weight: Tensor, part: slice = slice(None)) -> Tensor:
        """Mean squared error of each output channel: (groups, out, in) -> (groups, out)."""
        found = self.rectifier(torch.baddbmm(self.bias, self.inputs[:, part], weight.transpose(1, 2)))
        return (found - self.targets[:, part]).square().mean(1)


def round_to_nearest(weight: Tensor, scales: Tensor) -> Tensor:
    """The integers of :func:`edge_deeplab.quantization.affine.quantize_weights`, as float32."""
    return torch.round(weight.double() / scales.double()).clamp(-WEIGHT_MAX, WEIGHT_MAX).float()


def round_adaptively(weight: Tensor, scales: Tensor, samples: LayerSamples, rounding: Rounding) -> Tensor:
    """Learn the integers of one layer (equations 21 to 25, asymmetric and with the rectifier: section 3.4).

    Args:
        weight: float32, (groups, out, in).
        scales: float32, (groups, out, 1).
        samples: of this layer, in random order: each step takes the next ones.
        rounding: how.

    Returns:
        float32 with integer values in [-127, 127], (groups, out, in): each the integer below or above w / s. An output
        channel in which that is no better on all samples than rounding to nearest is rounded to nearest; so is a layer
        with fewer samples than weights for each channel (image pooling), which would learn them by heart.
    """
    nearest = round_to_nearest(weight, scales)
    if samples.inputs.shape[1] < weight.shape[2]:
        return nearest
    floor = torch.floor(weight / scales)
    unit = samples.error(nearest * scales).clamp_min(1e-12)

    def integers(up: Tensor) -> Tensor:
        return (floor + up).clamp(-WEIGHT_MAX, WEIGHT_MAX)

    # The start is the float weight itself: h(V) = w / s - floor(w / s).
    v = torch.logit((weight / scales - floor - _GAMMA) / (_ZETA - _GAMMA)).requires_grad_(True)
    adam = torch.optim.Adam([v], rounding.rate)
    count = samples.inputs.shape[1]
    batch = min(rounding.batch, count)
    with torch.enable_grad():
        for step in range(rounding.steps):
            start = step * batch % (count - batch + 1)
            h = torch.clamp(torch.sigmoid(v) * (_ZETA - _GAMMA) + _GAMMA, 0, 1)
            loss = (samples.error(integers(h) * scales, slice(start, start + batch)) / unit).sum()
            exponent = _exponent(rounding, step)
            if exponent is not None:
                loss = loss + rounding.regularizer * (1 - (2 * h - 1).abs().pow(exponent)).mean(2).sum()
            adam.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            adam.step()
    learned = integers((v.detach() >= 0).float())
    better = samples.error(learned * scales) < unit
    return torch.where(better[:, :, None], learned, nearest)


def patches(given: Tensor, conv: torch.nn.Conv2d, positions: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """What a convolution reads at some positions of its output.

    Args:
        given: float32, (N, in channels, H, W).
        conv: the layer; its padding is zeros.
        positions: image, row and column of each sample, int64, (samples,) each.

    Returns:
        float32, (groups, samples, input channels of a group times kernel area), in the order of ``conv.weight``.
    """
    image, row, column = positions
    vertical, horizontal = (int(size) for size in conv.padding)
    padded = functional.pad(given, (horizontal, horizontal, vertical, vertical))
    read = [
        padded[image, :, row * conv.stride[0] + y * conv.dilation[0], column * conv.stride[1] + x * conv.dilation[1]]
        for y in range(conv.kernel_size[0])
        for x in range(conv.kernel_size[1])
    ]
    # samples, channels, kernel area -> groups, samples, channels of the group * area
    return torch.stack(read, 2).reshape(len(image), conv.groups, -1).transpose(0, 1).contiguous()


def _exponent(rounding: Rounding, step: int) -> float | None:
    """The regularizer's exponent at a step; None as long as it is left out."""
    passed = (step / rounding.steps - rounding.free) / (1 - rounding.free)
    if passed < 0:
        return None
    first, last = rounding.exponents
    return first + (last - first) * passed
