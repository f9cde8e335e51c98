"""Atrous spatial pyramid pooling (Chen et al. 2017, arXiv 1706.05587, section 3.3)."""

from __future__ import annotations

from collections.abc import Sequence

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
    """A 1x1, 3x3 convolutions at several atrous rates, and image pooling; concatenated and projected."""

    def __init__(
        self,
        in_channels: int,
        channels: int,
        rates: Sequence[int],
        *,
        separable: bool,
        image_pooling: bool,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        branches: list[nn.Module] = [ConvBNAct(in_channels, channels, 1, activation=activation)]
        branches.extend(
            SeparableConv(in_channels, channels, dilation=rate, activation=activation)
            if separable
            else ConvBNAct(in_channels, channels, 3, dilation=rate, activation=activation)
            for rate in rates
        )
        if image_pooling:
            branches.append(ImagePooling(in_channels, channels, activation=activation))
        self.branches = nn.ModuleList(branches)
        self.project = ConvBNAct(channels * len(branches), channels, 1, activation=activation)

    def forward(self, x: Tensor) -> Tensor:  # (N, in, H, W) -> (N, channels, H, W)
        return self.project(torch.cat([branch(x) for branch in self.branches], dim=1))  # type: ignore[no-any-return]
