"""VGG-16 with holes (Simonyan and Zisserman 2014, arXiv 1409.1556; Chen et al. 2014, arXiv 1412.7062, section 3)."""

from __future__ import annotations

from torch import Tensor, nn

from edge_deeplab.models.backbones.backbone import DenseFeatures, Stride, scaled_channels
from edge_deeplab.models.layers import ConvBNAct, max_pool
from edge_deeplab.spec import Padding

_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))  # configuration D: channels, 3x3 convolutions
_LOW_LEVEL_STRIDE = 4


class VGG16(DenseFeatures):
    """The thirteen convolutions of VGG-16, each with BatchNorm, and its five pools.

    The pools are 3x3 as in the authors' network; one that has lost its stride stays, at stride 1, and convolutions
    behind it look through holes. Not in the papers: BatchNorm, without which thirteen layers do not train from scratch.
    fc6 and fc7 belong to the head.
    """

    def __init__(self, *, output_stride: int, padding: Padding, width_multiplier: float = 1.0) -> None:
        super().__init__()
        track, channels = Stride(1, output_stride), 3
        self.stem = ConvBNAct(3, scaled_channels(_STAGES[0][0], width_multiplier), 3, activation=nn.ReLU)
        stages: list[nn.Module] = []
        pools: list[nn.Module] = []
        for base, count in _STAGES:
            width = scaled_channels(base, width_multiplier)
            convolutions: list[nn.Module] = []
            for _ in range(count):
                if channels > 3:
                    convolutions.append(ConvBNAct(channels, width, 3, dilation=track.rate, activation=nn.ReLU))
                channels = width
            if track.reached == _LOW_LEVEL_STRIDE:
                self.low_level_channels, self._low_level_index = channels, len(stages)
            stages.append(nn.Sequential(*convolutions))
            pools.append(max_pool(3, track.take(2), padding))
        self.stages, self.pools = nn.ModuleList(stages), nn.ModuleList(pools)
        self.channels = channels

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, H, W) -> features at stride 4 (conv3_3) and at the output stride."""
        x = self.stem(x)
        low_level = x
        for index, (stage, pool) in enumerate(zip(self.stages, self.pools, strict=True)):
            x = stage(x)
            if index == self._low_level_index:
                low_level = x
            x = pool(x)
        return low_level, x
