"""Operators that move elements and compute nothing, in MIL's words (iOS 15 and later)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError

Array = NDArray[Any]
Numbers = Sequence[int] | Array


def concat(values: Array | Sequence[Array], axis: int, interleave: bool = False) -> Array:
    """Join arrays along an axis.

    Raises:
        UnsupportedError: interleaved.
    """
    if interleave:
        raise UnsupportedError("interleaved arrays are not supported")
    return values if isinstance(values, np.ndarray) else np.concatenate(list(values), axis=axis)


def pad(x: Array, pad: Numbers, mode: str = "constant", constant_val: Array | float = 0.0) -> Array:
    """Pad the last axes.

    Args:
        x: any.
        pad: before and after each of the last len(pad) / 2 axes.
        mode: "constant", "reflect" (without the border pixel) or "replicate".
        constant_val: for "constant".

    Raises:
        UnsupportedError: an unknown mode, negative or too many numbers, a reflection longer than the axis.
    """
    widths = [tuple(map(int, pair)) for pair in np.asarray(pad).reshape(-1, 2)]
    if len(widths) > x.ndim or min(map(min, widths), default=0) < 0:
        raise UnsupportedError(f"padding by {widths} does not fit rank {x.ndim}")
    all_widths = [(0, 0)] * (x.ndim - len(widths)) + widths
    match mode:
        case "constant":
            return np.pad(x, all_widths, constant_values=constant_val)
        case "reflect":
            if any(max(width) >= length for width, length in zip(all_widths, x.shape, strict=True) if any(width)):
                raise UnsupportedError(f"a reflection by {widths} is longer than its axis")
            return np.pad(x, all_widths, mode="reflect")
        case "replicate":
            return np.pad(x, all_widths, mode="edge")
        case _:
            raise UnsupportedError(f"the padding mode {mode!r} is unknown")


def expand_dims(x: Array, axes: Numbers) -> Array:
    """Insert axes of length 1 at these places of the result."""
    return np.expand_dims(x, tuple(map(int, axes)))


def squeeze(x: Array, axes: Numbers | None = None) -> Array:
    """Drop axes of length 1 (None: all of them)."""
    return np.squeeze(x, None if axes is None else tuple(map(int, axes)))


def reshape(x: Array, shape: Numbers) -> Array:
    """The same elements, row-major, in another shape; -1 is inferred, 0 keeps the input's length at that place."""
    lengths = [int(length) or x.shape[place] for place, length in enumerate(shape)]
    return x.reshape(lengths)


def transpose(x: Array, perm: Numbers) -> Array:
    """Order the axes anew."""
    return np.transpose(x, tuple(map(int, perm)))


def tile(x: Array, reps: Numbers) -> Array:
    """Repeat along each axis."""
    return np.tile(x, tuple(map(int, reps)))
