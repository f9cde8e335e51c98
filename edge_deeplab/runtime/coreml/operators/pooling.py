"""Pooling of images."""

from __future__ import annotations

import functools
import itertools

import numpy as np

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
    rows, columns = ((padded.shape[2 + axis] - kernel[axis]) // stride[axis] + 1 for axis in range(2))
    if min(rows, columns) < 1:
        raise UnsupportedError(f"its window has {kernel[0]}x{kernel[1]} pixels, more than its padded input")
    # One strided view for each place in the window.
    views = [
        padded[:, :, top :: stride[0], left :: stride[1]][:, :, :rows, :columns]
        for top, left in itertools.product(range(kernel[0]), range(kernel[1]))
    ]
    largest: Floats = functools.reduce(np.maximum, views)
    return largest
