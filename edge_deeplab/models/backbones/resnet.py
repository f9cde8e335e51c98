"""ResNet-50 and -101 with atrous blocks (He et al. 2015, arXiv 1512.03385; Chen et al. 2017, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from edge_deeplab.models.backbones.backbone import DenseFeatures, Stride, chained, scaled_channels
from edge_deeplab.models.layers import ConvBNAct, max_pool
from edge_deeplab.spec import Padding

UNITS_50, UNITS_101 = (3, 4, 6, 3), (3, 4, 23, 3)  # He et al. 2015, table 1
_WIDTHS, _STRIDES = (64, 128, 256, 512), (1, 2, 2, 2)
_EXPANSION = 4


class Bottleneck(nn.Module):
    """Reduce by a 1x1, filter by a 3x3, expand by a linear 1x1; the input is added, then rectified (figure 5).

    The stride is in the 3x3, as in torchvision's and the DeepLab authors' networks.
    """

    def __init__(
        self, in_channels: int, width: int, *, stride: int, dilation: int, project: bool, padding: Padding
    ) -> None:
        super().__init__()
        channels = width * _EXPANSION
        self.reduce = ConvBNAct(in_channels, width, 1, activation=nn.ReLU)
        self.filter = ConvBNAct(width, width, 3, stride=stride, dilation=dilation, activation=nn.ReLU, padding=padding)
        self.expand = ConvBNAct(width, channels, 1, activation=nn.Identity)
        self.shortcut = ConvBNAct(in_channels, channels, 1, stride=stride, activation=nn.Identity) if project else None
        self.act = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, width * 4, H / stride, W / stride)
        y = self.expand(self.filter(self.reduce(x)))
        return self.act(y + (x if self.shortcut is None else self.shortcut(x)))  # type: ignore[no-any-return]


class ResNet(DenseFeatures):
    """ResNet up to its last bottleneck.

    Args:
        units: bottlenecks of each of the four blocks.
        output_stride: input size over the size of the last features.
        multi_grid: unit rates of the last block, multiplied by the block's rate (Chen et al. 2017, section 3.2.1);
            empty: plain atrous blocks, as torchvision's ``replace_stride_with_dilation``.
        padding: of what is strided.
        width_multiplier: factor on all channels; 1 in the papers.
    """

    def __init__(
        self,
        units: Sequence[int],
        *,
        output_stride: int,
        multi_grid: Sequence[int],
        padding: Padding,
        width_multiplier: float = 1.0,
    ) -> None:
        super().__init__()
        widths = [scaled_channels(width, width_multiplier) for width in _WIDTHS]
        self.stem = ConvBNAct(3, widths[0], 7, stride=2, activation=nn.ReLU, padding=padding)
        self.pool = max_pool(3, 2, padding)
        track, channels = Stride(4, output_stride), widths[0]
        stages: list[nn.Module] = []
        for width, count, first_stride in zip(widths, units, _STRIDES, strict=True):
            blocks: list[nn.Module] = []
            for index in range(count):
                rate = track.rate
                stride = track.take(first_stride if index == 0 else 1)
                if multi_grid and len(stages) == len(units) - 1:
                    rate = track.rate * multi_grid[index]
                blocks.append(
                    Bottleneck(channels, width, stride=stride, dilation=rate, project=index == 0, padding=padding)
                )
                channels = width * _EXPANSION
            stages.append(nn.Sequential(*blocks))
        self.stages = nn.ModuleList(stages)
        self.low_level_channels = widths[0] * _EXPANSION
        self.channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> features of the first block (stride 4) and of the last (the output stride)."""
        low_level = self.stages[0](self.pool(self.stem(x)))
        return low_level, chained(self.stages[1:], low_level)
