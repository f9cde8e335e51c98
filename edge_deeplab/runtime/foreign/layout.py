"""The two ends of a model file: element type, shape, quantization; and where rows, columns and channels are in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError

_FLOATS = ("float16", "float32")
_INTEGERS = ("uint8", "int8", "int16", "int32", "int64")


@dataclass(frozen=True)
class End:
    """The input or the output of a file.

    Attributes:
        dtype: numpy's word for its elements.
        shape: its sizes, batch first; None for one that is not fixed.
        scale: real = (stored - zero_point) * scale; None for elements that mean what they are.
        zero_point: see there; 0 where there is no scale.
    """

    dtype: str
    shape: tuple[int | None, ...]
    scale: float | None = None
    zero_point: int = 0

    @property
    def is_float(self) -> bool:
        """Its elements are floating-point numbers."""
        return self.dtype in _FLOATS

    @property
    def real_range(self) -> tuple[float, float]:
        """The real numbers that the smallest and the greatest integer stand for."""
        limits = np.iinfo(self.dtype)
        scale = 1.0 if self.scale is None else self.scale
        return (int(limits.min) - self.zero_point) * scale, (int(limits.max) - self.zero_point) * scale

    def __str__(self) -> str:
        return f"{self.dtype} {'x'.join('?' if size is None else str(size) for size in self.shape)}"


@dataclass(frozen=True)
class Layout:
    """Where the rows, columns and channels of an end are.

    Attributes:
        rows: of the picture or the map.
        columns: of it.
        channels: of it.
        channels_first: 1 x channels x rows x columns; otherwise 1 x rows x columns x channels.
    """

    rows: int
    columns: int
    channels: int
    channels_first: bool

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """As a tensor of four dimensions, batch 1."""
        if self.channels_first:
            return 1, self.channels, self.rows, self.columns
        return 1, self.rows, self.columns, self.channels

    def view(self, tensor: NDArray[Any]) -> NDArray[Any]:
        """A tensor of as many elements, as (rows, columns, channels), not copied."""
        image: NDArray[Any] = tensor.reshape(self.shape)[0]
        return image.transpose(1, 2, 0) if self.channels_first else image


def input_layout(end: End, file: str) -> Layout:
    """Where the picture is in the input: a fixed size, batch 1 (or free, then 1 is taken), three channels.

    Args:
        end: the input.
        file: its name, for the error message.

    Raises:
        ModelFileError: it takes no such picture.
    """
    layout: Layout | None = None
    match end.shape:
        case (1 | None, int(rows), int(columns), 3):
            layout = Layout(rows, columns, 3, channels_first=False)
        case (1 | None, 3, int(rows), int(columns)):
            layout = Layout(rows, columns, 3, channels_first=True)
    if layout is None or min(layout.shape) < 1 or end.dtype not in (*_FLOATS, "uint8", "int8"):
        raise ModelFileError(
            f"{file} is no segmentation model for this: its input is {end}, and must be float, uint8 or int8 of "
            "1 x rows x columns x 3 or 1 x 3 x rows x columns, of a fixed size"
        )
    return layout


def output_layout(end: End, picture: Layout, file: str) -> Layout:
    """Where the map is in the output: in four dimensions, or without batch or channel, or with the pixels in one row.

    What is rows and what is channels is told by the proportions, which are those of the picture; the map may be
    smaller than it.

    Args:
        end: the output.
        picture: the input.
        file: its name, for the error message.

    Raises:
        ModelFileError: it is no map.
    """
    if end.dtype in (*_FLOATS, *_INTEGERS):
        for layout in _readings(end.shape, picture):
            # Sizes are rounded at each halving, so the sides may be off by one.
            off = abs(layout.rows * picture.columns - layout.columns * picture.rows)
            if min(layout.shape) >= 1 and off <= max(picture.rows, picture.columns):
                return layout
    raise ModelFileError(
        f"{file} is no segmentation model for this: its output is {end}, and must be a map of {picture.rows}x"
        f"{picture.columns} pixels or of these proportions, with a channel for each class or the number of the class"
    )


def _readings(shape: tuple[int | None, ...], picture: Layout) -> list[Layout]:
    """What a shape may mean, the likeliest first."""
    first = picture.channels_first
    pixels = picture.rows * picture.columns
    match shape:
        case (1 | None, int(a), int(b), int(c)):
            readings = [Layout(b, c, a, channels_first=True), Layout(a, b, c, channels_first=False)]
            return readings if first else readings[::-1]
        case (1 | None, int(count), int(channels)) if count == pixels:
            return [Layout(picture.rows, picture.columns, channels, channels_first=False)]
        case (1 | None, int(rows), int(columns)):
            return [Layout(rows, columns, 1, channels_first=False)]
        case (1 | None, int(count)) if count == pixels:
            return [Layout(picture.rows, picture.columns, 1, channels_first=False)]
        case _:
            return []
