"""Bilinear resizing: where each of MIL's modes takes its samples.

The formulas are those of MIL's documentation of ``upsample_bilinear`` and ``resize_bilinear`` (iOS 15). A wrong one
shifts the whole mask by up to half a pixel of the small image: eight pixels of a picture at stride 16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError

Floats = NDArray[np.float32]

_WHOLE = 1e-3  # a factor of 8/3 in float32 times 96 misses 256 by 1e-5


def upsample_bilinear(
    x: Floats,
    scale_factor_height: float | Floats = 1,
    scale_factor_width: float | Floats = 1,
    align_corners: bool = True,
) -> Floats:
    """MIL's ``upsample_bilinear``: enlarge the last two axes by factors.

    The spacing of the samples is recomputed from the sizes, as the documentation says. That is the same as the factor
    where the factor gives whole sizes, and the documentation leaves open what rounding does where not: refused.

    Raises:
        UnsupportedError: a factor that gives no whole number of pixels.
    """
    size = []
    for factor, length in ((float(scale_factor_height), x.shape[-2]), (float(scale_factor_width), x.shape[-1])):
        exact = factor * length
        if abs(exact - round(exact)) > _WHOLE or round(exact) < 1:
            raise UnsupportedError(f"a factor of {factor:g} on {length} pixels gives no whole number of them")
        size.append(round(exact))
    return _resize(x, size[0], size[1], "STRICT_ALIGN_CORNERS" if align_corners else "UNALIGN_CORNERS")


def resize_bilinear(
    x: Floats, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT"
) -> Floats:
    """MIL's ``resize_bilinear``: resize the last two axes to a size.

    Raises:
        UnsupportedError: an unknown mode.
    """
    return _resize(x, target_size_height, target_size_width, sampling_mode)


def resize(
    x: Floats,
    shape: NDArray[Any],
    resized_dims: int,
    interpolation_mode: str = "LINEAR",
    sampling_mode: str = "DEFAULT",
) -> Floats:
    """MIL's ``resize`` (iOS 17), for the last two axes and linear interpolation.

    Args:
        x: float32, rank 2 at least.
        shape: its last ``resized_dims`` numbers are the new sizes; 0 keeps the size.
        resized_dims: how many axes: 2 here.
        interpolation_mode: "LINEAR" here.
        sampling_mode: as :func:`resize_bilinear`.

    Raises:
        UnsupportedError: other axes, another interpolation, an unknown mode.
    """
    if resized_dims != 2 or len(shape) < 2 or interpolation_mode != "LINEAR":
        raise UnsupportedError(
            f"only linear interpolation of the last two axes is supported, and this is {interpolation_mode} of "
            f"{resized_dims}"
        )
    rows, columns = (int(wanted) or kept for wanted, kept in zip(shape[-2:], x.shape[-2:], strict=True))
    return _resize(x, rows, columns, sampling_mode)


def sample_points(length: int, count: int, mode: str) -> NDArray[np.float64]:
    """Where ``count`` samples are taken on a line of ``length`` pixels, whose centres are at 0 ... length - 1.

    Args:
        length: pixels of the input.
        count: pixels of the output.
        mode: UNALIGN_CORNERS is PyTorch's align_corners=False (half-pixel centres), STRICT_ALIGN_CORNERS its
            align_corners=True, and ALIGN_CORNERS differs from it for a single sample, which is the middle; DEFAULT is
            TensorFlow's old asymmetric grid, i * length / count; OFFSET_CORNERS divides the span between the outer
            centres into ``count`` parts and takes their middles.

    Returns:
        float64, (count,), each in [0, length - 1].

    Raises:
        UnsupportedError: an unknown mode.
    """
    steps = np.arange(count, dtype=np.float64)
    match mode:
        case "UNALIGN_CORNERS":
            points = (steps + 0.5) * (length / count) - 0.5
        case "STRICT_ALIGN_CORNERS" | "ALIGN_CORNERS" if count > 1:
            points = steps * ((length - 1) / (count - 1))
        case "STRICT_ALIGN_CORNERS":
            points = steps
        case "ALIGN_CORNERS":
            points = steps + (length - 1) / 2
        case "DEFAULT":
            points = steps * (length / count)
        case "OFFSET_CORNERS":
            points = (steps + 0.5) * (max(1, length - 1) / count)
        case _:
            raise UnsupportedError(f"the sampling mode {mode!r} is unknown")
    return points.clip(0, length - 1)


def _resize(x: Floats, rows: int, columns: int, mode: str) -> Floats:
    if x.ndim < 2 or min(rows, columns) < 1:
        raise UnsupportedError(f"no {rows}x{columns} pixels can be made of rank {x.ndim}")
    return _along_last_axis(_along_rows(x, rows, mode), columns, mode)


def _along_rows(x: Floats, count: int, mode: str) -> Floats:
    low, high, share = _neighbours(x.shape[-2], count, mode)
    below = x[..., low, :]
    result = x[..., high, :]
    result -= below
    result *= share[:, None]
    result += below
    return result


def _along_last_axis(x: Floats, count: int, mode: str) -> Floats:
    low, high, share = _neighbours(x.shape[-1], count, mode)
    below = np.take(x, low, axis=-1)
    result = np.take(x, high, axis=-1)
    result -= below
    result *= share
    result += below
    return result


def _neighbours(length: int, count: int, mode: str) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """For each sample the pixel before it, the pixel after it, and how far it is from the one before."""
    points = sample_points(length, count, mode)
    low = np.floor(points).astype(np.intp)
    return low, np.minimum(low + 1, length - 1), (points - low).astype(np.float32)
