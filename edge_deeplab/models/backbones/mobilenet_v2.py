"""MobileNetV2 as a dense feature extractor (Sandler et al. 2018, arXiv 1801.04381)."""

from __future__ import annotations

from torch import Tensor, nn

from edge_deeplab.models.backbones.backbone import DenseFeatures, Stride, chained, scaled_channels
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.spec import Padding

# Table 2 of the paper: expansion t, channels c, repeats n, stride s of each bottleneck sequence.
_SEQUENCES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS = 32  # table 2, first row
_LOW_LEVEL_STRIDE = 4


class InvertedResidual(nn.Module):
    """Expand by a 1x1, filter by a depthwise 3x3, project by a linear 1x1 (section 3.3).

    The input is added where the shape allows it.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, expansion: int, stride: int, dilation: int, padding: Padding
    ) -> None:
        super().__init__()
        hidden = in_channels * expansion
        self.expand = ConvBNAct(in_channels, hidden, 1) if expansion != 1 else None
        self.depthwise = ConvBNAct(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden, padding=padding)
        self.project = ConvBNAct(hidden, out_channels, 1, activation=nn.Identity)
        self.residual = stride == 1 and in_channels == out_channels

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H / stride, W / stride)
        hidden = x if self.expand is None else self.expand(x)
        y: Tensor = self.project(self.depthwise(hidden))
        return x + y if self.residual else y


class MobileNetV2(DenseFeatures):
    """The layers of MobileNetV2 up to the last bottleneck, with atrous convolution in place of the last strides.

    Attributes:
        low_level_channels: channels of the stride-4 features, for the decoder.
        channels: channels of the last features.
    """

    def __init__(
        self,
        *,
        width_multiplier: float = 1.0,
        channel_divisor: int = 8,
        output_stride: int = 16,
        padding: Padding = Padding.SYMMETRIC,
        last_bottleneck: bool = True,
    ) -> None:
        super().__init__()
        channels = scaled_channels(_STEM_CHANNELS, width_multiplier, channel_divisor)
        self.stem = ConvBNAct(3, channels, 3, stride=2, padding=padding)
        blocks: list[nn.Module] = []
        track = Stride(2, output_stride)
        for expansion, base, repeats, first_stride in _SEQUENCES if last_bottleneck else _SEQUENCES[:-1]:
            out_channels = scaled_channels(base, width_multiplier, channel_divisor)
            for index in range(repeats):
                # A block that loses its stride keeps the rate of what comes before it.
                rate = track.rate
                step = track.take(first_stride if index == 0 else 1)
                blocks.append(
                    InvertedResidual(
                        channels,
                        out_channels,
                        expansion=expansion,
                        stride=step,
                        dilation=rate,
                        padding=padding,
                    )
                )
                channels = out_channels
            if track.reached == _LOW_LEVEL_STRIDE:
                self.low_level_channels, self._low_level_blocks = channels, len(blocks)
        self.blocks = nn.ModuleList(blocks)
        self.channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> features at stride 4 and at the output stride."""
        low_level = chained(self.blocks[: self._low_level_blocks], self.stem(x))
        x = chained(self.blocks[self._low_level_blocks :], low_level)
        return low_level, x
