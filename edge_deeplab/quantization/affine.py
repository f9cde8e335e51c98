"""Affine int8 arithmetic: real = scale * (integer - zero_point).

The scheme is TFLite's (Jacob et al. 2018, arXiv 1712.05877, section 2; Krishnamoorthi 2018, arXiv 1806.08342,
sections 2.1 and 2.4): activations asymmetric, one scale a tensor; weights symmetric, one scale an output channel;
biases int32 without a zero point. Everything that rounds, rounds halves to even, as XNNPACK's kernels and PyTorch's
fake-quantize do; TFLite's builtin reference kernels round halves away from zero, which differs on exact ties only.

Scales are float32 values, because that is what a TFLite file stores: the numbers that a simulation uses and those in
the file are then the same to the last bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

INT8_MIN, INT8_MAX = -128, 127
WEIGHT_MAX = 127
"""Weights keep to [-127, 127]: symmetric, so that their zero point is 0 (Krishnamoorthi 2018, section 2.1)."""

UINT8_SHIFT = 128
"""The uint8 form of an int8 tensor: every integer and the zero point this much larger, for the same real numbers."""

# An int32 bias at s_in * s_w must not overflow, and half of the range is left to the accumulator it is added to.
_BIAS_LIMIT = float(2**30)

Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Affine:
    """Scale and zero point of one int8 tensor.

    Attributes:
        scale: the real distance between neighbouring integers; positive and a float32 value.
        zero_point: the integer that stands for 0.0; in [-128, 127].
    """

    scale: float
    zero_point: int

    def __post_init__(self) -> None:
        if not (math.isfinite(self.scale) and self.scale > 0):
            raise ValueError(f"a scale must be positive and finite, not {self.scale}")
        if not INT8_MIN <= self.zero_point <= INT8_MAX:
            raise ValueError(f"a zero point must be in [-128, 127], not {self.zero_point}")
        object.__setattr__(self, "scale", float(np.float32(self.scale)))

    @property
    def low(self) -> float:
        """The smallest real number that can be represented."""
        return self.scale * (INT8_MIN - self.zero_point)

    @property
    def high(self) -> float:
        """The largest real number that can be represented."""
        return self.scale * (INT8_MAX - self.zero_point)


PIXELS = Affine(1 / 255, INT8_MIN)
"""The network's input: exact for RGB in [0, 1] that came from 0..255."""

PROBABILITY = Affine(1 / 256, INT8_MIN)
"""The output of a sigmoid or softmax: the one that TFLite's int8 kernels prescribe."""


def affine_from_range(low: float, high: float) -> Affine:
    """Scale and zero point that cover [low, high] and represent 0.0 exactly (padding is made of zeros).

    The range is widened to contain zero, and the zero point rounded to an integer, which shifts the
    range by half a step at most (Jacob et al. 2018, section 3.1).

    Raises:
        ValueError: not finite, reversed, or of zero width.
    """
    if not (math.isfinite(low) and math.isfinite(high)) or low > high:
        raise ValueError(f"[{low}, {high}] is no range")
    low, high = min(low, 0.0), max(high, 0.0)
    scale = float(np.float32((high - low) / (INT8_MAX - INT8_MIN)))
    if scale <= 0.0 or not math.isfinite(scale):
        raise ValueError(f"the range [{low}, {high}] has no width, or too much, for a float32 scale")
    zero_point = INT8_MIN - round(low / scale)
    return Affine(scale, min(max(zero_point, INT8_MIN), INT8_MAX))


def quantize(values: Floats, affine: Affine) -> NDArray[np.int8]:
    """Round to the nearest integer, halves to even, and saturate: float, any shape -> int8, same shape."""
    integers = np.rint(np.asarray(values, np.float64) / affine.scale) + affine.zero_point
    clipped: NDArray[np.int8] = np.clip(integers, INT8_MIN, INT8_MAX).astype(np.int8)
    return clipped


