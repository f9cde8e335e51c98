"""What the sessions have in common: which pixels they take, how channels are named, which probabilities they accept."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ImageError, ModelFileError
from edge_deeplab.spec import PERSON

_ROUNDING = 1e-5  # by which a softmax in float32 may leave [0, 1]


def check_pixels(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Give ``pixels`` as a contiguous array.

    Raises:
        ImageError: not uint8, or not exactly (height, width, 3).
    """
    if pixels.dtype != np.uint8 or pixels.shape != (height, width, 3):
        raise ImageError(
            f"the model takes RGB uint8 {height}x{width}x3, and was given {pixels.dtype} "
            f"{'x'.join(map(str, pixels.shape))}: resize it first (Segmenter does)"
        )
    return np.ascontiguousarray(pixels)


def check_probabilities(values: NDArray[np.float32], path: Path) -> NDArray[np.float32]:
    """Give ``values`` back, in [0, 1], if they are probabilities but for rounding.

    Raises:
        ModelFileError: some are not finite, or outside [0, 1].
    """
    low, high = float(values.min()), float(values.max())
    if not (low >= -_ROUNDING and high <= 1 + _ROUNDING):  # also false for NaN
        raise ModelFileError(
            f"{path} gives values from {low:.3g} to {high:.3g}, which are no probabilities: "
            "convert it with the sigmoid or softmax inside"
        )
    return values if low >= 0 and high <= 1 else values.clip(0, 1)


def class_names(classes: Sequence[str] | None, channels: int, path: Path) -> tuple[str, ...]:
    """One name for each output channel: those of the sidecar, or "person" for one channel, or "class 0", "class 1", ...

    Raises:
        ModelFileError: the sidecar names another number of classes than the file has channels.
    """
    if classes is None:
        return (PERSON,) if channels == 1 else tuple(f"class {index}" for index in range(channels))
    if len(classes) != channels:
        raise ModelFileError(
            f"{path} has {channels} output channels, and its sidecar names {len(classes)} classes: "
            "convert the model again"
        )
    return tuple(classes)


def thread_count(threads: int | None) -> int:
    """The wish, or the number of cores, at most 4: more gains nothing at these sizes and starves the rest."""
    return threads if threads is not None else min(4, os.cpu_count() or 1)


def plural_threads(threads: int) -> str:
    """ "1 thread", "2 threads"."""
    return f"{threads} thread{'' if threads == 1 else 's'}"
