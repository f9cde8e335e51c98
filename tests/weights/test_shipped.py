"""Shipped models by name: the cards in the folder are the list."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_deeplab.errors import ModelFileError
from edge_deeplab.weights import shipped_card, shipped_checkpoint, shipped_model, shipped_names


def test_the_default_comes_first_and_every_name_has_a_model() -> None:
    names = shipped_names()
    assert names[0] == "portrait"
    for name in names:
        assert "." not in name
        assert shipped_card(name).name == name
        assert shipped_model(name).name == f"{name}.tflite"
        assert shipped_checkpoint(name).name == f"{name}.safetensors"
    assert shipped_model() == shipped_model("portrait")


def test_a_card_in_the_folder_is_a_model(two_models: Path) -> None:
    assert shipped_names() == ("portrait", "portrait-fast")
    assert shipped_model("portrait-fast") == two_models / "portrait-fast.tflite"
    assert shipped_model() == two_models / "portrait.tflite"


def test_what_is_refused(two_models: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no model 'landscape' comes with .* there is portrait, portrait-fast"):
        shipped_model("landscape")
    (two_models / "portrait-fast.tflite").unlink()
    with pytest.raises(ModelFileError, match=r"portrait-fast\.tflite is missing"):
        shipped_model("portrait-fast")
    (two_models / "portrait.json").replace(two_models / "portrait-fast.json")
    with pytest.raises(ModelFileError, match="is the card of a model 'portrait'"):
        shipped_card("portrait-fast")