def dequantize(integers: NDArray[np.int8], affine: Affine) -> NDArray[np.float32]:
    """int8, any shape -> float32, same shape: the real numbers that the integers stand for."""
    return ((integers.astype(np.float64) - affine.zero_point) * affine.scale).astype(np.float32)


def symmetric_scales(weights: Floats, axis: int) -> NDArray[np.float32]:
    """One scale for each channel: max|w| / 127 (Krishnamoorthi 2018, section 3.1.1).

    A channel of nothing but zeros can have any scale: it gets the largest of the others, or 1.

    Args:
        weights: float, any shape.
        axis: the channel's axis.

    Returns:
        float32, (channels,), positive.

    Raises:
        ValueError: a weight is not finite.
    """
    if not np.isfinite(weights).all():
        raise ValueError("a weight is not finite")
    peaks = np.abs(np.moveaxis(np.asarray(weights, np.float64), axis, 0)).reshape(weights.shape[axis], -1).max(axis=1)
    scales: NDArray[np.float32] = (peaks / WEIGHT_MAX).astype(np.float32)
    usable = scales >= np.finfo(np.float32).tiny
    scales[~usable] = scales[usable].max() if usable.any() else 1.0
    return scales


def widen_for_bias(scales: NDArray[np.float32], bias: Floats, input_scale: float) -> NDArray[np.float32]:
    """Raise the scales of those channels whose bias would not fit into int32 at s_in * s_w.

    A channel that training switched off has tiny weights and an ordinary bias; its weights lose nothing
    that could be seen next to that bias.
    """
    least = (np.abs(np.asarray(bias, np.float64)) / (input_scale * _BIAS_LIMIT)).astype(np.float32)
    widened: NDArray[np.float32] = np.maximum(scales, least)
    return widened


def quantize_weights(weights: Floats, scales: NDArray[np.float32], axis: int) -> NDArray[np.int8]:
    """Round to the nearest integer, halves to even, and saturate at +-127.

    Args:
        weights: float, any shape.
        scales: float32, (channels,).
        axis: the channel's axis in ``weights``.

    Returns:
        int8, the shape of ``weights``.
    """
    integers = np.rint(np.asarray(weights, np.float64) / _along(scales, axis, weights.ndim))
    clipped: NDArray[np.int8] = np.clip(integers, -WEIGHT_MAX, WEIGHT_MAX).astype(np.int8)
    return clipped


def dequantize_weights(integers: NDArray[np.int8], scales: NDArray[np.float32], axis: int) -> NDArray[np.float32]:
    """The inverse of :func:`quantize_weights`, up to its rounding."""
    return (integers.astype(np.float64) * _along(scales, axis, integers.ndim)).astype(np.float32)


def bias_scales(input_scale: float, weight_scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """s_in * s_w of each channel, in float32 as TFLite computes and stores it."""
    return np.float32(input_scale) * weight_scales


def quantize_bias(bias: Floats, scales: NDArray[np.float32]) -> NDArray[np.int32]:
    """float, (channels,) -> int32, (channels,), at :func:`bias_scales`; halves to even.

    Raises:
        ValueError: a bias does not fit into int32 (see :func:`widen_for_bias`).
    """
    integers = np.rint(np.asarray(bias, np.float64) / scales)
    if not (np.abs(integers) < 2**31).all():
        raise ValueError("a bias does not fit into int32 at s_in * s_w")
    fitting: NDArray[np.int32] = integers.astype(np.int32)
    return fitting


def dequantize_bias(integers: NDArray[np.int32], scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """The inverse of :func:`quantize_bias`, up to its rounding: int32, (channels,) -> float32, (channels,)."""
    return (integers.astype(np.float64) * scales).astype(np.float32)


def _along(scales: NDArray[np.float32], axis: int, dimensions: int) -> NDArray[np.float64]:
    shape = [1] * dimensions
    shape[axis] = -1
    return scales.astype(np.float64).reshape(shape)
