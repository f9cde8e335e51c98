"""Modified Aligned Xception (Chen et al. 2018, arXiv 1802.02611, section 4.2, figure 4; Chollet 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from edge_deeplab.models.backbones.backbone import DenseFeatures, Stride, scaled_channels
from edge_deeplab.models.layers import ConvBNAct, SeparableConv
from edge_deeplab.spec import Padding


@dataclass(frozen=True)
class EntryBlock:
    """Channels and stride of a block of the entry flow."""

    channels: int
    stride: int


# Figure 4 for 41 and 65; research/deeplab's core/xception.py for the two more blocks of 71.
ENTRY = (EntryBlock(128, 2), EntryBlock(256, 2), EntryBlock(728, 2))
ENTRY_71 = (EntryBlock(128, 2), EntryBlock(256, 1), EntryBlock(256, 2), EntryBlock(728, 1), EntryBlock(728, 2))
MIDDLE_41, MIDDLE_65 = 8, 16
_STEM = (32, 64)
_EXIT, _TAIL = (728, 1024, 1024), (1536, 1536, 2048)
_LOW_LEVEL_STRIDE = 4


class XceptionBlock(nn.Module):
    """Three separable convolutions, each behind a rectifier, and a shortcut (figure 4).

    The stride is in the last of the three: max pooling is replaced by it, which is what makes Xception atrous. No
    rectifier is between depthwise and pointwise, where the authors' code has BatchNorm only; the figure's caption
    ("extra batch normalization and ReLU") is met in the tail.

    Attributes:
        shortcut: a linear 1x1 with the block's stride, or None: the input itself.
    """

    def __init__(
        self,
        in_channels: int,
        widths: Sequence[int],
        *,
        stride: int,
        dilation: int,
        project: bool,
        padding: Padding,
    ) -> None:
        super().__init__()
        self.act = nn.ReLU()
        first, second, third = widths
        self.first = _linear(in_channels, first, dilation=dilation)
        self.second = _linear(first, second, dilation=dilation)
        self.third = _linear(second, third, stride=stride, dilation=dilation, padding=padding)
        self.shortcut = ConvBNAct(in_channels, third, 1, stride=stride, activation=nn.Identity) if project else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, in, H, W) -> features of the second convolution, at (H, W), and the block's, at (H / stride, ...)."""
        inner = self.second(self.act(self.first(self.act(x))))
        y = self.third(self.act(inner))
        return inner, y + (x if self.shortcut is None else self.shortcut(x))


class Xception(DenseFeatures):
    """Modified Aligned Xception up to its last separable convolution.

    Args:
        entry: blocks of the entry flow.
        middle: blocks of the middle flow.
        output_stride: input size over the size of the last features.
        multi_grid: unit rates of the last three convolutions, multiplied by their rate; empty: (1, 1, 1).
        padding: of what is strided.
        width_multiplier: factor on all channels; 1 in the paper.
    """

    def __init__(
        self,
        entry: Sequence[EntryBlock],
        middle: int,
        *,
        output_stride: int,
        multi_grid: Sequence[int],
        padding: Padding,
        width_multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        wide = partial(scaled_channels, multiplier=width_multiplier)
        track, channels = Stride(2, output_stride), wide(_STEM[1])
        self.stem = ConvBNAct(3, wide(_STEM[0]), 3, stride=2, activation=nn.ReLU, padding=padding)
        self.widen = ConvBNAct(wide(_STEM[0]), channels, 3, activation=nn.ReLU)
        blocks: list[nn.Module] = []
        for block in entry:
            if track.reached == _LOW_LEVEL_STRIDE:
                # The last block at stride 4: its second convolution gives the decoder's features.
                self.low_level_channels, self._low_level_index = wide(block.channels), len(blocks)
            rate = track.rate
            blocks.append(
                XceptionBlock(
                    channels,
                    (wide(block.channels),) * 3,
                    stride=track.take(block.stride),
                    dilation=rate,
                    project=True,
                    padding=padding,
                )
            )
            channels = wide(block.channels)
        blocks.extend(
            XceptionBlock(channels, (channels,) * 3, stride=1, dilation=track.rate, project=False, padding=padding)
            for _ in range(middle)
        )
        rate = track.rate
        blocks.append(
            XceptionBlock(
                channels,
                [wide(width) for width in _EXIT],
                stride=track.take(2),
                dilation=rate,
                project=True,
                padding=padding,
            )
        )
        self.blocks = nn.ModuleList(blocks)
        tail: list[nn.Module] = []
        channels = wide(_EXIT[-1])
        for width, unit in zip(_TAIL, multi_grid or (1, 1, 1), strict=True):
            tail.append(SeparableConv(channels, wide(width), dilation=track.rate * unit, activation=nn.ReLU))
            channels = wide(width)
        self.tail = nn.Sequential(*tail)
        self.channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> features at stride 4 (before a rectifier) and at the output stride."""
        x = self.widen(self.stem(x))
        low_level = x
        for index, block in enumerate(self.blocks):
            inner, x = block(x)
            if index == self._low_level_index:
                low_level = inner
        return low_level, self.tail(x)


def _linear(
    in_channels: int, out_channels: int, *, dilation: int, stride: int = 1, padding: Padding = Padding.SYMMETRIC
) -> SeparableConv:
    return SeparableConv(
        in_channels, out_channels, stride=stride, dilation=dilation, activation=nn.Identity, padding=padding
    )
