"""Convolution of images, and batch normalization."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError

Floats = NDArray[np.float32]
Sizes = Sequence[int] | NDArray[Any]

_BLOCK = 1 << 16  # elements that a depthwise convolution works on at a time: a quarter of a megabyte stays in the cache
_SUM = 128  # terms of a sum that BLAS is given at a time
_ROWS = 64  # of a product, at a time: each part has 32 columns then, or more
_ONE_THREAD = 1 << 18  # multiplications up to which OpenBLAS takes one thread (interface/gemm.c, 4 * 65536)


def conv(
    x: Floats,
    weight: Floats,
    bias: Floats | None = None,
    strides: Sizes | None = None,
    pad_type: str = "valid",
    pad: Sizes | None = None,
    dilations: Sizes | None = None,
    groups: int = 1,
) -> Floats:
    """MIL's ``conv`` for images (iOS 15 and later): a cross-correlation, as every framework has it.

    Args:
        x: float32, (N, C_in, H, W).
        weight: float32, (C_out, C_in / groups, kernel rows, kernel columns).
        bias: float32, (C_out,).
        strides: of rows and columns; None: 1.
        pad_type: "valid" (none), "custom" (``pad``), "same" or "same_lower" (see :func:`padding`).
        pad: rows before and after, columns before and after; only for "custom".
        dilations: of rows and columns; None: 1.
        groups: C_in and C_out are split into as many parts.

    Returns:
        float32, (N, C_out, rows, columns).

    Raises:
        UnsupportedError: not an image, an ambiguous padding, a filter larger than the padded image.
    """
    if x.ndim != 4 or weight.ndim != 4:
        raise UnsupportedError(f"only images (rank 4) are supported, and this has rank {x.ndim}")
    channels, outputs, kernel = x.shape[1], weight.shape[0], weight.shape[2:]
    if channels != weight.shape[1] * groups or outputs % groups:
        raise UnsupportedError(
            f"filters {'x'.join(map(str, weight.shape))} in {groups} groups do not fit {channels} channels"
        )
    stride, dilation = _pair(strides), _pair(dilations)
    reach = (dilation[0] * (kernel[0] - 1) + 1, dilation[1] * (kernel[1] - 1) + 1)
    border = padding(pad_type, pad, x.shape[2:], reach, stride)
    free = tuple(x.shape[2 + axis] + sum(border[axis]) - reach[axis] for axis in range(2))
    if min(free) < 0:
        raise UnsupportedError(f"its filter reaches over {reach[0]}x{reach[1]} pixels, further than its padded input")
    taps = _Taps((kernel[0], kernel[1]), stride, dilation, (free[0] // stride[0] + 1, free[1] // stride[1] + 1))
    if groups == channels == outputs:
        result = _depthwise(x, weight, border, taps)
    else:
        padded = np.pad(x, ((0, 0), (0, 0), *border)) if any(map(any, border)) else x
        result = _grouped(taps.windows(padded), weight, groups)
    if bias is not None:
        result += bias[:, None, None]
    return result


def padding(
    pad_type: str, pad: Sizes | None, size: Sequence[int], reach: Sequence[int], stride: Sequence[int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """How many zeros stand before and after the rows, and before and after the columns.

    For "same" and "same_lower", MIL's documentation has two formulas: one from the filter alone, and one (in its shape
    inference) such that ceil(size / stride) pixels come out. They agree for odd filters at stride 1, and for even
    filters at stride 1 in sum; with a stride they differ by where the zeros stand, as TensorFlow differs from PyTorch.
    Only where all readings agree is it done.

    Args:
        pad_type: MIL's name.
        pad: the four numbers of "custom".
        size: of the image, rows and columns.
        reach: of the dilated filter, rows and columns.
        stride: of rows and columns.

    Raises:
        UnsupportedError: an unknown name, "custom" without four numbers, an ambiguous "same".
    """
    match pad_type:
        case "valid":
            return (0, 0), (0, 0)
        case "custom":
            if pad is None or len(pad) != 4 or min(pad) < 0:
                raise UnsupportedError(f"pad_type 'custom' needs four numbers that are not negative, and has {pad}")
            top, bottom, left, right = map(int, pad)
            return (top, bottom), (left, right)
        case "same" | "same_lower":
            return (
                _same(pad_type, size[0], reach[0], stride[0]),
                _same(pad_type, size[1], reach[1], stride[1]),
            )
        case _:
            raise UnsupportedError(f"the padding {pad_type!r} is unknown")


def _same(pad_type: str, size: int, reach: int, stride: int) -> tuple[int, int]:
    half = (reach - 1) // 2
    total = max(0, (-(-size // stride) - 1) * stride + reach - size)
    if reach % 2 == 0 or total != 2 * half:
        raise UnsupportedError(
            f"the padding {pad_type!r} is ambiguous for a filter that reaches over {reach} pixels at stride {stride} "
            f"on {size} pixels: convert the model with explicit padding"
        )
    return half, half


def batch_norm(
    x: Floats,
    mean: Floats,
    variance: Floats,
    gamma: Floats | None = None,
    beta: Floats | None = None,
    epsilon: Floats | float = 1e-5,
) -> Floats:
    """MIL's ``batch_norm``: gamma * (x - mean) / sqrt(variance + epsilon) + beta for each channel of (N, C, ...)."""
    scale = np.float32(1) / np.sqrt(variance + np.float32(epsilon))
    if gamma is not None:
        scale = scale * gamma
    shift = -mean * scale if beta is None else beta - mean * scale
    each = (slice(None), *(None,) * (x.ndim - 2))
    result: Floats = x * scale[each] + shift[each]
    return result


