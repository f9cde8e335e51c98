"""Pooling of images."""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from edge_deeplab.runtime.coreml.operators.convolution import Floats, Sizes, padding
from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError


def max_pool(
    x: Floats,
    kernel_sizes: Sizes,
    strides: Sizes | None = None,
    pad_type: str = "valid",
    pad: Sizes | None = None,
    ceil_mode: bool = False,
) -> Floats:
    """MIL's ``max_pool`` for images: the largest number of each window; the border never wins.

    Args:
        x: float32, (N, C, H, W).
        kernel_sizes: rows and columns of the window.
        strides: of rows and columns; None: 1.
        pad_type, pad: as for :func:`~edge_deeplab.runtime.coreml.operators.convolution.conv`.
        ceil_mode: windows that reach over the end count, too.

    Returns:
        float32, (N, C, rows, columns).

    Raises:
        UnsupportedError: not an image, an ambiguous padding, ``ceil_mode``, a window larger than the padded image.
    """
    if x.ndim != 4 or ceil_mode:
        raise UnsupportedError(f"only images (rank 4) without ceil_mode are supported, and this has rank {x.ndim}")
    kernel = (int(kernel_sizes[0]), int(kernel_sizes[1]))
    stride = (1, 1) if strides is None else (int(strides[0]), int(strides[1]))
    border = padding(pad_type, pad, x.shape[2:], kernel, stride)
    padded = np.pad(x, ((0, 0), (0, 0), *border), constant_values=-np.inf)
    if padded.shape[2] < kernel[0] or padded.shape[3] < kernel[1]:
        raise UnsupportedError(f"its window has {kernel[0]}x{kernel[1]} pixels, more than its padded input")
    windows = sliding_window_view(padded, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    largest: Floats = windows.max(axis=(4, 5))
    return largest
