"""``convert`` as a user runs it: every target, the report, what it refuses."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_deeplab.artifact import load_artifact
from edge_deeplab.image import write_image
from edge_deeplab.quantization.ranges import load_ranges

pytestmark = pytest.mark.convert

Run = Callable[..., subprocess.CompletedProcess[str]]


_COUNT = 16
_TARGETS = ("--target", "onnx", "--target", "onnx-qdq", "--target", "tflite-int8")
_NARROW = "backbone.blocks.1.depthwise"


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made persons of the kind that the small network knows, with their masks."""
    place = Path(__file__).resolve().parents[1] / "small_network" / "train.py"
    spec = importlib.util.spec_from_file_location("small_network_train", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(7)
    (folder / "masks").mkdir()
    for index in range(_COUNT):
        picture, mask = module.made_person(random, 120)
        write_image(folder / "images" / f"{index}.png", picture)
        Image.fromarray(mask * 255).save(folder / "masks" / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def converted(
    small_checkpoint: Path, photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """``convert`` to ONNX and to both integer formats, once: the folder, and what was printed."""
    out = tmp_path_factory.mktemp("out")
    words = ["convert", small_checkpoint, *_TARGETS, "--out", out]
    words += ["--calibration", photos, "--calibration-images", _COUNT, "--data", photos]
    done = subprocess.run(
        [sys.executable, "-m", "edge_deeplab.cli.main", *map(str, words)], capture_output=True, text=True, check=False
    )
    return out, done


def test_it_writes_files_sidecars_ranges_and_a_report(
    converted: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    out, done = converted
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        "parity.html",
        "parity.json",
        "parity.png",
        "small-int8.tflite",
        "small-int8.tflite.json",
        "small-qdq.onnx",
        "small-qdq.onnx.json",
        "small.onnx",
        "small.onnx.json",
        "small.ranges.json",
    ]
    assert "passed" in done.stdout
    report = json.loads((out / "parity.json").read_text())
    assert report["passed"]
    assert report["images"] == _COUNT
    for name in ("small.onnx", "small-qdq.onnx", "small-int8.tflite"):
        artifact = load_artifact(out / name)
        assert artifact.metrics["parity"]["passed"]
        assert artifact.tools["torch"]
        assert artifact.checkpoint_sha256 == load_ranges(out / "small.ranges.json").checkpoint_sha256


def test_the_same_inputs_give_the_same_bytes(
    converted: tuple[Path, subprocess.CompletedProcess[str]],
    small_checkpoint: Path,
    photos: Path,
    edge_deeplab: Run,
    tmp_path: Path,
) -> None:
    out, _ = converted
    done = edge_deeplab(
        *("convert", small_checkpoint, *_TARGETS, "--out", tmp_path),
        *("--ranges", out / "small.ranges.json", "--data", photos),
    )
    assert done.returncode == 0, done.stderr
    for name in ("small.onnx", "small-qdq.onnx", "small-qdq.onnx.json", "small-int8.tflite", "small-int8.tflite.json"):
        assert (tmp_path / name).read_bytes() == (out / name).read_bytes(), name


@pytest.fixture
def narrow(converted: tuple[Path, object], tmp_path: Path) -> Path:
    """Ranges four times too narrow at one depthwise convolution: the file says what they say, and it is no good."""
    ranges = json.loads((converted[0] / "small.ranges.json").read_text())
    ranges["activations"][_NARROW]["scale"] /= 4
    (tmp_path / "narrow.json").write_text(json.dumps(ranges))
    return tmp_path / "narrow.json"


def test_a_file_that_is_too_far_off_is_set_aside_and_the_layer_to_blame_named(
    narrow: Path,
    small_checkpoint: Path,
    photos: Path,
    edge_deeplab: Run,
    the_line: Callable[[subprocess.CompletedProcess[str]], str],
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    done = edge_deeplab(
        *("convert", small_checkpoint, "--target", "tflite-int8", "--out", out, "--data", photos),
        *("--ranges", narrow, "--allow-drop", "0.1"),
    )
    assert done.returncode == 1
    line = the_line(done)
    assert "small-int8.tflite" in line
    assert re.search(rf"most harm in int8 are {_NARROW} \(alone: mean error 0\.\d+; its range clips \d+%", line)
    assert sorted(path.name for path in out.iterdir()) == [
        "parity.html",
        "parity.json",
        "parity.png",
        "small-int8.tflite.rejected",
        "small-int8.tflite.rejected.json",
    ]
    assert not json.loads((out / "parity.json").read_text())["passed"]
    metrics = load_artifact(out / "small-int8.tflite.rejected").metrics
    assert not metrics["parity"]["passed"]
    assert metrics["parity"]["failures"]
    assert metrics["parity"]["override"] is None
    first, *others = metrics["blame"]
    assert first["layer"] == _NARROW
    assert first["clipped"] > 0.01
    assert all(other["alone"]["mean_error"] < first["alone"]["mean_error"] for other in others)


def test_a_loss_that_is_allowed_passes_and_is_on_record(
    narrow: Path, small_checkpoint: Path, photos: Path, edge_deeplab: Run, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    done = edge_deeplab(
        *("convert", small_checkpoint, "--target", "tflite-int8", "--out", out, "--data", photos),
        *("--ranges", narrow, "--allow-drop", "100"),
    )
    assert done.returncode == 0, done.stderr
    assert "allowed" in done.stdout
    assert not list(out.glob("*.rejected"))
    parity = load_artifact(out / "small-int8.tflite").metrics["parity"]
    assert parity["passed"]
    assert parity["failures"] == []
    assert parity["override"]["allowed_points"] == 100
    assert parity["override"]["lost_points"] == pytest.approx(100 * parity["iou_drop"]["worst"])
    assert any("the mean error" in failure for failure in parity["override"]["failures"])


def test_what_it_refuses(
    refuses: Callable[..., str], small_checkpoint: Path, converted: tuple[Path, object], photos: Path, tmp_path: Path
) -> None:
    convert = ("convert", small_checkpoint, "--out", tmp_path / "out")
    assert "choose from onnx, tflite-float32" in refuses(*convert, "--target", "tflite-int4")
    int8 = (*convert, "--target", "tflite-int8")
    ranges = converted[0] / "small.ranges.json"
    assert "exclude each other" in refuses(*int8, "--ranges", ranges, "--calibration", photos)
    assert f"{_COUNT} images, and 128" in refuses(*int8, "--calibration", photos)
    other = json.loads(ranges.read_text()) | {"checkpoint_sha256": "0" * 64}
    (tmp_path / "other.json").write_text(json.dumps(other))
    assert "belong to the checkpoint 000000000000" in refuses(*int8, "--ranges", tmp_path / "other.json")
    assert "cannot read the ranges" in refuses(*int8, "--ranges", tmp_path / "none.json")
    lacking = json.loads(ranges.read_text())
    del lacking["activations"]["decoder.skip"]
    (tmp_path / "lacking.json").write_text(json.dumps(lacking))
    qdq = (*convert, "--target", "onnx-qdq", "--ranges")
    assert "decoder.skip" in refuses(*qdq, tmp_path / "lacking.json")
    assert "belong to the checkpoint 000000000000" in refuses(*qdq, tmp_path / "other.json")
    assert "--allow-drop is for quantized files" in refuses(*convert, "--target", "onnx", "--allow-drop", "3")
