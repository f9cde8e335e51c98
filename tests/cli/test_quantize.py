"""``quantize`` as a user runs it, and ``convert`` behind it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from converters.tflite import float32_flatbuffer
from converters.tflite_int8 import convert
from edge_deeplab.image import write_image
from edge_deeplab.quantization.ranges import load_ranges
from edge_deeplab.runtime.tflite_session import TfliteSession

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder, random = tmp_path_factory.mktemp("photos"), np.random.default_rng(1)
    for index in range(6):
        colours = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        write_image(folder / f"{index}.png", cv2.resize(colours, (120, 110), interpolation=cv2.INTER_CUBIC))
    return folder


def words(checkpoint: Path, photos: Path, out: Path, *more: object) -> list[object]:
    start = ["quantize", checkpoint, "--method", "ptq", "--calibration", photos, "--out", out]
    return [*start, "--calibration-images", 6, *more]


@pytest.mark.convert
def test_without_changed_weights_the_checkpoint_stays_and_can_be_converted(
    edge_deeplab: Run, small_checkpoint: Path, small_float32_tflite: Path, photos: Path, tmp_path: Path
) -> None:
    done = edge_deeplab(*words(small_checkpoint, photos, tmp_path, "--observer", "best"))
    assert done.returncode == 0, done.stderr
    written = tmp_path / "small.safetensors"
    assert f"Next: edge-deeplab convert {written} --target tflite-int8" in done.stdout
    assert written.read_bytes() == small_checkpoint.read_bytes()
    ranges = load_ranges(tmp_path / "small.ranges.json")
    assert len({point.origin for point in ranges.activations.values()}) > 3
    convert(written, tmp_path / "small.tflite", ranges, small_float32_tflite.read_bytes())


@pytest.mark.convert
def test_changed_weights_are_a_checkpoint_of_their_own(
    edge_deeplab: Run, small_checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    done = edge_deeplab(*words(small_checkpoint, photos, tmp_path, "--equalize", "--no-bias-correction"))
    assert done.returncode == 0, done.stderr
    written = tmp_path / "small.safetensors"
    assert written.read_bytes() != small_checkpoint.read_bytes()
    ranges = load_ranges(tmp_path / "small.ranges.json")
    assert all(weight.bias_shift == () for weight in ranges.weights.values())
    convert(written, tmp_path / "small.tflite", ranges, float32_flatbuffer(written))
    with TfliteSession(tmp_path / "small.tflite") as session:
        probability = session.run(np.zeros((96, 96, 3), np.uint8))
    assert probability.shape == (96, 96, 1)


def test_what_cannot_be_done_is_one_line(
    refuses: Callable[..., str], small_checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    start = words(small_checkpoint, photos, tmp_path)
    assert "has 6 images, and 7 are asked for" in refuses(*start, "--calibration-images", 7)
    assert "choose another folder" in refuses(*words(small_checkpoint, photos, small_checkpoint.parent), "--adaround")
    assert "'best'" in refuses(*start, "--observer", "good", status=2)
    assert "--calibration goes with --method ptq" in refuses(*start, "--method", "qat", status=2)
    assert "no checkpoint" in refuses(*words(tmp_path / "none.safetensors", photos, tmp_path))


def test_equal_photos_are_refused_and_nothing_is_written(
    refuses: Callable[..., str], small_checkpoint: Path, photos: Path, tmp_path: Path
) -> None:
    for index in range(6):
        (tmp_path / f"{index}.png").write_bytes((photos / "0.png").read_bytes())
    assert "all 6 calibration images are the same" in refuses(*words(small_checkpoint, tmp_path, tmp_path))
