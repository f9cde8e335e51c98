"""Weights rounded layer by layer, each against the float network, on inputs that are quantized already."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from calibration.adaround import LayerSamples, Rounding, patches, round_adaptively
from calibration.collect import network_input
from edge_deeplab.quantization.affine import dequantize_weights
from edge_deeplab.quantization.graph import Convolution, QuantizationGraph
from edge_deeplab.quantization.ranges import QuantRanges, WeightRange
from edge_deeplab.quantization.simulate import FakeQuantize, QuantizedConv2d

_SAMPLES = 2048
_PIXELS = 32 * 256 * 256
"""Of all photos together: the widest tensor of each is held twice, 6 MB for each of 32 photos at 256x256."""


@torch.no_grad()
def reconstruct(
    graph: QuantizationGraph,
    ranges: QuantRanges,
    pixels: NDArray[np.uint8],
    rounding: Rounding,
    *,
    bias_correction: bool = True,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[QuantizationGraph, QuantRanges]:
    """Choose every weight's integer by AdaRound, in order of execution.

    The float and the integer network go through the same photos side by side, so each layer is rounded on inputs with
    all errors that the layers before it really make (Nagel et al. 2020, arXiv 2004.10568, section 3.4: asymmetric
    reconstruction), and takes back some of them. What then remains of them on average, over all pixels of all photos,
    goes into the layer's bias before the next layer is looked at (empirical bias correction: Nagel et al. 2021, arXiv
    2106.08295, section 3.3).

    Args:
        graph: the folded float network; left as it is.
        ranges: of its activations, and the scales of its weights; their bias shifts are replaced.
        pixels: uint8, (N, H, W, 3), at the network's size. Evenly spread ones are taken, 32 at 256x256, so that memory
            stays bounded (about 1.5 GB).
        rounding: how it is learned.
        bias_correction: see above.
        seed: of the sampled positions.
        progress: told the layers done, and of how many.

    Returns:
        The graph with weights that are integers times their scales, and ranges with the bias shifts that belong to it.
    """
    chosen = _spread(pixels, max(1, _PIXELS // (pixels.shape[1] * pixels.shape[2])))
    walk = _SideBySide(graph, ranges, _LayerRounder(rounding, bias_correction, seed), progress)
    walk.run(network_input(chosen))
    rounded = replace(graph, module=copy.deepcopy(graph.module))
    for layer in graph.convolutions:
        rounded.conv(layer).weight.copy_(walk.layers[layer.name].conv.weight)
    weights = {
        name: replace(weight, bias_shift=tuple(walk.layers[name].bias_shift.tolist()) if bias_correction else ())
        for name, weight in ranges.weights.items()
    }
    return rounded, replace(ranges, weights=weights)


@dataclass(frozen=True)
class _Both:
    """One tensor of the float network, and of the integer network."""

    exact: Tensor
    rounded: Tensor


class _SideBySide(fx.Interpreter):
    """Runs both networks node by node; the integer one gets each layer at the moment when it is needed."""

    def __init__(
        self,
        graph: QuantizationGraph,
        ranges: QuantRanges,
        rounder: _LayerRounder,
        progress: Callable[[int, int], None],
    ) -> None:
        super().__init__(graph.module)
        self._graph, self._ranges, self._rounder, self._progress = graph, ranges, rounder, progress
        self._convolutions = {layer.node: layer for layer in graph.convolutions}
        self._quantizers = {point.node: FakeQuantize(ranges.activation(point.name)) for point in graph.points}
        self.layers: dict[str, QuantizedConv2d] = {}

    def run_node(self, n: fx.Node) -> Any:
        if n.op in ("placeholder", "output"):
            value = super().run_node(n)
            return _Both(value, self._quantizers[n.name](value)) if n.op == "placeholder" else value
        exact = self._run(n, "exact")
        if not isinstance(exact, Tensor):
            return exact  # a shape
        rounded = self._convolve(n, exact) if n.name in self._convolutions else self._run(n, "rounded")
        if n.name in self._quantizers:
            rounded = self._quantizers[n.name](rounded)
        return _Both(exact, rounded)

    def _run(self, n: fx.Node, side: str) -> Any:
        args, kwargs = fx.node.map_aggregate(
            self.fetch_args_kwargs_from_env(n),
            lambda value: getattr(value, side) if isinstance(value, _Both) else value,
        )
        return getattr(self, n.op)(n.target, args, kwargs)

    def _convolve(self, n: fx.Node, exact: Tensor) -> Tensor:
        layer = self._convolutions[n.name]
        given: Tensor = self.env[n.all_input_nodes[0]].rounded
        scale = torch.tensor(self._ranges.activation(layer.input).affine.scale)
        self.layers[layer.name], rounded = self._rounder(
            self._graph, layer, self._ranges.weight(layer.name), given, scale, exact
        )
        self._progress(len(self.layers), len(self._convolutions))
        return rounded


class _LayerRounder:
    """Rounds one layer after the other; the sampled positions come from one stream of random numbers."""

    def __init__(self, rounding: Rounding, bias_correction: bool, seed: int) -> None:
        self._rounding, self._bias_correction = rounding, bias_correction
        self._random = torch.Generator().manual_seed(seed)

    def __call__(
        self,
        graph: QuantizationGraph,
        layer: Convolution,
        scales: WeightRange,
        given: Tensor,
        input_scale: Tensor,
        exact: Tensor,
    ) -> tuple[QuantizedConv2d, Tensor]:
        """The integer layer for what it is given, and what it then gives; ``exact`` is what it should give."""
        conv = copy.deepcopy(graph.conv(layer))
        assert conv.bias is not None
        rectifier = graph.rectifier(layer)
        image, row, column = positions = _positions(exact.shape, self._random)
        samples = LayerSamples(
            inputs=patches(given, conv, positions),
            targets=_grouped(rectifier(exact[image, :, row, column]), conv.groups),
            bias=conv.bias.view(conv.groups, 1, -1),
            rectifier=rectifier,
        )
        weight = conv.weight.view(conv.groups, conv.out_channels // conv.groups, -1)
        steps = torch.from_numpy(scales.array()).view(conv.groups, -1, 1)
        integers = round_adaptively(weight, steps, samples, self._rounding).view_as(conv.weight)
        conv.weight.copy_(
            torch.from_numpy(dequantize_weights(integers.numpy().astype(np.int8), scales.array(), axis=0))
        )
        quantized = QuantizedConv2d(conv, replace(scales, bias_shift=()))
        rounded: Tensor = quantized(given, input_scale)
        if self._bias_correction:
            quantized.bias_shift += (exact.double() - rounded.double()).mean((0, 2, 3)).float()
            rounded = quantized(given, input_scale)
        return quantized, rounded


def _spread(pixels: NDArray[np.uint8], most: int) -> NDArray[np.uint8]:
    count = min(most, len(pixels))
    return pixels[[index * len(pixels) // count for index in range(count)]]


def _positions(shape: torch.Size, random: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Image, row and column of samples of an (N, C, H, W) tensor, as many of each image, in random order."""
    images, _, rows, columns = shape
    each = min(_SAMPLES // images, rows * columns)
    places = torch.stack([torch.randperm(rows * columns, generator=random)[:each] for _ in range(images)]).flatten()
    order = torch.randperm(len(places), generator=random)
    image, place = torch.arange(images).repeat_interleave(each)[order], places[order]
    return image, place // columns, place % columns


def _grouped(values: Tensor, groups: int) -> Tensor:
    """(samples, channels) -> (groups, samples, channels of the group)."""
    return values.view(len(values), groups, -1).transpose(0, 1).contiguous()
