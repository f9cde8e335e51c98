"""Shipped models by their names, on every command that takes a model."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]
Refuses = Callable[..., str]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.mark.parametrize(
    "words",
    [
        "evaluate landscape --data data",
        "inspect landscape",
        "parity landscape portrait",
        "parity portrait landscape",
        "benchmark landscape",
        "benchmark portrait --against landscape",
        "convert landscape --target onnx --out out",
        "release landscape --out out",
        "sensitivity landscape --out out",
        "quantize landscape --method ptq --out out",
        "train data --qat landscape --out out",
        "portrait photo.jpg -o out.jpg --model landscape",
        "demo scene --no-window --model landscape",
    ],
)
def test_a_bare_word_that_is_neither_is_refused(refuses: Refuses, two_models: Path, here: Path, words: str) -> None:
    line = refuses(*words.split(), status=2)
    assert "there is no file landscape, and no shipped model of that name: portrait, portrait-fast" in line


def test_a_name_is_the_int8_file_to_what_runs_it_and_the_checkpoint_to_what_starts_from_it(
    edge_deeplab: Run, two_models: Path, here: Path
) -> None:
    (two_models / "portrait.tflite").unlink()
    done = edge_deeplab("inspect", "portrait-fast", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["file"]["name"] == "portrait-fast.tflite"
    shutil.copy(two_models / "portrait-fast.json", two_models / "portrait-fast.safetensors")
    done = edge_deeplab("quantize", "portrait-fast", "--method", "ptq", "--out", "out", "--calibration", here)
    assert f"{two_models / 'portrait-fast.safetensors'} is not a checkpoint" in done.stderr


def test_the_named_model_makes_the_portrait(
    edge_deeplab: Run, refuses: Refuses, two_models: Path, photo: Path, here: Path
) -> None:
    (two_models / "portrait.tflite").unlink()
    words = ("portrait", photo, "-o", here / "out.png")
    assert "portrait.tflite is missing" in refuses(*words)
    done = edge_deeplab(*words, "--model", "portrait-fast")
    assert (done.returncode, done.stderr) == (0, "")
    assert (here / "out.png").is_file()


def test_a_file_of_a_model_s_name_makes_the_name_ambiguous(
    edge_deeplab: Run, refuses: Refuses, model: Path, here: Path
) -> None:
    (here / "portrait").mkdir()  # such as of --out: no model
    assert edge_deeplab("inspect", "portrait").returncode == 0
    (here / "portrait").rmdir()
    shutil.copy(model, here / "portrait")
    line = refuses("inspect", "portrait", status=2)
    assert "portrait is a file here and a shipped model: ./portrait is the file" in line
    assert "portrait is of no known kind" in refuses("inspect", "./portrait")
    assert "of no known kind" in refuses("inspect", here / "portrait")


def test_a_file_without_an_ending_is_a_file(refuses: Refuses, model: Path, here: Path) -> None:
    shutil.copy(model, here / "mine")
    assert "mine is of no known kind" in refuses("inspect", "mine")


def test_models_lists_what_is_shipped(edge_deeplab: Run, two_models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = two_models / "portrait-fast.json"
    values = json.loads(card.read_text())
    values["scores"] = [score for score in values["scores"] if score["name"] != "ccp"]
    values["scores"].append({"name": "streets", "images": 5, "float32": {}, "int8": {}})
    values["latency"] = {
        "milliseconds": 2.425,
        "against": "peer.tflite",
        "against_sha256": "0" * 64,
        "against_milliseconds": 2.5,
        "ratio": 0.97,
        "low": 0.96,
        "high": 0.98,
        "threads": 1,
        "runs": 100,
        "runtime": "LiteRT",
        "machine": {},
    }
    card.write_text(json.dumps(values))
    monkeypatch.setenv("COLUMNS", "80")
    done = edge_deeplab("models")
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= 80
    (line,) = (words for words in map(str.split, done.stdout.splitlines()) if words[:1] == ["portrait-fast"])
    scores = {score["name"]: score["int8"] for score in values["scores"]}
    ious = [f"{scores[source]['person_iou']:.3f}" for source in ("eg1800", "pennfudan", "picsart")]
    rate = f"{100 * scores['coco128-negative']['false_person_rate']:.1f}"
    size = f"{(two_models / 'portrait-fast.tflite').stat().st_size / 1e6:.2f}"
    assert line == ["portrait-fast", size, "MB", "0.97", "-", *ious, rate, "%"]
    assert "peer.tflite" in done.stdout
    assert " ".join(values["terms"].split()) in " ".join(done.stdout.split())
    shown = json.loads(edge_deeplab("models", "--json").stdout)
    assert shown["portrait-fast"] == values
    assert list(shown) == ["portrait", "portrait-fast"]


def test_a_card_that_is_damaged_is_named(refuses: Refuses, two_models: Path) -> None:
    (two_models / "portrait-fast.json").write_text("{}")
    assert "portrait-fast.json is not a model card of this version (name is missing)" in refuses("models")
