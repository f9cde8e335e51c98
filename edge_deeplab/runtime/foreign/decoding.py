"""Between the bytes of a picture and the numbers of a file: plain functions on arrays."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.runtime.foreign.adaptation import InputRange, OutputKind
from edge_deeplab.runtime.foreign.layout import End


def input_table(input_range: InputRange, end: End) -> NDArray[Any]:
    """What the file takes for each of the 256 bytes, for each channel in the file's order.

    Args:
        input_range: the real numbers for the bytes 0 and 255.
        end: the file's input: its type and quantization. Integers are rounded to the nearest and limited to the type.

    Returns:
        (256, 1) where the channels have one range, else (256, 3), of the input's type.
    """
    channels = 1 if input_range.same else 3
    low, high = (np.array(ends[:channels]) for ends in (input_range.low, input_range.high))
    real: NDArray[np.float64] = low + np.arange(256)[:, None] / 255 * (high - low)
    dtype = np.dtype(end.dtype)
    if end.is_float:
        return real.astype(dtype)
    limits = np.iinfo(end.dtype)
    scale = 1.0 if end.scale is None else end.scale
    stored: NDArray[np.float64] = np.clip(np.rint(real / scale) + end.zero_point, limits.min, limits.max)
    return stored.astype(dtype)


def encode(pixels: NDArray[np.uint8], table: NDArray[Any], out: NDArray[Any]) -> None:
    """Look up each byte of a picture in an :func:`input_table`.

    Args:
        pixels: uint8, (rows, columns, 3), in the file's order of colours, contiguous.
        table: what the file takes for each byte.
        out: of the table's type and the picture's shape, contiguous: is filled.
    """
    if table.dtype.itemsize == 1:  # OpenCV looks up one-byte types as uint8
        table, out = table.view(np.uint8), out.view(np.uint8)
    cv2.LUT(pixels, table[None], dst=out)


def person_probability(
    output: NDArray[Any], end: End, kind: OutputKind, channel: int, *, background: bool
) -> NDArray[np.float32]:
    """The probability of the person at each pixel.

    Args:
        output: as the file gives it, (rows, columns, channels).
        end: its type and quantization.
        kind: what its numbers are.
        channel: the class that is looked at.
        background: that class is the background: 1 minus its probability is given.

    Returns:
        A fresh float32 array, (rows, columns, 1). Probabilities are given as they are, even outside of [0, 1].
    """
    match kind:
        case OutputKind.CLASSES:
            chosen: NDArray[np.bool_] = output != channel if background else output == channel
            return chosen.astype(np.float32)
        case OutputKind.PROBABILITIES:
            values = _real(output[:, :, channel : channel + 1], end)
        case OutputKind.LOGITS:
            values = _activated(_real(output, end), channel)
    return np.subtract(1, values, out=values) if background else values


def _real(stored: NDArray[Any], end: End) -> NDArray[np.float32]:
    """The real numbers, in a fresh array."""
    if end.scale is None:
        return np.array(stored, np.float32, order="C")
    values: NDArray[np.float32] = np.subtract(stored, np.float32(end.zero_point), dtype=np.float32)
    values *= np.float32(end.scale)
    return np.ascontiguousarray(values)


def _activated(logits: NDArray[np.float32], channel: int) -> NDArray[np.float32]:
    """A channel's sigmoid where it is the only one, else its softmax; ``logits`` are overwritten."""
    channels = logits.shape[2]
    if channels > 2:
        logits -= logits.max(axis=2, keepdims=True)
        np.exp(logits, out=logits)
        probability: NDArray[np.float32] = logits[:, :, channel : channel + 1] / logits.sum(axis=2, keepdims=True)
        return probability
    # The softmax of two is the sigmoid of their difference; by tanh, which does not overflow.
    values = logits if channels == 1 else logits[:, :, channel, None] - logits[:, :, 1 - channel, None]
    values *= np.float32(0.5)
    np.tanh(values, out=values)
    values *= np.float32(0.5)
    values += np.float32(0.5)
    return values
