"""How a package stores the weights of each convolution."""

from __future__ import annotations

from enum import StrEnum

from torch import nn

from converters.coreml_recipe import Recipe
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.spec import Precision


class Storage(StrEnum):
    """FLOAT: as they are, in the program's precision. INT8: integers with a scale for each output channel, symmetric.
    PALETTE: indices into one table.
    """

    FLOAT = "float"
    INT8 = "int8"
    PALETTE = "palette"

    @property
    def operator(self) -> str:
        """The operator of the program that gives the weights."""
        return {
            Storage.FLOAT: "const",
            Storage.INT8: "constexpr_affine_dequantize",
            Storage.PALETTE: "constexpr_lut_to_dense",
        }[self]

_SMALL = 16384  # weights


def convolution_storage(graph: QuantizationGraph, recipe: Recipe) -> tuple[Storage, ...]:
    """The storage of each convolution, in order of execution."""
    return tuple(_storage(graph.conv(layer), recipe) for layer in graph.convolutions)


def _storage(conv: nn.Conv2d, recipe: Recipe) -> Storage:
    match recipe.precision:
        case Precision.INT8 | Precision.W8A8:
            return Storage.INT8
        case Precision.PALETTIZED6 | Precision.PALETTIZED4:
            return Storage.INT8 if conv.groups > 1 or conv.weight.numel() < _SMALL else Storage.PALETTE
        case _:
            return Storage.FLOAT
