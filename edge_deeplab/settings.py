"""Frozen dataclasses of settings, changed by a table out of a file.

The dataclass is the only list of what may be set: its fields are the keys, their annotations the types, and an object
of it the defaults.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeVar, get_args, get_origin, get_type_hints

from edge_deeplab.errors import SpecError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def changed(settings: T, table: Mapping[str, Any], where: str) -> T:
    """A copy of a dataclass with those fields replaced that a table names; nested tables change nested dataclasses.

    Args:
        settings: a frozen dataclass whose fields are bool, int, float, str, StrEnum, tuples of these, or such
            dataclasses.
        table: field to value, as TOML or JSON has it (lists for tuples, names for enumerations).
        where: what the table is called in messages: "portrait.toml, training".

    Raises:
        SpecError: an unknown key, a value of another type, or values that the dataclass refuses.
    """
    hints = get_type_hints(type(settings))
    names = [field.name for field in fields(settings)]
    values: dict[str, Any] = {}
    for name, value in table.items():
        if name not in names:
            raise SpecError(f"{where} has the unknown key {name!r}: it may have {', '.join(names)}")
        before = getattr(settings, name)
        values[name] = (
            changed(before, subtable(table, name, where), f"{where}.{name}")
            if is_dataclass(before) and not isinstance(before, type)
            else _converted(value, hints[name], f"{where}.{name}")
        )
    try:
        replaced: T = replace(settings, **values)
    except SpecError as error:
        raise SpecError(f"{where}: {error}") from error
    return replaced


def each_changed(settings: T, tables: Mapping[str, Any], where: str) -> dict[str, T]:
    """A copy of a dataclass for each table in a table, by its name. Raises: SpecError: as :func:`changed`."""
    return {name: changed(settings, subtable(tables, name, where), f"{where}.{name}") for name in tables}


def subtable(table: Mapping[str, Any], name: str, where: str) -> Mapping[str, Any]:
    """A table in a table; an empty one if there is none of that name. Raises: SpecError: it is no table."""
    found = table.get(name, {})
    if not isinstance(found, Mapping):
        raise SpecError(f"{where}.{name} is {found!r}: it must be a table")
    return found


def _converted(value: Any, wanted: Any, where: str) -> Any:
    if get_origin(wanted) is tuple:
        return _tuple(value, get_args(wanted), where)
    if issubclass(wanted, StrEnum):
        if value not in list(wanted):
            raise SpecError(f"{where} is {value!r}: choose from {', '.join(wanted)}")
        return wanted(value)
    if wanted is float and type(value) is int:  # TOML's 20 for 20.0
        return float(value)
    if type(value) is not wanted:  # not isinstance: True is an int
        raise SpecError(f"{where} is {value!r}: it must be of the type {wanted.__name__}")
    return value


def _tuple(value: Any, types: tuple[Any, ...], where: str) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise SpecError(f"{where} is {value!r}: it must be a list")
    if types[-1] is Ellipsis:
        types = (types[0],) * len(value)
    if len(value) != len(types):
        raise SpecError(f"{where} is {value!r}: it must be a list of {len(types)}")
    return tuple(_converted(one, type_, where) for one, type_ in zip(value, types, strict=True))
