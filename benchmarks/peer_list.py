"""The list of models to compare with: a TOML file beside the script."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.evaluation.latency.report import LeftOut
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
    "slow": bool,
}
_LEFT_OUT_KEYS: dict[str, type] = {"name": str, "file": str, "reason": str}


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


@dataclass(frozen=True)
class Peers:
    """What a list says.

    Attributes:
        measured: the models to measure, in the list's order.
        left_out: those that are not, each with the reason.
    """

    measured: tuple[Contestant, ...]
    left_out: tuple[LeftOut, ...]


def read_peers(path: Path, folder: Path, *, slow: bool = False) -> Peers:
    """Read a list such as ``peers.toml``, which says what its keys mean.

    Args:
        path: the list.
        folder: where the files are.
        slow: take the slow ones in, too.

    Raises:
        SpecError: the list cannot be read, or an entry of it makes no sense.
        ModelFileError: a file is missing.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SpecError(f"the list of peers {path} cannot be read: {error}") from error
    entries = _entries(content, "peer", path)
    if not entries:
        raise SpecError(f"the list of peers {path} names none: begin each with [[peer]]")
    peers = [(_peer(entry, path, folder), entry.get("slow", False)) for entry in entries]
    if len({peer.name for peer, _ in peers}) < len(peers):
        raise SpecError(f"two peers of {path} have one name: rename one of them")
    measured = tuple(peer for peer, is_slow in peers if slow or not is_slow)
    missing = [peer.path.name for peer in measured if not peer.path.is_file()]
    if missing:
        raise ModelFileError(f"{folder} lacks {', '.join(missing)}: put them there, or take them off the list {path}")
    left_out = [LeftOut(peer.name, "slow, and not asked for") for peer, _ in peers if peer not in measured]
    for entry in _entries(content, "left_out", path):
        _check(entry, _LEFT_OUT_KEYS, set(_LEFT_OUT_KEYS), path)
        left_out.append(LeftOut(entry["name"], entry["reason"]))
    return Peers(measured, tuple(left_out))


def _entries(content: dict[str, Any], key: str, path: Path) -> list[dict[str, Any]]:
    entries = content.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise SpecError(f"the list of peers {path} names none under {key!r}: begin each with [[{key}]]")
    return entries


def _check(entry: dict[str, Any], keys: dict[str, type], wanted: set[str], path: Path) -> None:
    unknown = sorted(set(entry) - set(keys))
    if unknown or not wanted <= set(entry):
        wrong = f"the unknown key {unknown[0]!r}" if unknown else f"no {' or no '.join(sorted(wanted - set(entry)))}"
        raise SpecError(f"an entry of {path} has {wrong}: it may have {', '.join(keys)}")
    mistaken = next((key for key, value in entry.items() if not isinstance(value, keys[key])), None)
    if mistaken is not None:
        raise SpecError(f"{mistaken} = {entry[mistaken]!r} of an entry of {path} must be {keys[mistaken].__name__}")


def _peer(entry: dict[str, Any], path: Path, folder: Path) -> Contestant:
    _check(entry, _KEYS, {"name", "file"}, path)
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