@dataclass(frozen=True)
class _Taps:
    """Which pixels of a padded image meet which number of a filter; each pair is rows and columns.

    Attributes:
        kernel: size of the filter.
        stride: pixels from one place of the filter to the next.
        dilation: pixels from one number of the filter to the next.
        places: how often the filter is applied: the size of the result.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    places: tuple[int, int]

    def windows(self, padded: Floats) -> Floats:
        """A view of (..., rows, columns): (..., kernel rows, kernel columns, places in a column, places in a row)."""
        *others, row, column = padded.strides
        return as_strided(
            padded,
            (*padded.shape[:-2], *self.kernel, *self.places),
            (
                *others,
                row * self.dilation[0],
                column * self.dilation[1],
                row * self.stride[0],
                column * self.stride[1],
            ),
            writeable=False,
        )


def _pair(values: Sizes | None) -> tuple[int, int]:
    if values is None:
        return 1, 1
    if len(values) != 2 or min(values) < 1:
        raise UnsupportedError(f"strides and dilations are two positive numbers, and are {values}")
    return int(values[0]), int(values[1])


def _grouped(windows: Floats, weight: Floats, groups: int) -> Floats:
    """im2col and one matrix product for each group (Chellapilla et al. 2006, "High Performance Convolutional Neural
    Networks for Document Processing")."""
    images, rows, columns = windows.shape[0], *windows.shape[4:]
    patches = windows.reshape(images, groups, -1, rows * columns)  # a copy, unless the filter is 1x1 at stride 1
    filters = weight.reshape(groups, weight.shape[0] // groups, -1)
    return _product(filters, patches).reshape(images, weight.shape[0], rows, columns)


def _product(left: Floats, right: Floats) -> Floats:
    """A matrix product whose last bits do not depend on BLAS's threads.

    OpenBLAS shares a product out among its threads, each of which may then end on other columns, with another kernel
    (seen on AMD's Zen 5). It also cuts long sums into parts. So products are cut here, into parts that it leaves to one
    thread; and products with a vector, which it shares out earlier, are left to numpy's own loops.

    Args:
        left: float32, (groups, M, K).
        right: float32, (images, groups, K, N).

    Returns:
        float32, (images, groups, M, N).
    """
    if left.shape[-2] == 1 or right.shape[-1] == 1:
        vector: Floats = np.einsum("gmk,ngkp->ngmp", left, right)
        return vector
    (height, length), width = left.shape[-2:], right.shape[-1]
    result: Floats = np.empty((*right.shape[:-2], height, width), np.float32)
    rows = min(height, _ROWS)
    columns = _ONE_THREAD // (rows * min(length, _SUM))
    for top in range(0, height, rows):
        for start in range(0, width, columns):
            part = result[..., top : top + rows, start : start + columns]
            for first in range(0, length, _SUM):
                terms = slice(first, first + _SUM)
                factors = left[..., top : top + rows, terms], right[..., terms, start : start + columns]
                if first:
                    part += np.matmul(*factors)
                else:
                    np.matmul(*factors, out=part)
    return result


def _depthwise(x: Floats, weight: Floats, border: Sequence[tuple[int, int]], taps: _Taps) -> Floats:
    """One filter for each channel: the sum of the shifted images, some channels at a time so that they stay cached."""
    images, channels, rows, columns = x.shape
    (top, bottom), (left, right) = border
    padded_size = (top + rows + bottom, left + columns + right)
    step = min(channels, max(1, _BLOCK // (padded_size[0] * padded_size[1])))
    padded = np.zeros((step, *padded_size), np.float32)
    windows = taps.windows(padded)
    product = np.empty((step, *taps.places), np.float32)
    result = np.empty((images, channels, *taps.places), np.float32)
    for image, first in itertools.product(range(images), range(0, channels, step)):
        total, filters = result[image, first : first + step], weight[first : first + step, 0]
        count = len(total)
        padded[:count, top : top + rows, left : left + columns] = x[image, first : first + step]
        total[:] = 0
        for i, j in np.ndindex(taps.kernel):
            np.multiply(windows[:count, i, j], filters[:, i, j, None, None], out=product[:count])
            total += product[:count]
    return result
