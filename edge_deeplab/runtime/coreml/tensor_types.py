"""The element types of MIL, Core ML's intermediate language, and how their values lie in bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ElementType(Enum):
    """An element type: its number in MIL.proto, its number in a weight file (0: never there), bits and numpy type.

    The numbers are those of ``enum DataType`` in MIL.proto and of ``enum class BlobDataType`` in coremltools'
    mlmodel/src/MILBlob/Blob/BlobDataType.hpp. Types below eight bits are packed in a file, lowest bit first, and have a
    byte for each element in memory.
    """

    BOOL = (1, 0, 8, np.bool_)
    STRING = (2, 0, 0, np.str_)
    FLOAT16 = (10, 1, 16, np.float16)
    FLOAT32 = (11, 2, 32, np.float32)
    FLOAT64 = (12, 0, 64, np.float64)
    INT8 = (21, 4, 8, np.int8)
    INT16 = (22, 6, 16, np.int16)
    INT32 = (23, 14, 32, np.int32)
    INT64 = (24, 0, 64, np.int64)
    INT4 = (25, 8, 4, np.int8)
    UINT8 = (31, 3, 8, np.uint8)
    UINT16 = (32, 7, 16, np.uint16)
    UINT32 = (33, 15, 32, np.uint32)
    UINT64 = (34, 0, 64, np.uint64)
    UINT4 = (35, 11, 4, np.uint8)
    UINT2 = (36, 10, 2, np.uint8)
    UINT1 = (37, 9, 1, np.uint8)
    UINT6 = (38, 13, 6, np.uint8)
    UINT3 = (39, 12, 3, np.uint8)

    def __init__(self, number: int, blob_number: int, bits: int, dtype: type[np.generic]) -> None:
        self.number = number
        self.blob_number = blob_number
        self.bits = bits
        self.dtype = dtype

    @property
    def floating(self) -> bool:
        """float16, float32 or float64."""
        return issubclass(self.dtype, np.floating)


ELEMENT_TYPES = {element.number: element for element in ElementType}


@dataclass(frozen=True)
class TensorType:
    """What a program declares of a value: element type and shape (empty: zero-dimensional)."""

    element: ElementType
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """How many elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """How many bytes they take, packed."""
        return -(-self.size * self.element.bits // 8)

    def __str__(self) -> str:
        return f"{self.element.name.lower()} {'x'.join(map(str, self.shape)) or 'scalar'}"

    def decode(self, content: bytes) -> NDArray[Any]:
        """Read the elements from exactly :attr:`nbytes` bytes, little-endian and row-major."""
        element = self.element
        if element.bits >= 8:
            values = np.frombuffer(content, np.dtype(element.dtype).newbyteorder("<")).astype(element.dtype)
        else:
            values = unpack(np.frombuffer(content, np.uint8), element.bits, self.size)
            if element.dtype is np.int8:
                sign = 1 << (element.bits - 1)
                values = ((values ^ sign).astype(np.int8) - np.int8(sign)).astype(np.int8)
        return values.reshape(self.shape)


def unpack(content: NDArray[np.uint8], bits: int, count: int) -> NDArray[np.uint8]:
    """Read ``count`` unsigned numbers of ``bits`` (at most 8) bits each.

    The lowest bit comes first, in a byte and in a number: a number that does not fit into a byte has its low bits in
    that byte's high bits, and goes on in the next byte's low bits (MIL's constexpr_lut_to_dense).
    """
    if bits == 8:
        return content[:count]
    stream = np.unpackbits(content, count=count * bits, bitorder="little").reshape(count, bits)
    return np.packbits(stream, axis=1, bitorder="little")[:, 0]
