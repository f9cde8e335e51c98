"""What every backbone gives to a head."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable

from torch import Tensor, nn

from edge_deeplab.models.layers import ConvBNAct


class DenseFeatures(nn.Module, ABC):
    """Two maps of features of an image: (N, 3, H, W) -> stride 4, and the output stride.

    Attributes:
        stem: the first convolution, which the input's normalization is folded into.
        low_level_channels: channels of the stride-4 features, for the decoder.
        channels: channels of the last features.
    """

    stem: ConvBNAct
    low_level_channels: int
    channels: int

    @abstractmethod
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> features at stride 4 and at the output stride."""


def chained(blocks: Iterable[nn.Module], x: Tensor) -> Tensor:
    """What blocks make of a map, one behind the other: (N, in, H, W) -> (N, out, H / stride, W / stride).

    Not ``nn.Sequential``: a part of one is a module of no name, which graphs of named layers cannot be traced through.
    """
    for block in blocks:
        x = block(x)
    return x


def scaled_channels(channels: int, multiplier: float, divisor: int = 8) -> int:
    """A paper's number of channels times a width multiplier: the nearest multiple of the divisor, and not more than a
    tenth below the product (the rule of MobileNetV2's authors' code).
    """
    wanted = channels * multiplier
    rounded = max(divisor, int(wanted + divisor / 2) // divisor * divisor)
    return rounded + divisor if rounded < 0.9 * wanted else rounded


class Stride:
    """The stride and rate reached so far, on the way to an output stride.

    A stride that would go beyond it is taken out, and every later convolution looks through holes of its size
    (Chen et al. 2017, section 3.1).

    Attributes:
        rate: of a convolution that comes next.
    """

    def __init__(self, reached: int, output_stride: int) -> None:
        self.reached, self.rate, self._limit = reached, 1, output_stride

    def take(self, wanted: int) -> int:
        """The stride that a convolution may take of the one it wants; ``rate`` is that of what follows it."""
        if wanted > 1 and self.reached == self._limit:
            self.rate *= wanted
            return 1
        self.reached *= wanted
        return wanted
