"""MobileNetV3-Large as a dense feature extractor (Howard et al. 2019, arXiv 1905.02244), as torchvision builds it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

from edge_deeplab.models.backbones.backbone import DenseFeatures, Stride, chained, scaled_channels
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.spec import Padding


class _Row(NamedTuple):
    kernel: int
    hidden: int
    out: int
    squeeze: int  # channels of squeeze-and-excite, 0: none
    activation: type[nn.Module]
    stride: int


# Table 1 of the paper. Squeezed channels: a quarter of the hidden ones, to a multiple of eight.
_ROWS = (
    _Row(3, 16, 16, 0, nn.ReLU, 1),
    _Row(3, 64, 24, 0, nn.ReLU, 2),
    _Row(3, 72, 24, 0, nn.ReLU, 1),
    _Row(5, 72, 40, 24, nn.ReLU, 2),
    _Row(5, 120, 40, 32, nn.ReLU, 1),
    _Row(5, 120, 40, 32, nn.ReLU, 1),
    _Row(3, 240, 80, 0, nn.Hardswish, 2),
    _Row(3, 200, 80, 0, nn.Hardswish, 1),
    _Row(3, 184, 80, 0, nn.Hardswish, 1),
    _Row(3, 184, 80, 0, nn.Hardswish, 1),
    _Row(3, 480, 112, 120, nn.Hardswish, 1),
    _Row(3, 672, 112, 168, nn.Hardswish, 1),
    _Row(5, 672, 160, 168, nn.Hardswish, 2),
    _Row(5, 960, 160, 240, nn.Hardswish, 1),
    _Row(5, 960, 160, 240, nn.Hardswish, 1),
)
_STEM, _LAST = 16, 960
_LOW_LEVEL_STRIDE = 4


class SqueezeExcite(nn.Module):
    """Each channel times a gate out of the global average (section 5.3)."""

    def __init__(self, channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeezed, 1)
        self.act = nn.ReLU()
        self.excite = nn.Conv2d(squeezed, channels, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> the same
        squeezed = self.act(self.squeeze(x.mean((2, 3), keepdim=True)))
        gates: Tensor = self.gate(self.excite(squeezed))
        return x * gates


class InvertedResidualV3(nn.Module):
    """Expand, filter depthwise, weigh the channels, project linearly (figure 4)."""

    def __init__(self, in_channels: int, row: _Row, *, stride: int, dilation: int, padding: Padding) -> None:
        super().__init__()
        act = row.activation
        self.expand = ConvBNAct(in_channels, row.hidden, 1, activation=act) if row.hidden != in_channels else None
        self.depthwise = ConvBNAct(
            row.hidden,
            row.hidden,
            row.kernel,
            stride=stride,
            dilation=dilation,
            groups=row.hidden,
            activation=act,
            padding=padding,
        )
        self.excite = SqueezeExcite(row.hidden, row.squeeze) if row.squeeze else None
        self.project = ConvBNAct(row.hidden, row.out, 1, activation=nn.Identity)
        self.residual = row.stride == 1 and in_channels == row.out

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H / stride, W / stride)
        hidden = self.depthwise(x if self.expand is None else self.expand(x))
        y: Tensor = self.project(hidden if self.excite is None else self.excite(hidden))
        return x + y if self.residual else y


class MobileNetV3Large(DenseFeatures):
    """MobileNetV3-Large up to its last 1x1 convolution (960 channels).

    Unlike the other backbones', a block that lost its stride has the rate of what follows: so torchvision trained it.
    """

    def __init__(self, *, output_stride: int, padding: Padding, width_multiplier: float = 1.0) -> None:
        super().__init__()
        track, channels = Stride(2, output_stride), scaled_channels(_STEM, width_multiplier)
        self.stem = ConvBNAct(3, channels, 3, stride=2, activation=nn.Hardswish, padding=padding)
        blocks: list[nn.Module] = []
        for full in _ROWS:
            row = _scaled(full, width_multiplier)
            stride = track.take(row.stride)
            blocks.append(InvertedResidualV3(channels, row, stride=stride, dilation=track.rate, padding=padding))
            channels = row.out
            if track.reached == _LOW_LEVEL_STRIDE:
                self.low_level_channels, self._low_level_blocks = channels, len(blocks)
        self.blocks = nn.ModuleList(blocks)
        self.channels = scaled_channels(_LAST, width_multiplier)
        self.last = ConvBNAct(channels, self.channels, 1, activation=nn.Hardswish)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> features at stride 4 and at the output stride."""
        low_level = chained(self.blocks[: self._low_level_blocks], self.stem(x))
        x = chained(self.blocks[self._low_level_blocks :], low_level)
        return low_level, self.last(x)


def _scaled(row: _Row, multiplier: float) -> _Row:
    hidden, out, squeeze = (scaled_channels(count, multiplier) if count else 0 for count in row[1:4])
    return row._replace(hidden=hidden, out=out, squeeze=squeeze)
