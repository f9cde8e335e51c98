"""``edge-deeplab evaluate`` and ``edge-deeplab parity`` with a real checkpoint, from the words to the exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from edge_deeplab.artifact import Artifact
from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint
from edge_deeplab.cli.main import run
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.files import sha256
from edge_deeplab.image import resize_area, write_image
from edge_deeplab.spec import IoType, ModelSpec, Target
from edge_deeplab.weights import shipped_model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("COLUMNS", "100")

    def call(*words: object) -> tuple[int, str, str]:
        # One thread: PyTorch's spin while they wait for each other, for seconds where tests share the cores.
        status = run([*map(str, words), "--threads", "1"])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photos with masks in plain folders."""
    portrait = bundled_portrait()
    for n, size in enumerate(((96, 96), (120, 80), (64, 100))):
        write_image(tmp_path / f"data/images/{n}.png", resize_area(portrait, *size))
        mask = np.zeros(size, dtype=np.uint8)
        mask[size[0] // 4 :, size[1] // 4 : -size[1] // 4] = 255
        (tmp_path / "data/masks").mkdir(exist_ok=True)
        Image.fromarray(mask).save(tmp_path / f"data/masks/{n}.png")
    return tmp_path / "data"


@pytest.fixture
def other_checkpoint(small_checkpoint: Path, small_spec: ModelSpec, tmp_path: Path) -> Path:
    """The small network with a slightly different classifier: probabilities off by a hundredth and more."""
    weights = dict(load_checkpoint(small_checkpoint).weights)
    weights["classifier.bias"] = weights["classifier.bias"] + np.float32(0.1)
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, small_spec, weights)
    return path


class TestEvaluate:
    def test_prints_a_table_and_writes_numbers_and_the_worst_photos(
        self, command: Run, small_checkpoint: Path, photos: Path, tmp_path: Path
    ) -> None:
        status, out, err = command("evaluate", small_checkpoint, "--data", photos, "--out", tmp_path / "out")
        assert (status, err) == (0, "")
        values = json.loads((tmp_path / "out/evaluation.json").read_text())
        assert f"{values['total']['person_iou']:.4f}" in out
        assert (values["model"], values["total"]["images"], len(values["images"])) == ("small.safetensors", 3, 3)
        assert "PyTorch" in values["runtime"]
        with Image.open(tmp_path / "out/worst.jpg") as picture:
            assert picture.size > (600, 300)

    def test_a_bad_photo_is_refused_or_left_out_and_named(
        self, command: Run, small_checkpoint: Path, photos: Path
    ) -> None:
        (photos / "images/1.png").write_bytes(b"no picture")
        status, _, err = command("evaluate", small_checkpoint, "--data", photos)
        assert status == 1
        assert "1.png" in err
        status, out, err = command("evaluate", small_checkpoint, "--data", photos, "--skip-bad")
        assert status == 0
        assert err.count("left out: ") == 1
        assert "total" in out

    def test_a_folder_that_cannot_be_written_to_is_found_out_before_the_work(
        self, command: Run, small_checkpoint: Path, photos: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        status, out, err = command("evaluate", small_checkpoint, "--data", photos, "--out", tmp_path / "file")
        assert (status, out) == (1, "")
        assert "file" in err

    def test_the_papers_way_is_said_in_the_report_and_changes_the_numbers(
        self, command: Run, small_checkpoint: Path, photos: Path, tmp_path: Path
    ) -> None:
        def measured(name: str, *words: object) -> dict[str, Any]:
            status, _, err = command("evaluate", small_checkpoint, "--data", photos, "--out", tmp_path / name, *words)
            assert (status, err) == (0, "")
            values: dict[str, Any] = json.loads((tmp_path / name / "evaluation.json").read_text())
            return values

        plain = measured("plain")
        scales = measured("scales", "--scales", "0.5,1,1.5", "--flip", "--output-stride", 8)
        crf = measured("crf", "--crf")
        assert scales["runtime"].endswith("scales 0.5, 1, 1.5, mirrored too, output stride 8")
        assert (plain["crf"], scales["crf"]) == (None, None)
        assert (crf["crf"]["w1"], crf["crf"]["iterations"], crf["runtime"]) == (4.0, 10, plain["runtime"])
        assert len({values["total"]["person_iou"] for values in (plain, scales, crf)}) == 3

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--scales", "0.5,big"), "'0.5,big' is not a list of numbers"),
            (("--scales", "0.5,0"), "the scale 0.0 does not exist"),
            (("--output-stride", "7"), "output stride 7 does not exist: choose 8, 16 or 32"),
            (("--flip", "--bgr"), "--scales, --flip and --output-stride are for checkpoints"),
        ],
    )
    def test_what_does_not_exist_or_does_not_go_together_is_refused(
        self, command: Run, small_checkpoint: Path, photos: Path, words: tuple[str, ...], message: str
    ) -> None:
        status, out, err = command("evaluate", small_checkpoint, "--data", photos, *words)
        assert status != 0
        assert out == ""
        assert message in err

    def test_a_converted_file_has_one_scale(self, command: Run, photos: Path) -> None:
        status, _, err = command("evaluate", shipped_model(), "--data", photos, "--flip")
        assert status == 1
        assert "give its checkpoint" in err


