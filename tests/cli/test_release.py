"""``release`` as a user runs it: the folder and what vouches for it, and that a bad file leaves no folder."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from calibration.collect import collect_ranges
from calibration.images import open_calibration
from edge_deeplab.artifact import load_artifact
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.cli.release_card import card_of, completed
from edge_deeplab.evaluation.parity import Contender, compare
from edge_deeplab.evaluation.parity_images import parity_images
from edge_deeplab.files import sha256
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.ranges import ranges_path, save_ranges
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.spec import ModelSpec, Target
from edge_deeplab.weights.card import Card, Score, load_card

pytestmark = pytest.mark.convert

Run = Callable[..., subprocess.CompletedProcess[str]]
TheLine = Callable[[subprocess.CompletedProcess[str]], str]

_MODELS = ["small-int8-float-io.tflite", "small-int8-int8-io.tflite", "small-int8.tflite", "small.onnx"]
_WORDS = ("--target", "onnx", "--target", "tflite-int8", "--split", "train")


@pytest.fixture(scope="module")
def checkpoint(
    small_checkpoint: Path,
    small_network: DeepLab,
    small_spec: ModelSpec,
    made_persons: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The small network with its ranges beside it."""
    path = Path(shutil.copy(small_checkpoint, tmp_path_factory.mktemp("quantized")))
    images = open_calibration(made_persons, split="train", count=32)
    save_ranges(ranges_path(path), collect_ranges(small_network, small_spec, images, checkpoint_sha256=sha256(path)))
    return path


