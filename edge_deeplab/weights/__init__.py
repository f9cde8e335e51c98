"""The models that come with the package: of each its card, the int8 file, and the checkpoint and ranges behind it.

The cards in the folder are the list. A model ``portrait`` has the card ``portrait.json``; its files are called
``portrait.*``.
"""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from edge_deeplab.errors import ModelFileError
from edge_deeplab.weights.card import Card, load_card

DEFAULT = "portrait"
"""The model that is used where none is named."""

FOLDER = Path(str(resources.files(__name__)))


def shipped_names() -> tuple[str, ...]:
    """Every model's name, the default first. None has a dot in it, so that none looks like a file's."""
    names = (path.stem for path in FOLDER.glob("*.json") if "." not in path.stem)  # portrait.ranges.json is no card
    return tuple(sorted(names, key=lambda name: (name != DEFAULT, name)))


def shipped_card(name: str = DEFAULT) -> Card:
    """A model's card.

    Raises:
        ModelFileError: there is no such model, or its card cannot be read or bears another name.
    """
    path = _shipped(name, ".json")
    card = load_card(path)
    if card.name != name:
        raise ModelFileError(f"{path} is the card of a model {card.name!r}: install edge-deeplab again")
    return card


def shipped_model(name: str = DEFAULT) -> Path:
    """A model's int8 TFLite file. Raises: ModelFileError: there is no such model, or the file is not there."""
    return _shipped(name, ".tflite")


def shipped_checkpoint(name: str = DEFAULT) -> Path:
    """The checkpoint that the int8 file was made from. Raises: ModelFileError: as :func:`shipped_model`."""
    return _shipped(name, ".safetensors")


def _shipped(name: str, suffix: str) -> Path:
    names = shipped_names()
    if name not in names and name != DEFAULT:
        raise ModelFileError(f"no model {name!r} comes with edge-deeplab: there is {', '.join(names)}")
    path = FOLDER / f"{name}{suffix}"
    if not path.is_file():
        raise ModelFileError(f"the shipped file {path} is missing: install edge-deeplab again, or name a file of yours")
    return path
