"""The two convolutions that everything is made of."""

from __future__ import annotations

from torch import Tensor, nn


class ConvBNAct(nn.Module):
    """Convolution without bias, BatchNorm, and an activation: ReLU6, unless another is given.

    ReLU6 (Sandler et al. 2018, section 3.3) bounds every activation, which suits int8; ``nn.Identity`` makes a linear
    layer. Padding is symmetric, as in torchvision: an input of even size gives half its size at stride 2.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
        activation: type[nn.Module] = nn.ReLU6,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=dilation * (kernel_size - 1) // 2,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.act = activation()

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H / stride, W / stride)
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class SeparableConv(nn.Sequential):
    """A depthwise 3x3 (atrous) and a pointwise 1x1, each with BatchNorm and activation (Chen et al. 2018, sec. 3.1)."""

    def __init__(
        self, in_channels: int, out_channels: int, *, dilation: int = 1, activation: type[nn.Module] = nn.ReLU6
    ) -> None:
        super().__init__(
            ConvBNAct(in_channels, in_channels, 3, dilation=dilation, groups=in_channels, activation=activation),
            ConvBNAct(in_channels, out_channels, 1, activation=activation),
        )