class TestParity:
    def test_a_copy_passes_on_the_bundled_photos(self, command: Run, small_checkpoint: Path, tmp_path: Path) -> None:
        copy = tmp_path / "copy.safetensors"
        copy.write_bytes(small_checkpoint.read_bytes())
        status, out, err = command("parity", small_checkpoint, copy, "--target", "onnx", "--out", tmp_path / "out")
        assert (status, err) == (0, "")
        assert "passed" in out
        assert "on 16 images" in out
        assert json.loads((tmp_path / "out/parity.json").read_text())["passed"] is True
        assert (tmp_path / "out/parity.png").is_file()
        assert "the bundled photos" in (tmp_path / "out/parity.html").read_text()

    def test_one_that_is_off_fails_in_one_line_after_the_report_was_written(
        self, command: Run, small_checkpoint: Path, other_checkpoint: Path, photos: Path, tmp_path: Path
    ) -> None:
        words = ("parity", small_checkpoint, other_checkpoint, "--data", photos, "--out", tmp_path / "out")
        status, out, err = command(*words, "--target", "tflite-float16")
        assert status == 1
        assert "FAILED" in out
        assert err.startswith("edge-deeplab: other.safetensors: the greatest error of a probability is 0.0")
        assert err.count("\n") == 1
        values = json.loads((tmp_path / "out/parity.json").read_text())
        assert values["passed"] is False
        assert values["artifacts"][0]["accuracy"]["total"]["images"] == 3

    def test_the_sidecar_says_which_tolerance_applies(
        self, command: Run, small_checkpoint: Path, other_checkpoint: Path, small_spec: ModelSpec
    ) -> None:
        Artifact(
            path=other_checkpoint,
            spec=small_spec,
            target=Target.parse("tflite-int8"),
            io=IoType.UINT8,
            sha256=sha256(other_checkpoint),
            checkpoint_sha256=sha256(small_checkpoint),
        ).write_sidecar()
        _, _, err = command("parity", small_checkpoint, other_checkpoint, "--target", "onnx")
        assert "under 97.0%" in err  # int8's IoU with the reference, and no word about the greatest error
        assert "greatest" not in err

    def test_without_a_sidecar_or_a_target_nothing_can_be_judged(
        self, command: Run, small_checkpoint: Path, other_checkpoint: Path
    ) -> None:
        status, out, err = command("parity", small_checkpoint, other_checkpoint)
        assert (status, out) == (1, "")
        assert "other.safetensors has no sidecar" in err
        assert "--target" in err

    def test_a_split_of_nothing_is_refused(self, command: Run, small_checkpoint: Path, other_checkpoint: Path) -> None:
        status, _, err = command("parity", small_checkpoint, other_checkpoint, "--split", "test", "--target", "onnx")
        assert status == 1
        assert "--data" in err
