"""Tables of a flatbuffer whose schema has no generated Python code: the numbers of fields to their values, packed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from numpy.typing import NDArray

ALIGNMENT = 16  # bytes; the force_align that TFLite's schemas ask for wherever bytes are another flatbuffer or weights

Table = Mapping[int, "Value"]
"""A field's number in its table to its value; what is left out has the schema's default.

A union takes two numbers: that of its kind, uint8, and that of its table.
"""

Value = str | bytes | np.uint8 | np.uint32 | NDArray[np.float32] | Table | Sequence[Table]
"""A text, a vector of bytes, a number of that type, a vector of floats, a table, or a vector of tables."""


def pack(root: Table, identifier: bytes) -> bytes:
    """A whole flatbuffer; the same tables give the same bytes.

    Args:
        root: its root table.
        identifier: the four bytes of the schema's file_identifier.
    """
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, root), identifier)
    return bytes(builder.Output())


def aligned_bytes(builder: Any, data: bytes) -> int:
    """Write a vector of bytes that starts at a multiple of ALIGNMENT, and give its offset."""
    builder.StartVector(1, len(data), ALIGNMENT)
    builder.head -= len(data)
    builder.Bytes[builder.head : builder.head + len(data)] = data
    return int(builder.EndVector())


def _table(builder: Any, table: Table) -> int:
    # What a table refers to is written before it.
    offsets = {number: _referred(builder, value) for number, value in table.items() if not _is_scalar(value)}
    builder.StartObject(max(table, default=-1) + 1)
    for number, value in table.items():
        if isinstance(value, np.uint8):
            builder.PrependUint8Slot(number, int(value), 0)
        elif isinstance(value, np.uint32):
            builder.PrependUint32Slot(number, int(value), 0)
        else:
            builder.PrependUOffsetTRelativeSlot(number, offsets[number], 0)
    return int(builder.EndObject())


def _is_scalar(value: Value) -> bool:
    return isinstance(value, np.uint8 | np.uint32)


def _referred(builder: Any, value: Any) -> int:
    match value:
        case str():
            return int(builder.CreateString(value))
        case bytes():
            return aligned_bytes(builder, value)
        case np.ndarray():
            return int(builder.CreateNumpyVector(value))
        case Mapping():
            return _table(builder, value)
        case _:
            return _vector(builder, [_table(builder, table) for table in value])


def _vector(builder: Any, offsets: Sequence[int]) -> int:
    builder.StartVector(4, len(offsets), 4)
    for offset in reversed(offsets):
        builder.PrependUOffsetTRelative(offset)
    return int(builder.EndVector())
