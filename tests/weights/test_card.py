"""A card is what it says it is, or is refused by the name of the field that is wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.weights import FOLDER
from edge_deeplab.weights.card import Card, Latency, Score, TrainingData, load_card

CARD = Card(
    name="portrait-test",
    summary="A network.",
    intended_use="Tests.",
    terms="Anything.",
    files={"portrait-test.tflite": "0" * 64},
    parent_sha256="1" * 64,
    training_data=(TrainingData("made", 32, 2, "none", True, "made here"),),
    recipe_name="portrait-test",
    recipe_sha256="2" * 64,
    recipe={"float": {"epochs": 9}},
    seed=1,
    conditions={"split": "test"},
    scores=(
        Score("made", 8, {"person_iou": 0.9, "boundary_f": 0.8}, {"person_iou": 0.89, "boundary_f": 0.79}),
        Score("empty", 3, {"false_person_rate": 0.0}, {"false_person_rate": 1}),
    ),
    sizes=(Score("5 to 15 %", 8, {"person_iou": 0.9}, {}),),
    robustness=(Score("JPEG", 11, {"person_iou": 0.7}, {"person_iou": 0.6}),),
    latency=Latency(4.8, "peer.tflite", "3" * 64, 2.5, 1.92, 1.9, 1.95, 1, 100, "LiteRT", {"cores": 2}),
    known_failures=("Whatever is not made.",),
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The card, written."""
    CARD.write(tmp_path / "portrait-test.json")
    return tmp_path / "portrait-test.json"


def test_what_was_written_is_read(path: Path) -> None:
    assert load_card(path) == CARD


def _without(name: str) -> Callable[[dict[str, Any]], None]:
    return lambda values: values.pop(name)


def _with(name: str, value: object, *inside: Any) -> Callable[[dict[str, Any]], None]:
    def change(values: Any) -> None:
        for key in inside:
            values = values[key]
        values[name] = value

    return change


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without("terms"), "terms is missing"),
        (_with("colour", "red"), "colour is no field that is known"),
        (_with("summary", 3), "summary is 3, not a text"),
        (_with("name", ""), "name is empty"),
        (_with("seed", True), "seed is True, not a whole number"),
        (_with("scores", {}), r"scores is \{\}, not a list"),
        (_with("scores", [7]), r"scores\[0\] is 7, not an object"),
        (_with("images", 1.5, "scores", 1), r"scores\[1\]\.images is 1\.5, not a whole number"),
        (_with("images", -1, "scores", 1), "the score of empty is of -1 images"),
        (_with("repeat", -1, "training_data", 0), "made has a negative number"),
        (_with("open", 1, "training_data", 0), r"training_data\[0\]\.open is 1, not true or false"),
        (_with("person_iou", "high", "scores", 0, "int8"), r"scores\[0\]\.int8\.person_iou is 'high', not a finite"),
        (_with("person_iou", float("nan"), "scores", 0, "int8"), r"int8\.person_iou is nan, not a finite number"),
        (_with("person_iou", 96.5, "scores", 0, "int8"), r"person_iou of made is 96\.5: it lies in \[0, 1\]"),
        (_with("accuracy", 0.9, "scores", 0, "int8"), "the score of made has a metric 'accuracy'"),
        (_with("int8", {"boundary_f": 0.8}, "scores", 0), "different metrics in float32 and in int8"),
        (_with("portrait-test.tflite", "abc", "files"), r"files\.portrait-test\.tflite is 'abc', not a SHA-256"),
        (_with("../other.tflite", "0" * 64, "files"), "which is not beside the card"),
        (_with("parent_sha256", "F" * 64), "parent_sha256 is 'F+', not a SHA-256"),
        (_with("recipe_sha256", None), "recipe_name and recipe_sha256 go together"),
        (_with("ratio", 1.0, "latency"), r"latency\.ratio is 1\.0, outside of its interval 1\.9 to 1\.95"),
        (_with("milliseconds", 0, "latency"), r"latency\.milliseconds is 0\.0: it must be above 0"),
        (_with("against_sha256", "3", "latency"), r"latency\.against_sha256 is '3', not a SHA-256"),
    ],
)
def test_a_wrong_field_is_named(path: Path, spoil: Callable[[dict[str, Any]], None], message: str) -> None:
    values = json.loads(path.read_text())
    spoil(values)
    path.write_text(json.dumps(values))
    with pytest.raises(ModelFileError, match=message):
        load_card(path)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "\xff", "[" * 100_000])
def test_what_is_no_card_at_all_is_refused(path: Path, text: str) -> None:
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelFileError, match="is not a model card of this version"):
        load_card(path)


def test_a_missing_card_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"there is no model card .*gone\.json"):
        load_card(tmp_path / "gone.json")


def test_a_card_of_nonsense_cannot_be_made() -> None:
    with pytest.raises(SpecError, match="it lies in"):
        Score("made", 8, {"person_iou": 1.01}, {})


def test_a_ranges_file_and_a_sidecar_are_no_cards() -> None:
    for name in ("portrait.ranges.json", "portrait.tflite.json"):
        with pytest.raises(ModelFileError, match="is not a model card"):
            load_card(FOLDER / name)
