"""``sensitivity`` as a user runs it: the tables, the numbers, the picture, what it refuses."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.affine import Affine
from edge_deeplab.quantization.ranges import QuantRanges, save_ranges
from edge_deeplab.spec import ModelSpec

Run = Callable[..., subprocess.CompletedProcess[str]]

NARROW = "backbone.blocks.1.depthwise"


@pytest.fixture(scope="module")
def ranges_file(
    small_checkpoint: Path, small_network: DeepLab, small_spec: ModelSpec, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Ranges of the small network, of which one is eight times too narrow."""
    sha256 = load_checkpoint(small_checkpoint).sha256
    ranges = collect_ranges(small_network, small_spec, bundled_calibration(4), checkpoint_sha256=sha256)
    good = ranges.activation(NARROW)
    affine = Affine(good.affine.scale / 8, good.affine.zero_point)
    bad = type(good)(affine, good.low, good.high, good.origin)
    path = tmp_path_factory.mktemp("ranges") / "small.ranges.json"
    save_ranges(path, QuantRanges(sha256, {**ranges.activations, NARROW: bad}, ranges.weights))
    return path


def test_it_prints_the_culprit_and_writes_numbers_and_a_picture(
    edge_deeplab: Run, small_checkpoint: Path, ranges_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = ("sensitivity", small_checkpoint, "--ranges", ranges_file, "--count", 2, "--out", tmp_path / "out")
    done = edge_deeplab(*words)
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["sensitivity.json", "sensitivity.png"]
    values = json.loads((tmp_path / "out/sensitivity.json").read_text())
    harm = {layer["layer"]: layer["alone"]["mean_error"] for layer in values["layers"]}
    first, second = sorted(harm, key=lambda layer: -harm[layer])[:2]
    assert first == values["mixed_precision"]["steps"][0]["layer"] == NARROW
    assert (values["images"], values["checkpoint"]) == (2, "small.safetensors")
    assert "2 variations of the bundled portrait" in values["photos"]
    shown = done.stdout
    assert shown.index(f"\n {NARROW} ") < shown.index(f"\n {second} ")
    assert f"{harm[NARROW]:.5f}" in shown
    answer = shown[shown.index("Mixed precision") :]
    step = values["mixed_precision"]["steps"][0]["in_float"]["mean_error"]
    assert f"\n {NARROW} " in answer  # in one piece, even in 80 columns
    assert f"{step:.5f}" in answer
    with Image.open(tmp_path / "out/sensitivity.png") as picture:
        assert picture.width > 1000
        colours = np.asarray(picture.convert("RGB"))
    assert (colours == (213, 94, 0)).all(axis=2).any()  # the worst layers' bars

    first_bytes = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert edge_deeplab(*words).returncode == 0
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first_bytes


def test_it_measures_on_the_photos_that_are_named(
    edge_deeplab: Run, small_checkpoint: Path, ranges_file: Path, photo: Path, tmp_path: Path
) -> None:
    done = edge_deeplab(
        *("sensitivity", small_checkpoint, "--ranges", ranges_file, "--images", photo.parent, "--count", 1),
        *("--out", tmp_path / "out"),
    )
    assert done.returncode == 0, done.stderr
    values = json.loads((tmp_path / "out/sensitivity.json").read_text())
    assert values["photos"] == f"1 photos of {photo.parent.name}"


def test_what_it_refuses(
    refuses: Callable[..., str], small_checkpoint: Path, ranges_file: Path, photo: Path, tmp_path: Path
) -> None:
    out = ("--out", tmp_path / "out")
    assert "calibrate first" in refuses("sensitivity", small_checkpoint, *out)  # no ranges beside the checkpoint
    sensitivity = ("sensitivity", small_checkpoint, "--ranges", ranges_file, *out)
    assert "17 are asked for" in refuses(*sensitivity, "--count", 17)
    assert "0 are asked for" in refuses(*sensitivity, "--count", 0)
    assert "1 images, and 2" in refuses(*sensitivity, "--count", 2, "--images", photo.parent)
    assert "give --images" in refuses(*sensitivity, "--split", "val")
    values = json.loads(ranges_file.read_text())
    (tmp_path / "other.json").write_text(json.dumps(values | {"checkpoint_sha256": "0" * 64}))
    other = ("sensitivity", small_checkpoint, "--ranges", tmp_path / "other.json", *out)
    assert "belong to the checkpoint 000000000000" in refuses(*other)
    del values["activations"][NARROW]
    (tmp_path / "less.json").write_text(json.dumps(values))
    less = ("sensitivity", small_checkpoint, "--ranges", tmp_path / "less.json", *out)
    assert f"no range for the activation '{NARROW}'" in refuses(*less)
