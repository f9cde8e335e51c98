"""What rounded weights add to a convolution's output on average, to be taken back in its bias."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.quantization.affine import Floats


def mean_loss(weights: Floats, stored: Floats, input_means: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    """What other weights in a convolution's place take off each output channel on average: (W - W_stored) E[x].

    Bias correction (Nagel et al. 2019, arXiv 1906.04721, section 4.2). It matters most behind a channel that is nearly
    constant: a depthwise high-pass filter, whose weights sum to nothing, turns a rounding error of that sum into an
    offset of the whole map.

    Args:
        weights: the layer's, OIHW.
        stored: those in their place, OIHW.
        input_means: of its input channels, float64, (in channels,).
        groups: of the convolution.

    Returns:
        float64, (out channels,).
    """
    lost: NDArray[Any] = (np.asarray(weights, np.float64) - stored).sum((2, 3))  # (out, in / groups)
    means = input_means.reshape(groups, 1, -1)
    total: NDArray[np.float64] = (lost.reshape(groups, -1, lost.shape[1]) * means).sum(2).reshape(-1)
    return total
