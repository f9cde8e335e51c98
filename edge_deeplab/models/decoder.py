"""DeepLabV3+'s decoder (Chen et al. 2018, arXiv 1802.02611, section 3.1 and table 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_deeplab.models.layers import ConvBNAct, SeparableConv


class Decoder(nn.Module):
    """Bring the ASPP's features up to stride 4, join them with the low-level ones, refine by two 3x3."""

    def __init__(
        self,
        low_level_channels: int,
        in_channels: int,
        *,
        skip_channels: int,
        channels: int,
        separable: bool,
        activation: type[nn.Module],
    ) -> None:
        super().__init__()
        self.skip = ConvBNAct(low_level_channels, skip_channels, 1, activation=activation)
        joined = in_channels + skip_channels
        self.refine = (
            nn.Sequential(
                SeparableConv(joined, channels, activation=activation),
                SeparableConv(channels, channels, activation=activation),
            )
            if separable
            else nn.Sequential(
                ConvBNAct(joined, channels, 3, activation=activation),
                ConvBNAct(channels, channels, 3, activation=activation),
            )
        )

    def forward(self, low_level: Tensor, x: Tensor) -> Tensor:  # (N, low, H, W), (N, in, h, w) -> (N, channels, H, W)
        x = functional.interpolate(x, size=low_level.shape[2:], mode="bilinear", align_corners=False)
        return self.refine(torch.cat([x, self.skip(low_level)], dim=1))  # type: ignore[no-any-return]
