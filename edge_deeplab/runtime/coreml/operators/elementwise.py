"""Operators that treat each element on its own, the softmax and the mean, in MIL's words (iOS 15 and later)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError

Array = NDArray[Any]
Floats = NDArray[np.float32]


def add(x: Array, y: Array) -> Array:
    """x + y, broadcast as numpy does."""
    result: Array = np.add(x, y)
    return result


def sub(x: Array, y: Array) -> Array:
    """x - y, broadcast as numpy does."""
    result: Array = np.subtract(x, y)
    return result


def mul(x: Array, y: Array) -> Array:
    """x * y, broadcast as numpy does."""
    result: Array = np.multiply(x, y)
    return result


def real_div(x: Floats, y: Floats) -> Floats:
    """x / y, broadcast as numpy does; of floats only.

    Raises:
        UnsupportedError: integers, of which MIL's documentation does not say how they are divided.
    """
    if np.asarray(x).dtype.kind != "f" or np.asarray(y).dtype.kind != "f":
        raise UnsupportedError("only floating-point numbers are divided here")
    result: Floats = np.divide(x, y)
    return result


def maximum(x: Array, y: Array) -> Array:
    """The larger of x and y, broadcast as numpy does."""
    result: Array = np.maximum(x, y)
    return result


def relu(x: Floats) -> Floats:
    """max(x, 0)."""
    result: Floats = np.maximum(x, np.float32(0))
    return result


def relu6(x: Floats) -> Floats:
    """min(max(x, 0), 6)."""
    return clip(x, np.float32(0), np.float32(6))


def clip(x: Floats, alpha: Floats | np.float32, beta: Floats | np.float32) -> Floats:
    """min(max(x, alpha), beta)."""
    result = np.maximum(x, alpha)
    return np.minimum(result, beta, out=result)


def thresholded_relu(x: Floats, alpha: Floats | float = 1.0) -> Floats:
    """x where it is at least alpha, else 0."""
    return np.where(x >= np.float32(alpha), x, np.float32(0))


def sigmoid_hard(x: Floats, alpha: Floats | float = 0.2, beta: Floats | float = 0.5) -> Floats:
    """min(max(alpha * x + beta, 0), 1)."""
    return clip(x * np.float32(alpha) + np.float32(beta), np.float32(0), np.float32(1))


def sigmoid(x: Floats) -> Floats:
    """1 / (1 + exp(-x)), without overflow on either side."""
    decay = np.exp(-np.abs(x))
    result: Floats = np.where(x >= 0, np.float32(1), decay) / (np.float32(1) + decay)
    return result


def softmax(x: Floats, axis: int = -1) -> Floats:
    """exp(x) / sum(exp(x)) along one axis; the greatest element is subtracted first, so that nothing overflows."""
    powers: Floats = np.exp(x - x.max(axis=axis, keepdims=True))
    powers /= powers.sum(axis=axis, keepdims=True)
    return powers


def reduce_mean(x: Floats, axes: Sequence[int] | Array | None = None, keep_dims: bool = False) -> Floats:
    """The mean over some axes (None: all)."""
    over = None if axes is None else tuple(map(int, axes))
    result: Floats = np.asarray(x.mean(axis=over, keepdims=keep_dims, dtype=np.float32))
    return result


def cast(x: Array, dtype: str) -> Array:
    """Change the element type: to integers by cutting the fraction off.

    Every floating-point type is float32 in here: who wants float16 rounds the result.

    Raises:
        UnsupportedError: an unknown type.
    """
    kinds: dict[str, type[np.generic]] = {
        "fp16": np.float32,
        "fp32": np.float32,
        "int8": np.int8,
        "uint8": np.uint8,
        "int16": np.int16,
        "uint16": np.uint16,
        "int32": np.int32,
        "bool": np.bool_,
    }
    if dtype not in kinds:
        raise UnsupportedError(f"the type {dtype!r} is unknown")
    return np.asarray(x).astype(kinds[dtype])
