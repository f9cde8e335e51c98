"""The list of models to compare with: a TOML file beside the script."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.runtime.foreign.adaptation import InputRange, OutputKind, Overrides

_KEYS: dict[str, type] = {
    "name": str,
    "file": str,
    "input_range": list,
    "input_mean": list,
    "input_deviation": list,
    "bgr": bool,
    "person": int,
    "background": int,
    "output": str,
}


@dataclass(frozen=True)
class Contestant:
    """A model that is measured.

    Attributes:
        name: for tables.
        path: its file.
        overrides: how it is fed and read, as far as its file does not say; None for a file of this project.
    """

    name: str
    path: Path
    overrides: Overrides | None = None


def read_peers(path: Path, folder: Path) -> list[Contestant]:
    """Read a list such as ``peers.toml``, which says what its keys mean.

    Args:
        path: the list.
        folder: where the files are.

    Raises:
        SpecError: the list cannot be read, or an entry of it makes no sense.
        ModelFileError: a file is missing.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8")).get("peer", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"the list of peers {path} cannot be read: {error}") from error
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise SpecError(f"the list of peers {path} names none: begin each with [[peer]]")
    peers = [_peer(entry, path, folder) for entry in entries]
    if len({peer.name for peer in peers}) < len(peers):
        raise SpecError(f"two peers of {path} have one name: rename one of them")
    missing = [peer.path.name for peer in peers if not peer.path.is_file()]
    if missing:
        raise ModelFileError(f"{folder} lacks {', '.join(missing)}: put them there, or take them off the list {path}")
    return peers


def _peer(entry: dict[str, Any], path: Path, folder: Path) -> Contestant:
    unknown = sorted(set(entry) - set(_KEYS))
    if unknown or not {"name", "file"} <= set(entry):
        wrong = f"the unknown key {unknown[0]!r}" if unknown else "no name or no file"
        raise SpecError(f"a peer of {path} has {wrong}: it may have {', '.join(_KEYS)}")
    mistaken = next((key for key, value in entry.items() if not isinstance(value, _KEYS[key])), None)
    if mistaken is not None:
        raise SpecError(f"{mistaken} = {entry[mistaken]!r} of a peer of {path} must be {_KEYS[mistaken].__name__}")
    try:
        overrides = Overrides(
            input_range=_input_range(entry),
            bgr=entry.get("bgr", False),
            output=OutputKind(entry["output"]) if "output" in entry else None,
            person=entry.get("person"),
            background=entry.get("background"),
        )
    except (KeyError, TypeError, ValueError) as error:  # SpecError is a ValueError
        raise SpecError(f"the peer {entry['name']!r} of {path} makes no sense: {error}") from error
    return Contestant(entry["name"], folder / entry["file"], overrides)


def _input_range(entry: dict[str, Any]) -> InputRange | None:
    if "input_range" in entry:
        low, high = entry["input_range"]
        return InputRange.uniform(low, high)
    if "input_mean" in entry:
        (one, two, three), (four, five, six) = entry["input_mean"], entry["input_deviation"]
        return InputRange.normalized((one, two, three), (four, five, six))
    return None