@pytest.fixture(scope="module")
def released(checkpoint: Path, made_persons: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The release of two targets."""
    from edge_deeplab.cli.main import run

    out = tmp_path_factory.mktemp("releases") / "one"
    status = run(["release", str(checkpoint), "--out", str(out), "--data", str(made_persons), *_WORDS])
    assert status == 0
    return out


def contents(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_every_variant_and_what_belongs_to_it(released: Path, checkpoint: Path) -> None:
    others = ["SHA256SUMS", "parity.html", "parity.json", "parity.png", "small.json", "small.ranges.json"]
    expected = [*_MODELS, *(f"{name}.json" for name in _MODELS), *others, "small.safetensors", "versions.json"]
    assert sorted(contents(released)) == sorted(expected)
    assert [path.name for path in released.parent.iterdir()] == ["one"]
    report = json.loads((released / "parity.json").read_text())
    assert report["passed"]
    assert sorted(row["name"] for row in report["artifacts"]) == _MODELS
    assert report["reference"]["name"] == "small.safetensors"
    for name in _MODELS:
        artifact = load_artifact(released / name)
        assert artifact.metrics["parity"]["passed"]
        assert artifact.checkpoint_sha256 == sha256(checkpoint)
    assert {load_artifact(released / name).io for name in _MODELS if "int8" in name} == {"uint8", "int8", "float"}
    versions = json.loads((released / "versions.json").read_text())
    assert versions["tools"]["torch"]
    assert any("LiteRT" in runtime for runtime in versions["runtimes"])


def test_its_card_says_what_the_checkpoint_says_of_itself_and_what_was_measured(
    released: Path, checkpoint: Path
) -> None:
    card = load_card(released / "small.json")
    assert card.recipe == load_checkpoint(checkpoint).notes
    assert (card.name, card.seed, card.training_data) == ("small", 0, ())
    assert set(card.files) == {*_MODELS, "small.safetensors"}
    assert all(sha256(released / name) == value for name, value in card.files.items())
    (score,) = card.scores
    assert (score.name, score.images) == ("made", 32)
    assert 0.5 < score.int8["person_iou"] <= 1


@pytest.mark.parametrize(("target", "is_int8"), [("coreml-int8", False), ("coreml-w8a8", True), ("onnx-qdq", True)])
def test_a_file_of_int8_weights_alone_is_no_int8_model_on_the_card(
    checkpoint: Path, made_persons: Path, tmp_path: Path, target: str, is_int8: bool
) -> None:
    with open_session(checkpoint, threads=1) as session:
        candidate = Contender(checkpoint.name, session, 1, Target.parse(target))
        reference = Contender(checkpoint.name, session, 1)
        report = compare(reference, [candidate], parity_images(made_persons, "val", session.classes), workers=1)
    card = completed(card_of(checkpoint, load_checkpoint(checkpoint)), report, checkpoint.parent)
    (score,) = card.scores
    assert bool(score.int8) is is_int8


def test_sha256sum_itself_finds_every_file_but_the_page_as_it_was_written(released: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(released, copy)
    check = ["sha256sum", "--check", "--strict", "SHA256SUMS"]
    done = subprocess.run(check, cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    named = {line.removesuffix(": OK") for line in done.stdout.splitlines()}
    assert named == set(contents(released)) - {"SHA256SUMS", "parity.html"}
    with (copy / "small.onnx").open("ab") as file:
        file.write(b"x")
    assert subprocess.run(check, cwd=copy, capture_output=True, check=False).returncode == 1


def test_the_same_inputs_give_the_same_bytes_however_many_workers(
    checkpoint: Path, made_persons: Path, edge_deeplab: Run, tmp_path: Path
) -> None:
    for name, workers in (("first", 1), ("again", 3)):
        words = ("release", checkpoint, "--target", "onnx", "--target", "onnx-qdq", "--data", made_persons)
        done = edge_deeplab(*words, "--split", "train", "--out", tmp_path / name, "--workers", workers)
        assert done.returncode == 0, done.stderr
    first, again = contents(tmp_path / "first"), contents(tmp_path / "again")
    assert [name for name in first if first[name] != again.get(name) and name != "parity.html"] == []
    assert first.keys() == again.keys()


@pytest.fixture
def spoiled(checkpoint: Path, tmp_path: Path) -> Path:
    """Ranges four times too narrow at one depthwise convolution."""
    ranges = json.loads(ranges_path(checkpoint).read_text())
    ranges["activations"]["backbone.blocks.1.depthwise"]["scale"] /= 4
    (tmp_path / "spoiled.json").write_text(json.dumps(ranges))
    return tmp_path / "spoiled.json"


def test_a_bad_file_leaves_no_folder_and_a_report(
    spoiled: Path, checkpoint: Path, made_persons: Path, edge_deeplab: Run, the_line: TheLine, tmp_path: Path
) -> None:
    place = tmp_path / "releases"
    words = ("--target", "tflite-int8", "--data", made_persons, "--split", "train", "--ranges", spoiled)
    done = edge_deeplab("release", checkpoint, "--out", place / "two", *words)
    assert done.returncode == 1
    line = the_line(done)
    assert "nothing was released" in line
    assert "small-int8.tflite: " in line
    assert [path.name for path in place.iterdir()] == ["two.refused"]
    assert sorted(path.name for path in (place / "two.refused").iterdir()) == [
        "parity.html",
        "parity.json",
        "parity.png",
    ]
    assert not json.loads((place / "two.refused" / "parity.json").read_text())["passed"]
    assert "FAILED" in (place / "two.refused" / "parity.html").read_text()


def test_a_converter_that_refuses_leaves_nothing_at_all(
    spoiled: Path, checkpoint: Path, refuses: Callable[..., str], tmp_path: Path
) -> None:
    words = ("release", checkpoint, "--out", tmp_path / "two", "--target", "onnx-qdq", "--ranges", spoiled)
    assert "differs from PyTorch" in refuses(*words)


def test_the_card_beside_the_checkpoint_is_taken_if_it_speaks_of_it(
    small_checkpoint: Path, edge_deeplab: Run, the_line: TheLine, tmp_path: Path
) -> None:
    source = Path(shutil.copy(small_checkpoint, tmp_path))
    known = Card(
        name="small",
        summary="A small network.",
        intended_use="Tests.",
        terms="Anything.",
        parent_sha256=None,
        files={"small.safetensors": sha256(source)},
        training_data=(),
        recipe_name=None,
        recipe_sha256=None,
        recipe={},
        seed=0,
        conditions={},
        scores=(Score("made", 8, {"person_iou": 0.9}, {}),),
        sizes=(),
        robustness=(),
        latency=None,
        known_failures=("Whatever is not a made person.",),
    )
    known.write(tmp_path / "small.json")
    words = ("release", source, "--target", "onnx", "--out", tmp_path / "out")
    assert edge_deeplab(*words).returncode == 0
    card = load_card(tmp_path / "out" / "small.json")
    assert (card.known_failures, card.scores) == (known.known_failures, known.scores)
    assert set(card.files) == {"small.safetensors", "small.onnx"}
    source.write_bytes((tmp_path / "out" / "small.safetensors").read_bytes())
    values = json.loads((tmp_path / "small.json").read_text()) | {"files": {"small.safetensors": "0" * 64}}
    (tmp_path / "small.json").write_text(json.dumps(values))
    done = edge_deeplab(*words[:-1], tmp_path / "three")
    assert done.returncode == 1
    assert "is not the card of" in the_line(done)
    assert not (tmp_path / "three").exists()


def test_what_it_refuses(refuses: Callable[..., str], small_checkpoint: Path, tmp_path: Path) -> None:
    release = ("release", small_checkpoint, "--out")
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "file").touch()
    assert "exists already" in refuses(*release, tmp_path / "there", "--target", "onnx")
    assert "small.ranges.json is missing" in refuses(*release, tmp_path / "new", "--target", "onnx-qdq")
    assert "choose from onnx" in refuses(*release, tmp_path / "new", "--target", "onnx-int4")
    assert "there is no checkpoint" in refuses("release", tmp_path / "none.safetensors", "--out", tmp_path / "new")
    assert "--data" in refuses(*release, tmp_path / "new", "--target", "onnx", "--split", "test")
