"""A frozen dataclass out of JSON: its annotations say what must be there, and whatever does not fit is named."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from edge_deeplab.errors import SpecError

_WORDS = {str: "a text", int: "a whole number", float: "a finite number", bool: "true or false"}

_SHA256 = re.compile("[0-9a-f]{64}")


def read(kind: Any, value: object, place: str = "") -> Any:
    """Turn JSON's types into those of an annotation.

    Args:
        kind: a dataclass, all of whose fields must be there and no other; ``str``, ``int``, ``float``, ``bool``;
            a ``StrEnum``; ``X | None``; ``tuple[X, ...]``, a list in JSON; ``Mapping[str, X]``; or ``Any``.
        value: as the ``json`` module gives it.
        place: what the value is called in messages: "scores[2].int8".

    Raises:
        SpecError: a field is missing, unknown, of another type, or refused by its dataclass.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if origin is UnionType:
        (other,) = (one for one in arguments if one is not NoneType)
        return None if value is None else read(other, value, place)
    if origin is tuple:
        values = _of_type(list, value, place, "a list")
        return tuple(read(arguments[0], one, f"{place}[{index}]") for index, one in enumerate(values))
    if origin is Mapping:
        return {key: read(arguments[1], one, f"{place}.{key}") for key, one in _object(value, place).items()}
    if is_dataclass(kind):
        return _dataclass(kind, _object(value, place), place)
    if issubclass(kind, StrEnum):
        word = _of_type(str, value, place, _WORDS[str])
        if word not in list(kind):
            raise SpecError(f"{place} is {word[:40]!r}, none of {', '.join(kind)}")
        return kind(word)
    if kind is float and type(value) is int:
        return float(value)
    _of_type(kind, value, place, _WORDS[kind])
    if isinstance(value, float) and not math.isfinite(value):
        raise SpecError(f"{place} is {value}, not {_WORDS[float]}")
    return value


def require_sha256(name: str, value: str) -> None:
    """See that a field holds a hash. Raises: SpecError."""
    if not _SHA256.fullmatch(value):
        raise SpecError(f"{name} is {value[:70]!r}, not a SHA-256 of 64 hexadecimal digits")


def _dataclass(kind: Any, values: dict[str, Any], place: str) -> Any:
    names = [field.name for field in fields(kind)]
    for name in (*names, *values):
        if (name in names) != (name in values):
            raise SpecError(f"{_inside(place, name)} is {'missing' if name in names else 'no field that is known'}")
    hints = get_type_hints(kind)
    return kind(**{name: read(hints[name], values[name], _inside(place, name)) for name in names})


def _object(value: object, place: str) -> dict[str, Any]:
    found: dict[str, Any] = _of_type(dict, value, place, "an object with named fields")
    return found


def _of_type(kind: type[Any], value: object, place: str, words: str) -> Any:
    if type(value) is not kind:  # not isinstance: True is an int
        shown = repr(value)
        raise SpecError(f"{place or 'it'} is {shown if len(shown) < 40 else shown[:40] + '...'}, not {words}")
    return value


def _inside(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name
