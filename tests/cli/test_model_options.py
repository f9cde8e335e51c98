"""Models from elsewhere on the command line: what is found in them is said, what is told is heeded."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

Run = Callable[..., subprocess.CompletedProcess[str]]
Refuses = Callable[..., str]


@pytest.fixture
def foreign(tmp_path: Path, model: Path) -> Path:
    """The shipped file without its sidecar: somebody's."""
    return Path(shutil.copy(model, tmp_path / "somebody.tflite"))


def test_one_line_says_how_the_model_is_fed_and_read(
    edge_deeplab: Run, photo: Path, foreign: Path, tmp_path: Path
) -> None:
    done = edge_deeplab("portrait", photo, "-o", tmp_path / "out.png", "--model", foreign)
    assert done.returncode == 0
    assert done.stderr.splitlines() == [
        "edge-deeplab: somebody.tflite takes RGB in 0..1 (from its quantization); gives probabilities (from LOGISTIC); "
        "the person is its only channel"
    ]
    ours = edge_deeplab("portrait", photo, "-o", tmp_path / "ours.png")
    assert ours.stderr == ""
    assert (tmp_path / "out.png").read_bytes() == (tmp_path / "ours.png").read_bytes()


def test_what_is_told_is_heeded(edge_deeplab: Run, photo: Path, foreign: Path, tmp_path: Path) -> None:
    words = ("portrait", photo, "--model", foreign, "-o")
    assert edge_deeplab(*words, tmp_path / "person.png").returncode == 0
    assert edge_deeplab(*words, tmp_path / "background.png", "--background-index", "0").returncode == 0
    done = edge_deeplab(
        *words, tmp_path / "bgr.png", "--bgr", "--input-mean", "0,0,0", "--input-deviation", "255,255,255"
    )
    assert "takes BGR in 0..1 (as told)" in done.stderr
    picture, person, background = (
        np.asarray(Image.open(path), float) for path in (photo, tmp_path / "person.png", tmp_path / "background.png")
    )
    face = np.s_[100:160, 120:180]
    assert np.abs(person - picture)[face].mean() < 1 < 4 < np.abs(background - picture)[face].mean()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--input-range", "1"], "'1' is not 2 numbers, separated by commas"),
        (["--input-range", "0,nan"], "is not finite"),
        (["--input-range", "1,-1"], "is empty or upside down"),
        (["--input-mean", "1,2", "--input-deviation", "1,1,1"], "'1,2' is not 3 numbers"),
        (["--input-mean", "1,2,3"], "--input-mean and --input-deviation go together"),
        (["--input-mean", "1,2,3", "--input-deviation", "1,0,1"], "must be above 0"),
        (["--input-range", "0,1", "--input-mean", "1,2,3", "--input-deviation", "1,1,1"], "give one of them"),
        (["--person-index", "0", "--background-index", "0"], "the person and the background are both given"),
        (["--person-index", "-1"], "-1 is not in the range"),
        (["--output-kind", "mask"], "'mask' is not one of"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    refuses: Refuses, photo: Path, foreign: Path, tmp_path: Path, words: list[str], message: str
) -> None:
    line = refuses("portrait", photo, "-o", tmp_path / "out.png", "--model", foreign, *words, status=2)
    assert message in line


@pytest.mark.parametrize(("told", "low", "high"), [((), 0.5, 0.7), (("--background-index", "0"), 0.0, 0.2)])
def test_evaluate_heeds_it_too(
    edge_deeplab: Run, photo: Path, foreign: Path, tmp_path: Path, told: tuple[str, ...], low: float, high: float
) -> None:
    """A mask of the photo's middle, some of which is the person; told the opposite, the model finds the rest."""
    for folder in ("images", "masks"):
        (tmp_path / "data" / folder).mkdir(parents=True)
    shutil.copy(photo, tmp_path / "data" / "images" / "a.png")
    mask = np.zeros((400, 300), np.uint8)
    mask[20:, 80:220] = 255
    Image.fromarray(mask).save(tmp_path / "data" / "masks" / "a.png")
    done = edge_deeplab("evaluate", foreign, "--data", tmp_path / "data", "--out", tmp_path / "out", *told)
    assert done.returncode == 0, done.stderr
    assert "somebody.tflite takes RGB" in done.stderr
    score = json.loads((tmp_path / "out" / "evaluation.json").read_text())["total"]["person_iou"]
    assert low < score < high


def test_a_class_that_is_not_there(refuses: Refuses, photo: Path, foreign: Path, tmp_path: Path) -> None:
    words = ("portrait", photo, "-o", tmp_path / "out.png", "--model", foreign, "--person-index", 1)
    assert "has the classes 0 to 0, and no class 1" in refuses(*words)


def test_our_own_model_needs_no_telling(refuses: Refuses, photo: Path, tmp_path: Path) -> None:
    words = ("portrait", photo, "-o", tmp_path / "out.png", "--input-range", "0,1")
    assert "says itself how it is fed and read" in refuses(*words)
