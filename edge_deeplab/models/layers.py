"""The convolutions that everything is made of."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional

from edge_deeplab.spec import Padding


class SamePadding(nn.Module):
    """TensorFlow's "SAME" border of zeros for an odd kernel at stride 2, without the convolution.

    Of the k - 2 (even size) or k - 1 (odd size) rows that are needed, TensorFlow puts the larger half below and the
    same for columns (its documentation of ``tf.nn.convolution``). At stride 1, SAME is symmetric.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        self.after = (kernel_size - 1) // 2

    def forward(self, x: Tensor) -> Tensor:  # (N, C, H, W) -> (N, C, H + before + after, W + before + after)
        top, left = (self.after - 1 + size % 2 for size in x.shape[2:])
        return functional.pad(x, (left, self.after, top, self.after))


class ConvBNAct(nn.Module):
    """Convolution without bias, BatchNorm, and an activation: ReLU6, unless another is given.

    ReLU6 (Sandler et al. 2018, section 3.3) bounds every activation, which suits int8; ``nn.Identity`` makes a linear
    layer. Symmetric padding is torchvision's: an input of even size gives half its size at stride 2.
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
        padding: Padding = Padding.SYMMETRIC,
    ) -> None:
        super().__init__()
        same = padding is Padding.SAME and stride == 2 and kernel_size > 1
        self.pad = SamePadding(kernel_size) if same else None
        self.conv = nn.Conv2d(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=0 if same else dilation * (kernel_size - 1) // 2,
            dilation=dilation,
            groups=groups,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(out_channels)
        self.act = activation()

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H / stride, W / stride)
        x = x if self.pad is None else self.pad(x)
        return self.act(self.bn(self.conv(x)))  # type: ignore[no-any-return]


class SeparableConv(nn.Sequential):
    """A depthwise 3x3 (atrous) and a pointwise 1x1, each with BatchNorm and activation (Chen et al. 2018, sec. 3.1)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int = 1,
        dilation: int = 1,
        activation: type[nn.Module] = nn.ReLU6,
        padding: Padding = Padding.SYMMETRIC,
    ) -> None:
        super().__init__(
            ConvBNAct(
                in_channels,
                in_channels,
                3,
                stride=stride,
                dilation=dilation,
                groups=in_channels,
                activation=activation,
                padding=padding,
            ),
            ConvBNAct(in_channels, out_channels, 1, activation=activation),
        )


def max_pool(kernel_size: int, stride: int, padding: Padding) -> nn.Module:
    """Max pooling of rectified features: a border of zeros never wins, and converters know it better than infinity."""
    same = padding is Padding.SAME and stride == 2
    border = SamePadding(kernel_size) if same else nn.ZeroPad2d(kernel_size // 2)
    return nn.Sequential(border, nn.MaxPool2d(kernel_size, stride))
