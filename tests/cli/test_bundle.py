"""``bundle`` as a user runs it: what is in the folder, and that a refusal leaves none."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from edge_deeplab.artifact import load_artifact
from edge_deeplab.bundle.contract import load_contract
from edge_deeplab.files import sha256
from edge_deeplab.weights import FOLDER, shipped_card, shipped_model

Run = Callable[..., subprocess.CompletedProcess[str]]
Refuses = Callable[..., str]


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """The shipped int8 file and its sidecar, copied."""
    for name in ("portrait.tflite", "portrait.tflite.json"):
        shutil.copy(FOLDER / name, tmp_path)
    return tmp_path / "portrait.tflite"


def edit_sidecar(model: Path, **values: object) -> None:
    sidecar = model.with_name(f"{model.name}.json")
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | values))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_converted_file_becomes_a_whole_bundle(edge_deeplab: Run, mine: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = edge_deeplab("bundle", mine, "--out", out)
    assert done.returncode == 0, done.stderr
    assert f"{out} written with portrait.tflite" in done.stdout
    written = contents(out)
    pictures = {f"golden/{golden.name}" for golden in load_contract(out).goldens}
    assert set(written) == {
        "README.md",
        "SHA256SUMS",
        "android/PortraitLiteRt.kt",
        "android/PortraitMediaPipe.kt",
        "check.py",
        "contract.json",
        "ios/PortraitLiteRt.swift",
        "models/portrait.tflite",
        "models/portrait.tflite.json",
        *(f"{name}{ending}.png" for name in pictures for ending in ("", ".input", ".portrait.tflite")),
    }
    load_artifact(out / "models" / "portrait.tflite")
    check = ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=out, check=False).returncode == 0
    assert len(written["SHA256SUMS"].splitlines()) == len(written) - 1


def test_its_guide_knows_the_model_and_says_what_was_not_seen(edge_deeplab: Run, mine: Path, tmp_path: Path) -> None:
    assert edge_deeplab("bundle", mine, "--out", tmp_path / "out").returncode == 0
    guide = (tmp_path / "out" / "README.md").read_text()
    card = shipped_card()
    for sentence in (card.summary, card.intended_use, card.terms, *card.known_failures):
        assert sentence in guide
    assert "were not compiled" in guide
    for path in contents(tmp_path / "out"):
        if path.startswith(("android", "ios", "models")) and not path.endswith(".json"):
            assert f"`{path}`" in guide


def test_the_same_file_gives_the_same_bytes(edge_deeplab: Run, mine: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert edge_deeplab("bundle", mine, "--out", tmp_path / name).returncode == 0
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_an_unknown_checkpoints_files_get_a_guide_that_says_so(edge_deeplab: Run, mine: Path, tmp_path: Path) -> None:
    edit_sidecar(mine, checkpoint_sha256="0" * 64)
    assert edge_deeplab("bundle", mine, "--out", tmp_path / "out").returncode == 0
    assert "Terms: Not stated." in (tmp_path / "out" / "README.md").read_text()


def no_sidecar(model: Path) -> Sequence[object]:
    model.with_name(f"{model.name}.json").unlink()
    return [model]


def another_checkpoints(model: Path) -> Sequence[object]:
    other = model.with_name("other.tflite")
    shutil.copy(model, other)
    shutil.copy(f"{model}.json", f"{other}.json")
    edit_sidecar(other, checkpoint_sha256="1" * 64)
    return [model, other]


def another_card(model: Path) -> Sequence[object]:
    card = model.with_name("card.json")
    values = json.loads((FOLDER / "portrait.json").read_text())
    card.write_text(json.dumps(values | {"files": {"portrait.safetensors": "2" * 64}}))
    return [model, "--card", card]


def same_name(model: Path) -> Sequence[object]:
    folder = model.parent / "folder"
    folder.mkdir()
    shutil.copy(f"{model}.json", folder)
    return [model, shutil.copy(model, folder)]


def renamed(model: Path) -> Sequence[object]:
    other = model.with_name("my model.tflite")
    model.with_name(f"{model.name}.json").rename(f"{other}.json")
    return [model.rename(other)]


def wrong_classes(model: Path) -> Sequence[object]:
    spec = json.loads(model.with_name(f"{model.name}.json").read_text())["spec"]
    edit_sidecar(model, spec=spec | {"classes": ["cat"]})
    return [model]


def wrong_size(model: Path) -> Sequence[object]:
    spec = json.loads(model.with_name(f"{model.name}.json").read_text())["spec"]
    edit_sidecar(model, spec=spec | {"height": 128})
    return [model]


def onnx(model: Path) -> Sequence[object]:
    edit_sidecar(model, target="onnx")
    return [model]


def occupied(model: Path) -> Sequence[object]:
    (model.parent / "out").mkdir()
    (model.parent / "out" / "mine.txt").write_text("mine")
    return [model]


REFUSALS: dict[str, Callable[[Path], Sequence[object]]] = {
    "no readable sidecar": no_sidecar,
    "converted from another checkpoint": another_checkpoints,
    "card of another checkpoint": another_card,
    "several files are called portrait.tflite": same_name,
    "'my model.tflite' cannot be the name": renamed,
    "portrait.tflite knows no person, only: cat": wrong_classes,
    f"its sidecar says 128x{load_artifact(shipped_model()).spec.width}": wrong_size,
    "is nothing that an app here takes": onnx,
    "out exists already": occupied,
    "there is no model file": lambda model: [model.with_name("none.tflite")],
    "one checkpoint, or of files": lambda model: [model, "portrait"],
    "are for a checkpoint": lambda model: [model, "--target", "tflite-int8"],
    "onnx is nothing that an app here takes": lambda _: ["portrait", "--target", "onnx"],
    "there is no target 'tflite-int4'": lambda _: ["portrait", "--target", "tflite-int4"],
}


@pytest.mark.parametrize("words", REFUSALS)
def test_a_refusal_is_one_line_and_leaves_nothing(words: str, refuses: Refuses, mine: Path, tmp_path: Path) -> None:
    line = refuses("bundle", *REFUSALS[words](mine), "--out", tmp_path / "out")
    assert words in line
    assert (tmp_path / "out").exists() == (words == "out exists already")


def test_a_truncated_file_leaves_nothing(refuses: Refuses, mine: Path, tmp_path: Path) -> None:
    mine.write_bytes(mine.read_bytes()[:100_000])
    edit_sidecar(mine, sha256=sha256(mine))
    assert "truncated" in refuses("bundle", mine, "--out", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.convert
def test_a_checkpoint_without_ranges_leaves_nothing(refuses: Refuses, small_checkpoint: Path, tmp_path: Path) -> None:
    """None are observed in silence."""
    words = ("bundle", small_checkpoint, "--out", tmp_path / "out", "--target", "tflite-int8")
    assert "ranges.json is missing" in refuses(*words)
