"""Constants as TensorFlow writes them: raw bytes, or lists of numbers that may be shorter than the tensor."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from edge_deeplab.errors import ModelFileError
from edge_deeplab.importing.graph_def import read_graph
from edge_deeplab.importing.protobuf import fields, varints

# Field numbers, by hand: a GraphDef with one Const. Nothing is shared with the reader.
_FLOAT, _INT32 = b"\x08\x01", b"\x08\x03"
_TWO_BY_TWO = b"\x12\x08\x12\x02\x08\x02\x12\x02\x08\x02"


def _graph(tensor: bytes) -> bytes:
    value = b"\x42" + bytes([len(tensor)]) + tensor
    entry = b"\x0a\x05value\x12" + bytes([len(value)]) + value
    node = b"\x0a\x01c\x12\x05Const\x2a" + bytes([len(entry)]) + entry
    return b"\x0a" + bytes([len(node)]) + node


@pytest.mark.parametrize(
    ("tensor", "expected"),
    [
        (_FLOAT + _TWO_BY_TWO + b"\x22\x10" + struct.pack("<4f", 1, 2, 3, -4), [[1, 2], [3, -4]]),
        (_FLOAT + _TWO_BY_TWO + b"\x2a\x08" + struct.pack("<2f", 1, 2.5), [[1, 2.5], [2.5, 2.5]]),
        (_FLOAT + _TWO_BY_TWO + b"\x2d" + struct.pack("<f", 7), [[7, 7], [7, 7]]),  # not packed
        (_FLOAT + b"\x12\x00\x2a\x04" + struct.pack("<f", 0.5), 0.5),
        (_INT32 + _TWO_BY_TWO + b"\x3a\x02\x81\x04", [[513, 513], [513, 513]]),
        (_INT32 + b"\x12\x00\x38" + b"\xff" * 9 + b"\x01", -1),
    ],
)
def test_constants(tensor: bytes, expected: object) -> None:
    value = read_graph(_graph(tensor), "a.pb").constant("c")
    np.testing.assert_array_equal(value, np.array(expected, value.dtype))
    assert value.dtype == (np.float32 if tensor.startswith(_FLOAT) else np.int32)


@pytest.mark.parametrize(
    ("tensor", "said"),
    [
        (b"\x08\x02" + _TWO_BY_TWO + b"\x22\x20" + bytes(32), "neither float32 nor int32"),  # DT_DOUBLE
        (_FLOAT + _TWO_BY_TWO + b"\x22\x0c" + bytes(12), "12 bytes for 4 elements"),
        (_FLOAT + _TWO_BY_TWO + b"\x2a\x14" + bytes(20), "5 numbers for 4 elements"),
        (_FLOAT + _TWO_BY_TWO, "0 numbers for 4 elements"),
        (_FLOAT + b"\x12\x0d\x12\x0b\x08" + b"\xff" * 9 + b"\x01" + b"\x22\x04" + bytes(4), "shape is not known"),
    ],
)
def test_a_damaged_constant_is_refused(tensor: bytes, said: str) -> None:
    with pytest.raises(ModelFileError, match=f"a.pb: the constant 'c' is damaged .*{said}"):
        read_graph(_graph(tensor), "a.pb").constant("c")


@pytest.mark.parametrize(
    "content",
    [b"\x0a", b"\x0a\x05abc", b"\x08", b"\x08" + b"\xff" * 11, b"\x08" + b"\xff" * 9 + b"\x7f", b"\x0d\x00", b"\x0b",
     b"\x00\x00"],
)  # fmt: skip
def test_what_is_no_message_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"ends in the middle|beyond the end|longer than 64|wire type|number 0"):
        list(fields(memoryview(content)))


def test_repeated_numbers() -> None:
    assert varints(3) == [3]
    assert varints(memoryview(b"\x01\x81\x04" + b"\xff" * 9 + b"\x01")) == [1, 513, -1]
    with pytest.raises(ValueError, match="ends in the middle"):
        varints(memoryview(b"\x81"))
