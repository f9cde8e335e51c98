"""Which of its two neighbours in float16 each weight becomes: the one that leaves the layer's output nearest.

Rounded to the nearest, each weight errs on its own, and what all of them add to the output is a matter of luck: behind
inputs that go up and down together, errors add up. Chosen together, they cancel over the inputs that the layer really
sees, and cancel the error of the bias, which is rounded, too. That the nearest is not the best, and that a layer's
inputs say what is, is from Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization" (arXiv
2004.10568, section 3). There it is learned on photos; here each weight is turned over while that helps, by the second
moments of the inputs over made pictures.

On 202 photos of the training split, the greatest error of the shipped model's probability was 0.015 with nearest
weights, 0.014 with depthwise filters that kept their sums, and is 0.007 so.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from converters.check import made_pictures
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.spec import ModelSpec

Moments = NDArray[np.float64]
"""E[x x'], x the inputs of one output and, last, the 1 of the bias: float64, (groups, inputs + 1, inputs + 1)."""

# Few positions do not show how many inputs go together: what they show of it counts less, by up to this.
_MOST_SHRINKAGE = 0.1
_SWEEPS = 3  # between two of them the bias follows the weights
_MOST_TRIED = 9  # inputs: 3x3 depthwise
_GROUPS_AT_ONCE = 16  # of depthwise inputs, taken apart into nine each
# Outputs times inputs squared, which the time grows with; MobileNetV2's largest layer, its last projection, has 2.9e8.
# Beyond, each weight goes to the nearest.
_MOST_WORK = 3e8


def input_moments(graph: QuantizationGraph, spec: ModelSpec) -> Mapping[str, Moments]:
    """Convolution name to the moments of its inputs over made pictures; without those that are too large for it.

    In float64, so that the order of summation, which depends on the processor, decides nothing but ties.
    """
    network = copy.deepcopy(graph.module).double()
    sums: dict[str, Tensor] = {}
    counts: dict[str, int] = {}
    for layer in graph.convolutions:
        conv = network.get_submodule(layer.module)
        assert isinstance(conv, nn.Conv2d)
        inputs = conv.weight[0].numel()
        if len(conv.weight) * inputs**2 > _MOST_WORK:
            continue

        def keep(module: nn.Module, given: Any, name: str = layer.name) -> None:
            assert isinstance(module, nn.Conv2d)
            total, count = second_moments(module, given[0])
            sums[name] = sums[name] + total if name in sums else total
            counts[name] = counts.get(name, 0) + count

        conv.register_forward_pre_hook(keep)
    with torch.no_grad():
        for picture in made_pictures(spec.height, spec.width):  # one by one: large inputs are large taken apart
            network(torch.from_numpy(picture.astype(np.float64) / 255).permute(2, 0, 1)[None])
    return {name: _shrunk((total / counts[name]).numpy(), counts[name]) for name, total in sums.items()}


def second_moments(conv: nn.Conv2d, x: Tensor) -> tuple[Tensor, int]:
    """The sum of x x' over all positions, (groups, inputs + 1, inputs + 1), and their number."""
    found, positions = [], 0
    share = x.shape[1] // conv.groups
    assert not isinstance(conv.padding, str)
    for first in range(0, conv.groups, _GROUPS_AT_ONCE):
        groups = min(_GROUPS_AT_ONCE, conv.groups - first)
        part = functional.unfold(
            x[:, first * share : (first + groups) * share], conv.kernel_size, conv.dilation, conv.padding, conv.stride
        )
        positions = part.shape[-1] * len(part)
        rows = part.reshape(len(part), groups, -1, part.shape[-1]).permute(1, 2, 0, 3).reshape(groups, -1, positions)
        rows = torch.cat([rows, torch.ones(groups, 1, positions, dtype=rows.dtype)], 1)
        found.append(rows @ rows.transpose(1, 2))
    return torch.cat(found), positions


def _shrunk(moments: Moments, positions: int) -> Moments:
    """With the covariances of different inputs nearer to 0, the fewer positions there are for so many inputs."""
    means = moments[:, -1]
    outer = means[:, :, None] * means[:, None, :]
    shrinkage = min(_MOST_SHRINKAGE, moments.shape[1] / positions)
    kept = np.where(np.eye(moments.shape[1], dtype=bool), 1.0, 1.0 - shrinkage)
    shrunk: Moments = outer + kept * (moments - outer)
    return shrunk


def neighbours(weights: NDArray[np.floating[Any]]) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """The float16 nearest to each weight, and the one on its other side; the nearest again where there is none."""
    exact = np.asarray(weights, np.float64)
    nearest = exact.astype(np.float16)
    towards = np.where(nearest.astype(np.float64) < exact, np.float16(np.inf), np.float16(-np.inf)).astype(np.float16)
    with np.errstate(over="ignore"):  # infinity, which is taken out again
        other = np.nextafter(nearest, towards)
    usable = (nearest.astype(np.float64) != exact) & np.isfinite(other)
    return nearest, np.where(usable, other, nearest)


def halves(conv: nn.Conv2d, moments: Moments | None, means: NDArray[np.float64]) -> NDArray[np.float16]:
    """A layer's weights in float16, rounded such that its output stays what it was, as near as may be.

    Args:
        conv: a convolution whose weights float16 can hold: see :func:`converters.coreml_weights.require_float16`. Its
            bias is stored corrected (:func:`converters.coreml_weights.corrected_bias`), in float16, too.
        moments: of its inputs; None rounds each weight to its nearest.
        means: of its input channels, (in channels,).

    Returns:
        OIHW; each weight is one of its two :func:`neighbours`.
    """
    weights, bias = conv.weight.detach().numpy().astype(np.float64), conv.bias
    assert bias is not None
    nearest, other = neighbours(weights)
    if moments is None:
        return nearest
    shape = (len(weights), -1)
    exact, sides = weights.reshape(shape), np.stack([nearest.reshape(shape), other.reshape(shape)])
    layer = _Layer(
        errors=sides - exact,
        bias=bias.detach().numpy().astype(np.float64),
        moments=moments,
        means=np.repeat(means.reshape(conv.groups, -1), conv.weight[0, 0].numel(), axis=1),
        group=np.arange(len(exact)) // (len(exact) // conv.groups),
    )
    turned = layer.all_tried() if exact.shape[1] <= _MOST_TRIED else layer.one_by_one()
    return np.where(turned, sides[1], sides[0]).reshape(weights.shape)


@dataclass(frozen=True)
class _Layer:
    """What a choice for each weight of a layer costs.

    Attributes:
        errors: of the nearest and of the other side of each weight, (2, filters, inputs).
        bias: exact, (filters,).
        moments: of the inputs.
        means: of the inputs, (groups, inputs).
        group: of each filter.
    """

    errors: NDArray[np.float64]
    bias: NDArray[np.float64]
    moments: Moments
    means: NDArray[np.float64]
    group: NDArray[np.intp]

    def all_tried(self) -> NDArray[np.bool_]:
        """The best of all choices, for filters of few inputs: where these are nearly equal, no single turn is of use.

        Returns:
            Which weights take their other side, (filters, inputs).
        """
        inputs = self.errors.shape[2]
        choices = (np.arange(2**inputs)[:, None] >> np.arange(inputs)) % 2 == 1
        found = np.empty(self.errors.shape[1:], bool)
        for index, (nearest, other) in enumerate(zip(*self.errors, strict=True)):
            tried, group = np.where(choices, other, nearest), self.group[index]
            tried = np.column_stack([tried, _bias_error(self.bias[index], tried @ self.means[group])])
            found[index] = choices[((tried @ self.moments[group]) * tried).sum(1).argmin()]
        return found

    def one_by_one(self) -> NDArray[np.bool_]:
        """Weights turned over, each time the one of a filter that helps most. Returns: as :meth:`all_tried`."""
        error, step = self.errors[0].copy(), self.errors[1] - self.errors[0]
        turned, filters = np.zeros(error.shape, bool), np.arange(len(error))
        diagonal = self.moments.diagonal(axis1=1, axis2=2)[self.group, :-1]
        for _ in range(_SWEEPS):
            of_bias = _bias_error(self.bias, (error * self.means[self.group]).sum(1))
            whole = np.column_stack([error, of_bias]).reshape(len(self.moments), -1, error.shape[1] + 1)
            slope = (whole @ self.moments).reshape(len(error), -1)[:, :-1]
            for _ in range(error.shape[1]):
                change = step * (2.0 * slope + step * diagonal)
                best = change.argmin(1)
                rows = filters[change[filters, best] < 0.0]
                if not len(rows):
                    break
                places = best[rows]
                slope[rows] += step[rows, places, None] * self.moments[self.group[rows], places, :-1]
                error[rows, places] += step[rows, places]
                step[rows, places] *= -1.0
                turned[rows, places] ^= True
        return turned


def _bias_error(bias: NDArray[np.float64], added: NDArray[np.float64]) -> NDArray[np.float64]:
    """What the stored bias is off by, that gives back what the weights add on average."""
    return (bias - added).astype(np.float32).astype(np.float16).astype(np.float64) - bias
