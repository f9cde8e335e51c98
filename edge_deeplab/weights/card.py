"""A model's card: what it is for, what it learned from, and what was measured of it, as data.

The README's table of numbers is made from it (``docs/update_readme.py``), so that the two cannot disagree.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_deeplab.errors import ModelFileError
from edge_deeplab.files import write_json


@dataclass(frozen=True)
class TrainingData:
    """One source of training pictures.

    Attributes:
        source: its name.
        images: how many of it were trained on.
        terms: under which terms it may be used, in its authors' words where they state any.
    """

    source: str
    images: int
    terms: str


@dataclass(frozen=True)
class Score:
    """What was measured of one source's test pictures.

    Attributes:
        source: its name.
        images: how many pictures.
        float32: metric to value, of the checkpoint in PyTorch.
        int8: metric to value, of the int8 file; empty without one. The same metrics as ``float32``, all in [0, 1]:
            ``person_iou`` and ``boundary_f`` (higher is better), ``false_person_rate`` on pictures without a person.
    """

    source: str
    images: int
    float32: Mapping[str, float]
    int8: Mapping[str, float]


@dataclass(frozen=True)
class Card:
    """Everything that a user should know before using a model.

    Attributes:
        name: the model's name; its files are called ``<name>.*``.
        summary: the network in one sentence.
        intended_use: what it was made for.
        files: file name (beside the card) to SHA-256.
        training_data: every source with its terms; empty: not known.
        recipe: how it was trained, setting to value.
        seed: of the training run; None: not known.
        scores: one entry for each source of the pictures that it was measured on.
        known_failures: where it goes wrong, a sentence each.
    """

    name: str
    summary: str
    intended_use: str
    files: Mapping[str, str]
    training_data: tuple[TrainingData, ...]
    recipe: Mapping[str, Any]
    seed: int | None
    scores: tuple[Score, ...]
    known_failures: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write the card as JSON. Raises: OutputError."""
        write_json(path, dataclasses.asdict(self))


def load_card(path: Path) -> Card:
    """Read a card.

    Raises:
        ModelFileError: missing, not JSON, or without one of the fields.
    """
    try:
        values = json.loads(path.read_text())
        values["training_data"] = tuple(TrainingData(**source) for source in values["training_data"])
        values["scores"] = tuple(Score(**score) for score in values["scores"])
        values["known_failures"] = tuple(values["known_failures"])
        return Card(**values)
    except OSError as error:
        raise ModelFileError(f"there is no model card {path}: get a fresh copy of edge-deeplab") from error
    except (ValueError, TypeError, KeyError) as error:
        raise ModelFileError(f"{path} is not a model card of this version ({error}): get a fresh copy") from error
