"""What a package stores of a convolution: plain weights, integers with scales, or indices into a table; and its bias.

Stored weights differ from the network's, by little, but in a direction: what they add on average is taken back in the
bias (Nagel et al. 2019, arXiv 1906.04721, section 4.2). The mean inputs for that are seen on made pictures, so that no
photos are needed. In the shipped model it is what makes palettes usable: with tables of 16 values for convolutions from
1.5 % of the weights on, the mean error of the probability on photos fell from 0.04 to 0.006. In float16 the greatest
error on the worst photo fell from 0.040 to 0.008: a filter of the first block sums to nothing over a channel that is
nearly constant, and its rounded nine weights do not.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from converters.check import made_pictures
from converters.coreml_recipe import Recipe
from converters.palette import Palette, palettize
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.affine import dequantize_bias, dequantize_weights, quantize_weights, symmetric_scales
from edge_deeplab.quantization.bias_correction import mean_loss
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.integers import layer_integers
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.spec import ModelSpec, Precision


class Storage(StrEnum):
    """FLOAT: as they are, in the program's precision. INT8: integers with a scale for each output channel, symmetric.
    PALETTE6, PALETTE4: indices of 6 or 4 bits into one table.
    """

    FLOAT = "float"
    INT8 = "int8"
    PALETTE6 = "6-bit palette"
    PALETTE4 = "4-bit palette"

    @property
    def bits(self) -> int | None:
        """Of an index into a table; None where there is none."""
        return {Storage.PALETTE6: 6, Storage.PALETTE4: 4}.get(self)

    @property
    def operator(self) -> str:
        """The operator of the program that gives the weights."""
        return {
            Storage.FLOAT: "const",
            Storage.INT8: "constexpr_affine_dequantize",
            Storage.PALETTE6: "constexpr_lut_to_dense",
            Storage.PALETTE4: "constexpr_lut_to_dense",
        }[self]


# Share of the network's weights in the smallest convolution that bears it. Tried on the shipped model and the bundled
# photos: half of these saves 0.05 and 0.2 MB, and the mean error of the probability grows from 0.0048 to 0.0079 and
# from 0.010 to 0.021.
_LEAST = {Storage.PALETTE6: 0.015, Storage.PALETTE4: 0.06}
# The same of the largest. Of the six convolutions that would have 16 values, the backbone's last, twice as large as any
# other, does most harm: with 64 for it, the mean error of the shipped model's float parent on 45 photos of the training
# split falls from 0.0025 to 0.0021.
_MOST = {Storage.PALETTE6: 1.0, Storage.PALETTE4: 0.12}


def storages(graph: QuantizationGraph, recipe: Recipe) -> Mapping[str, Storage]:
    """How a package stores the weights of each convolution, by its name.

    A table serves all channels of a tensor alike. Depthwise filters differ too much between channels for that (in the
    shipped model, tables of 64 values for them take the IoU against float from 0.987 to 0.83), and the small
    convolutions of the first blocks pass their errors on to all later layers; both weigh little, and are int8.
    """
    palettes: tuple[Storage, ...]
    match recipe.precision:
        case Precision.INT8 | Precision.W8A8:
            palettes = ()
        case Precision.PALETTIZED6:
            palettes = (Storage.PALETTE6,)
        case Precision.PALETTIZED4:
            palettes = (Storage.PALETTE4, Storage.PALETTE6)
        case _:
            return {layer.name: Storage.FLOAT for layer in graph.convolutions}
    convs = {layer.name: graph.conv(layer) for layer in graph.convolutions}
    weights = sum(conv.weight.numel() for conv in convs.values())
    return {name: _bearable(conv, conv.weight.numel() / weights, palettes) for name, conv in convs.items()}


def _bearable(conv: nn.Conv2d, share: float, palettes: tuple[Storage, ...]) -> Storage:
    """The first of the palettes that a layer bears; int8 for one that bears none."""
    if conv.groups > 1:
        return Storage.INT8
    return next((palette for palette in palettes if _LEAST[palette] <= share <= _MOST[palette]), Storage.INT8)


@dataclass(frozen=True)
class Integers:
    """int8 weights, OIHW, and one scale for each output channel, float32 or float16."""

    values: NDArray[np.int8]
    scales: NDArray[np.floating[Any]]

    def weights(self) -> NDArray[np.floating[Any]]:
        """What they stand for, in the type of the scales."""
        return dequantize_weights(self.values, self.scales.astype(np.float32), 0).astype(self.scales.dtype)


@dataclass(frozen=True)
class StoredLayer:
    """What is stored in place of a layer.

    Attributes:
        weights: integers or a palette.
        bias: float32, (out channels,).
    """

    weights: Integers | Palette
    bias: NDArray[np.float32]


def stored_layers(
    graph: QuantizationGraph, spec: ModelSpec, recipe: Recipe, ranges: QuantRanges | None
) -> tuple[StoredLayer, ...]:
    """The stored form of each convolution, in order of execution; empty where weights stay as they are.

    Args:
        graph: the float network.
        spec: its sizes.
        recipe: which form.
        ranges: for W8A8, whose integers and biases are theirs.

    Raises:
        RangesError: a bias does not fit into int32.
    """
    layers = graph.convolutions
    if recipe.precision is Precision.W8A8:
        assert ranges is not None
        stored = []
        for layer in layers:
            values, scales, bias, steps = layer_integers(graph, ranges, layer)
            stored.append(StoredLayer(Integers(values, scales), dequantize_bias(bias, steps)))
        return tuple(stored)
    forms = storages(graph, recipe)
    if Storage.FLOAT in forms.values():
        return ()
    means = input_means(graph, spec)
    return tuple(_compressed(graph.conv(layer), forms[layer.name], means[layer.name]) for layer in layers)


def _compressed(conv: nn.Conv2d, form: Storage, means: NDArray[np.float64]) -> StoredLayer:
    weights = conv.weight.detach().numpy().astype(np.float16)
    stored: Integers | Palette
    if form.bits is not None:
        stored = palettize(weights, form.bits)
    else:
        # Never 0, which would be a channel without a grid.
        scales = np.maximum(symmetric_scales(weights, 0).astype(np.float16), np.finfo(np.float16).smallest_subnormal)
        stored = Integers(quantize_weights(weights, scales.astype(np.float32), 0), scales)
    return StoredLayer(stored, corrected_bias(conv, stored.weights(), means))


def corrected_bias(
    conv: nn.Conv2d, stored: NDArray[np.floating[Any]], means: NDArray[np.float64]
) -> NDArray[np.float32]:
    """A layer's bias, with what stored weights take off on average given back.

    Args:
        conv: the layer.
        stored: the weights in its place, OIHW.
        means: of its input channels, (in channels,).

    Returns:
        float32, (out channels,).
    """
    assert conv.bias is not None
    loss = mean_loss(conv.weight.detach().numpy(), stored, means, conv.groups)
    corrected: NDArray[np.float32] = (conv.bias.detach().numpy() + loss).astype(np.float32)
    return corrected


def require_float16(graph: QuantizationGraph) -> None:
    """Refuse a network that float16 cannot hold: rounded, the first weight or bias beyond it would be infinite.

    Args:
        graph: the network, BatchNorm folded.

    Raises:
        ConversionError: a weight or a bias is beyond 65504.
    """
    ends = float(np.finfo(np.float16).max)
    for layer in graph.convolutions:
        conv = graph.conv(layer)
        for kind, parameter in (("weight", conv.weight), ("bias", conv.bias)):
            assert parameter is not None
            greatest = float(parameter.detach().abs().max())
            if not greatest <= ends:
                raise ConversionError(
                    f"{layer.name} has a {kind} of size {greatest:.6g} (its BatchNorm folded in), and float16 ends at "
                    f"{ends:.0f}: convert to coreml-float32"
                )


def input_means(graph: QuantizationGraph, spec: ModelSpec) -> Mapping[str, NDArray[np.float64]]:
    """Convolution name to the mean of each of its input channels over made pictures, float64, (in channels,).

    In float64, so that the order of summation, which depends on the processor, does not show in what is stored.
    """
    network = copy.deepcopy(graph.module).double()
    seen: dict[str, NDArray[np.float64]] = {}
    for layer in graph.convolutions:

        def keep(_: nn.Module, given: Any, name: str = layer.name) -> None:
            seen[name] = given[0].mean((0, 2, 3)).numpy()

        network.get_submodule(layer.module).register_forward_pre_hook(keep)
    pictures = np.stack(made_pictures(spec.height, spec.width)).astype(np.float64) / 255
    with torch.no_grad():
        network(torch.from_numpy(pictures).permute(0, 3, 1, 2))
    return seen
