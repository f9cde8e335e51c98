"""Atrous spatial pyramid pooling: summed (Chen et al. 2016, arXiv 1606.00915, section 3.2) and concatenated (Chen et
al. 2017, arXiv 1706.05587, section 3.3).
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_deeplab.models.layers import ConvBNAct, SeparableConv


class ImagePooling(nn.Module):
    """The global average of the features, projected by a 1x1 and spread over the map again."""

    def __init__(self, in_channels: int, out_channels: int, *, activation: type[nn.Module]) -> None:
        super().__init__()
        self.project = ConvBNAct(in_channels, out_channels, 1, activation=activation)

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, out, H, W)
        # A mean, not AvgPool2d: the latter splits the TFLite graph into two XNNPACK partitions.
        y = self.project(x.mean((2, 3), keepdim=True))
        return functional.interpolate(y, size=x.shape[2:], mode="bilinear", align_corners=False)


class ASPP(nn.Module):
    """A 1x1, 3x3 convolutions at several atrous rates, and image pooling; concatenated and projected.

    Attributes:
        refine: a dense 3x3 behind the projection, or None.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        rates: Sequence[int],
        *,
        separable: bool,
        image_pooling: bool,
        refine: bool,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        convolution: Callable[..., nn.Module] = SeparableConv if separable else _dense
        branches: list[nn.Module] = [ConvBNAct(in_channels, channels, 1, activation=activation)]
        branches.extend(convolution(in_channels, channels, dilation=rate, activation=activation) for rate in rates)
        if image_pooling:
            branches.append(ImagePooling(in_channels, channels, activation=activation))
        self.branches = nn.ModuleList(branches)
        self.project = ConvBNAct(channels * len(branches), channels, 1, activation=activation)
        self.refine = ConvBNAct(channels, channels, 3, activation=activation) if refine else None

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, channels, H, W)
        y: Tensor = self.project(torch.cat([branch(x) for branch in self.branches], dim=1))
        if self.refine is not None:
            y = self.refine(y)
        return y


class SummedASPP(nn.Module):
    """Class scores at several atrous rates, added (V2). One rate, 12, with hidden layers: V1's large field of view.

    Args:
        in_channels: of the features.
        hidden: channels of fc6 (the atrous 3x3) and fc7 (a 1x1) in front of the scores (V2, figure 7b); None: the
            3x3 gives the scores (V2's ResNet-101).
        rates: one for each branch.
        num_classes: channels of the scores.
        activation: of the hidden layers.
    """

    def __init__(
        self,
        in_channels: int,
        hidden: int | None,
        rates: Sequence[int],
        num_classes: int,
        *,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(in_channels, num_classes, 3, padding=rate, dilation=rate)
            if hidden is None
            else nn.Sequential(
                _dense(in_channels, hidden, dilation=rate, activation=activation),
                ConvBNAct(hidden, hidden, 1, activation=activation),
                nn.Conv2d(hidden, num_classes, 1),
            )
            for rate in rates
        )

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, classes, H, W)
        # Not sum(), which begins with the number 0.
        scores: Tensor = functools.reduce(operator.add, [branch(x) for branch in self.branches])
        return scores


def _dense(in_channels: int, out_channels: int, *, dilation: int, activation: type[nn.Module]) -> ConvBNAct:
    return ConvBNAct(in_channels, out_channels, 3, dilation=dilation, activation=activation)
