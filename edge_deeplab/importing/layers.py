"""A DeepLab from elsewhere, as the layers that were found in its file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.spec import Rectifier


@dataclass(frozen=True)
class BatchNorm:
    """A BatchNorm's parameters and running statistics.

    Attributes:
        gamma: float32, (channels,).
        beta: as many.
        mean: as many.
        variance: as many.
        epsilon: added to the variance.
    """

    gamma: NDArray[np.float32]
    beta: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    epsilon: float


@dataclass(frozen=True)
class Layer:
    """A convolution with what follows it.

    Attributes:
        name: in its file.
        weight: float32, (out, in / groups, rows, columns).
        norm: its BatchNorm, or the bias that it has instead: float32, (out,).
        stride: of its rows and columns.
        rate: atrous rate.
        rectifier: the activation; None for a linear layer.
        reads: name of the tensor that comes in.
        gives: name of the tensor that goes out, behind BatchNorm and activation.
    """

    name: str
    weight: NDArray[np.float32]
    norm: BatchNorm | NDArray[np.float32]
    stride: int
    rate: int
    rectifier: Rectifier | None
    reads: str
    gives: str


@dataclass(frozen=True)
class SourceDeepLab:
    """A DeepLabV3 with MobileNetV2, without atrous branches (Sandler et al. 2018, section 6.3).

    Attributes:
        source: the file, for error messages.
        backbone: MobileNetV2's convolutions in the order of execution.
        pointwise: the head's 1x1 branch.
        pooling: the branch of image pooling, if there is one.
        projection: behind the concatenation, the channels of its weight in this order: pointwise, pooling.
        branch_order: where each of these two is in the file's own concatenation: (1, 0) for pooling first.
        classifier: the 1x1 that gives the logits; its ``norm`` is a bias.
        mean: of the input's normalization: the network takes (x - mean) / deviation for RGB x in [0, 1].
        deviation: as many.
        height: rows of the picture that it takes, in pixels.
        width: columns.
    """

    source: str
    backbone: tuple[Layer, ...]
    pointwise: Layer
    pooling: Layer | None
    projection: Layer
    branch_order: tuple[int, ...]
    classifier: Layer
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    height: int
    width: int

    @property
    def normalized(self) -> tuple[Layer, ...]:
        """All layers but the classifier, in the order of our network's modules."""
        pooling = () if self.pooling is None else (self.pooling,)
        return (*self.backbone, self.pointwise, *pooling, self.projection)
