"""Which activation point a tensor of an exported file is, told by its values: the part that all formats share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.ranges import QuantRanges

# Error of the largest value, relative to it: the exporters' float32 files differ by 1e-4 at most, and two different
# layers of one network by about 1.
_TOLERANCE = 2e-3


class PointValues:
    """What the points of the PyTorch network hold for one picture."""

    def __init__(self, values: Mapping[str, NDArray[Any]]) -> None:
        """Args: values: point name to its tensor, float, in the layout of the file that is matched."""
        self._by_shape: dict[tuple[int, ...], list[tuple[str, NDArray[Any]]]] = {}
        for name, value in values.items():
            self._by_shape.setdefault(value.shape, []).append((name, value))

    def near(self, values: NDArray[Any]) -> tuple[str, ...]:
        """The points with these values, in order of execution; empty where there is none."""
        return tuple(
            name
            for name, expected in self._by_shape.get(values.shape, ())
            if np.abs(values - expected).max() <= _TOLERANCE * max(float(np.abs(expected).max()), 1e-3)
        )


def settle(tensor: str, names: Sequence[str], ranges: QuantRanges) -> str:
    """The point whose range a tensor gets; several are no harm where they have the same.

    Args:
        tensor: for the message: "the TFLite tensor 'x'".
        names: the points that it could be, at least one.
        ranges: of all points.

    Raises:
        ConversionError: these points have different ranges.
    """
    if len({ranges.activation(name).affine for name in names}) > 1:
        raise ConversionError(
            f"{tensor} could be any of {', '.join(names)}, "
            "which have different ranges: are these layers dead (all zero)?"
        )
    return names[0]


def unknown_tensor(tensor: str) -> ConversionError:
    """The error for a tensor with nobody's values; ``tensor`` as in :func:`settle`."""
    return ConversionError(
        f"{tensor} holds the values of no layer of the PyTorch network: the export changed the network, or the file is "
        "another checkpoint's"
    )


def close(found: NDArray[Any], expected: NDArray[Any]) -> bool:
    """Constants are equal but for float32's rounding."""
    return bool(np.abs(found - expected).max() <= 1e-5 * max(float(np.abs(expected).max()), 1e-6))
