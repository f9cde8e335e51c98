"""The wire format of protocol buffers: a message to its fields, by their numbers, without generated classes.

Enough for reading a few messages whose numbers are known, without TensorFlow and without a second protobuf in the
process (protobuf's encoding guide, "Message Structure").
"""

from __future__ import annotations

from collections.abc import Iterator

_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # wire types
_VARINT_BITS = 64  # a number is never longer
_FIXED = {_FIXED64: 8, _FIXED32: 4}  # bytes

Field = int | memoryview
"""A number (varint), or the bytes of a message, a text, packed numbers, or a fixed-width number (little-endian)."""


def fields(message: memoryview) -> Iterator[tuple[int, Field]]:
    """The fields of a message in their order: number and value. Repeated ones come several times.

    Raises:
        ValueError: it is not a message, or ends in the middle of a field.
    """
    place = 0
    while place < len(message):
        key, place = _varint(message, place)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise ValueError("a field has number 0")
        if kind == _VARINT:
            value, place = _varint(message, place)
            yield number, value
            continue
        if kind == _LENGTH:
            size, place = _varint(message, place)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(f"there is no wire type {kind}")
        if place + size > len(message):
            raise ValueError("a field goes beyond the end")
        yield number, message[place : place + size]
        place += size


def varints(field: Field) -> list[int]:
    """The numbers of a repeated integer field, one (not packed) or several (packed), as int64.

    Raises:
        ValueError: it ends in the middle of a number.
    """
    if isinstance(field, int):
        return [signed(field)]
    values, place = [], 0
    while place < len(field):
        value, place = _varint(field, place)
        values.append(signed(value))
    return values


def signed(value: int) -> int:
    """An int32 or int64 field as the number that it stands for: negative ones are written modulo 2^64."""
    return value - (1 << _VARINT_BITS) if value >> (_VARINT_BITS - 1) else value


def bytes_of(field: Field) -> memoryview:
    """The bytes of a field that must have them. Raises: ValueError: it is a number."""
    if isinstance(field, int):
        raise ValueError("a number stands where a message was expected")  # noqa: TRY004 (it is the file's fault)
    return field


def text(field: Field) -> str:
    """The text of a field. Raises: ValueError: it is none."""
    return bytes(bytes_of(field)).decode()


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _VARINT_BITS + 6, 7):
        if place >= len(message):
            raise ValueError("a number ends in the middle")
        byte = message[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >> _VARINT_BITS:
                break
            return value, place
    raise ValueError("a number is longer than 64 bits")
