"""A model's card: what it is for, what it learned from, and what was measured of it, as data.

The README's table and docs/models.md are made from the cards (``docs/update_readme.py``), and ``edge-deeplab models``
shows them, so that none can say something else than the other.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.files import write_json
from edge_deeplab.weights.reading import read, require_sha256

PERSON_IOU, BOUNDARY_F, FALSE_PERSON = "person_iou", "boundary_f", "false_person_rate"
_METRICS = (PERSON_IOU, BOUNDARY_F, FALSE_PERSON)


@dataclass(frozen=True)
class TrainingData:
    """One source of training pictures.

    Attributes:
        source: its name.
        images: how many of it were trained on.
        repeat: how often each of them came in an epoch.
        terms: under which terms it may be used, in its authors' words where they state any.
        open: those terms plainly permit that a model trained on it is passed on.
        why: the reason for ``open``; empty where ``terms`` says it.

    Raises:
        SpecError: a negative number.
    """

    source: str
    images: int
    repeat: int
    terms: str
    open: bool
    why: str

    def __post_init__(self) -> None:
        if min(self.images, self.repeat) < 0:
            raise SpecError(f"{self.source} has a negative number of images or repeats")


@dataclass(frozen=True)
class Score:
    """What was measured of some of the test pictures.

    Attributes:
        name: which pictures: a source, a range of the person's size, or a disturbance that all of them were under.
        images: how many pictures.
        float32: metric to value, of the float parent or, without a parent, of the checkpoint, in PyTorch.
        int8: metric to value, of the int8 file; empty without one. The same metrics as ``float32``, all in [0, 1]:
            ``person_iou`` and ``boundary_f`` (higher is better), ``false_person_rate`` on pictures without a person.

    Raises:
        SpecError: a negative number, an unknown metric, one of ``float32`` without its like in ``int8``, or a value
            outside of [0, 1].
    """

    name: str
    images: int
    float32: Mapping[str, float]
    int8: Mapping[str, float]

    def __post_init__(self) -> None:
        if self.images < 0:
            raise SpecError(f"the score of {self.name} is of {self.images} images")
        for values in (self.float32, self.int8):
            for metric, value in values.items():
                if metric not in _METRICS:
                    raise SpecError(f"the score of {self.name} has a metric {metric!r}: there is {', '.join(_METRICS)}")
                if not 0 <= value <= 1:
                    raise SpecError(f"{metric} of {self.name} is {value}: it lies in [0, 1]")
        if self.int8 and self.int8.keys() != self.float32.keys():
            raise SpecError(f"the score of {self.name} has different metrics in float32 and in int8")


@dataclass(frozen=True)
class Latency:
    """How long a run of the int8 file takes beside a run of a well-known model, both in turns.

    Attributes:
        milliseconds: median of the int8 file, as a user waits for it.
        against: file name of the other model.
        against_sha256: its hash.
        against_milliseconds: its median.
        ratio: median of the rounds' ratios, int8 file to other model.
        low: lower end of its 95 % interval.
        high: upper end.
        threads: of each runtime.
        runs: rounds that counted.
        runtime: who executed the int8 file, with version.
        machine: processor, versions and day, as ``edge_deeplab.evaluation.machine.describe_machine`` gives it.

    Raises:
        SpecError: a time or ratio that is not above 0, an interval without its ratio, or a hash that is none.
    """

    milliseconds: float
    against: str
    against_sha256: str
    against_milliseconds: float
    ratio: float
    low: float
    high: float
    threads: int
    runs: int
    runtime: str
    machine: Mapping[str, Any]

    def __post_init__(self) -> None:
        for name in ("milliseconds", "against_milliseconds", "low", "threads", "runs"):
            if getattr(self, name) <= 0:
                raise SpecError(f"latency.{name} is {getattr(self, name)}: it must be above 0")
        if not self.low <= self.ratio <= self.high:
            raise SpecError(f"latency.ratio is {self.ratio}, outside of its interval {self.low} to {self.high}")
        require_sha256("latency.against_sha256", self.against_sha256)


@dataclass(frozen=True)
class Card:
    """Everything that a user should know before using a model.

    Attributes:
        name: the model's name; its files are called ``<name>.*``.
        summary: the network in one sentence.
        intended_use: what it was made for.
        terms: what may be done with it, in one sentence.
        files: file name (beside the card) to SHA-256.
        parent_sha256: hash of the float checkpoint that the int8 network was fine-tuned from; None: there is none.
        training_data: every source with its terms; empty: not known.
        recipe_name: which recipe it was trained by; None: by options.
        recipe_sha256: hash of that recipe's file; None with the name.
        recipe: how it was trained, setting to value.
        seed: of the training run; None: not known.
        conditions: how the scores were measured, condition to value: split, thresholds, disturbances, machine.
        scores: one entry for each source of the pictures that it was measured on.
        sizes: one for each range of the person's part of the picture.
        robustness: one for each disturbance, over the pictures of all sources.
        latency: None: not measured.
        known_failures: where it goes wrong, a sentence each.

    Raises:
        SpecError: a hash that is none, a recipe's name without its hash, or a file that is not beside the card.
    """

    name: str
    summary: str
    intended_use: str
    terms: str
    files: Mapping[str, str]
    parent_sha256: str | None
    training_data: tuple[TrainingData, ...]
    recipe_name: str | None
    recipe_sha256: str | None
    recipe: Mapping[str, Any]
    seed: int | None
    conditions: Mapping[str, Any]
    scores: tuple[Score, ...]
    sizes: tuple[Score, ...]
    robustness: tuple[Score, ...]
    latency: Latency | None
    known_failures: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.name:
            raise SpecError("name is empty")
        for file, value in self.files.items():
            if Path(file).name != file:
                raise SpecError(f"files names {file!r}, which is not beside the card")
            require_sha256(f"files.{file}", value)
        if (self.recipe_name is None) != (self.recipe_sha256 is None):
            raise SpecError("recipe_name and recipe_sha256 go together")
        for name in ("parent_sha256", "recipe_sha256"):
            value = getattr(self, name)
            if value is not None:
                require_sha256(name, value)

    def write(self, path: Path) -> None:
        """Write the card as JSON. Raises: OutputError."""
        write_json(path, dataclasses.asdict(self))


def load_card(path: Path) -> Card:
    """Read a card and see that every field is there, of its type and in its range.

    Raises:
        ModelFileError: missing, not JSON, or with a field that is unknown, missing or wrong: the message names it.
    """
    try:
        card: Card = read(Card, json.loads(path.read_text()))
    except OSError as error:
        raise ModelFileError(f"there is no model card {path}: get a fresh copy of edge-deeplab") from error
    except (ValueError, RecursionError) as error:  # SpecError is a ValueError, as are those of JSON and UTF-8
        raise ModelFileError(f"{path} is not a model card of this version ({error}): get a fresh copy") from error
    return card
