"""``benchmark`` as a user runs it: the tables, the numbers, the picture, what it refuses and what it leaves out."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_deeplab.artifact import load_artifact
from edge_deeplab.evaluation.latency.statistics import Ratio, Spread, paired_ratio, spread
from edge_deeplab.files import sha256
from edge_deeplab.weights import shipped_checkpoint, shipped_model

Run = Callable[..., subprocess.CompletedProcess[str]]
Refuses = Callable[..., str]

SHORT = ("--warm-up", 1, "--runs", 3)


@pytest.fixture
def foreign(tmp_path: Path, model: Path) -> Path:
    """The shipped file without its sidecar: somebody's."""
    return Path(shutil.copy(model, tmp_path / "somebody.tflite"))


def test_tables_numbers_and_a_picture(
    edge_deeplab: Run, model: Path, foreign: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    numbers, plot = tmp_path / "new" / "a.json", tmp_path / "new" / "a.png"
    words = ("benchmark", model, "--against", foreign, *SHORT, "--seed", 9)
    done = edge_deeplab(*words, "--json", numbers, "--plot", plot)
    assert done.returncode == 0
    (line,) = done.stderr.splitlines()
    assert line.startswith("edge-deeplab: somebody.tflite takes RGB in 0..1")
    assert sorted(path.name for path in plot.parent.iterdir()) == ["a.json", "a.png"]

    values = json.loads(numbers.read_text())
    assert {key: values[key] for key in ("threads", "warm_up", "runs", "seed", "against", "left_out")} == {
        "threads": 1, "warm_up": 1, "runs": 3, "seed": 9, "against": "somebody.tflite", "left_out": []
    }  # fmt: skip
    assert {"date", "processor", "cores", "system", "python", "packages"} == set(values["machine"])
    assert {"edge-deeplab", "ai-edge-litert", "torch", "numpy"} <= set(values["machine"]["packages"])
    ours, peer = values["files"]
    for file, path in ((ours, model), (peer, foreign)):
        assert (file["name"], file["sha256"], file["size"]) == (path.name, sha256(path), path.stat().st_size)
        assert file["execution"]["delegation"]["partitions"] == 1
        for clock in ("wall", "processor"):
            times = np.array(file[clock]["milliseconds"])
            assert times.shape == (3,)
            assert Spread(**file[clock]["spread"]) == spread(times)
    for clock in ("wall", "processor"):
        pair = [np.array(file[clock]["milliseconds"]) for file in (ours, peer)]
        assert Ratio(**ours[clock]["ratio"]) == paired_ratio(*pair)
        assert peer[clock]["ratio"] is None

    rows = [line.split() for line in done.stdout.splitlines() if line.split()]
    (time_row, file_row) = (row for row in rows if row[0] == model.name)
    measured = ours["wall"]
    assert time_row[1:4] == [f"{measured['spread'][key]:.2f}" for key in ("median", "p95", "minimum")]
    assert time_row[5] == f"{measured['ratio']['median']:.2f}"
    spec = load_artifact(shipped_model()).spec
    assert file_row[1:4] == [f"{spec.height}x{spec.width}", f"{model.stat().st_size / 1e6:.2f}", "MB"]
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    assert "…" not in done.stdout

    with Image.open(plot) as picture:
        assert picture.width > 1000
        colours = np.asarray(picture.convert("RGB"))
    assert (colours == (213, 94, 0)).all(axis=2).any()  # the medians


def test_what_cannot_be_opened_is_left_out_and_the_others_are_kept(
    edge_deeplab: Run, model: Path, foreign: Path, tmp_path: Path
) -> None:
    """With two files of one name, and what is told of the one from elsewhere."""
    bad = tmp_path / "bad" / model.name
    bad.parent.mkdir()
    bad.write_bytes(b"no model")
    processes = set(multiprocessing.active_children())
    words = ("benchmark", bad, model, foreign, tmp_path / "none.onnx", "--against", foreign, *SHORT)
    done = edge_deeplab(*words, "--input-range", "-1,1", "--json", tmp_path / "a.json")
    assert done.returncode == 1
    first, told, last = done.stderr.splitlines()
    assert first.startswith(f"edge-deeplab: left out: {bad}")
    assert "somebody.tflite takes RGB in -1..1 (as told)" in told
    assert "there is no model file" in last
    values = json.loads((tmp_path / "a.json").read_text())
    assert [file["name"] for file in values["files"]] == [str(model), foreign.name]
    assert values["against"] == foreign.name
    assert [left["name"] for left in values["left_out"]] == [str(bad), "none.onnx"]
    assert values["left_out"][1]["reason"] in last
    assert not set(multiprocessing.active_children()) - processes


def test_the_live_pipeline_and_conversions(
    edge_deeplab: Run, small_checkpoint: Path, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One conversion fails, and is left out: the ranges beside the checkpoint are of another one."""
    monkeypatch.setenv("COLUMNS", "80")
    checkpoint = Path(shutil.copy(small_checkpoint, tmp_path))
    shutil.copy(shipped_checkpoint().with_suffix(".ranges.json"), tmp_path / "small.ranges.json")
    numbers, plot = tmp_path / "out" / "a.json", tmp_path / "out" / "a.png"
    words = ("benchmark", checkpoint, "--against", model, *SHORT, "--live", "--target", "onnx", "--target", "onnx-qdq")
    threads = cv2.getNumThreads()
    done = edge_deeplab(*words, "--json", numbers, "--plot", plot)
    assert cv2.getNumThreads() == threads
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"edge-deeplab: left out: {checkpoint} is not converted to onnx-qdq: ")
    assert "ranges" in line
    assert len(list(tmp_path.iterdir())) == 3

    values = json.loads(numbers.read_text())
    assert [left["name"] for left in values["left_out"]] == ["small.safetensors to onnx-qdq"]
    ways = values["live"]["ways"]
    names = [checkpoint.name, model.name]
    assert [(row["way"], row["name"]) for row in ways] == [(way, name) for way in ("full", "fast") for name in names]
    for row in ways:
        assert list(row["processor"]) == list(row["wall"]) == ["resize", "network", "smooth", "matte", "blur", "mix"]
        assert row["wall_sum"]["minimum"] >= sum(spread["minimum"] for spread in row["wall"].values())
        assert (row["ratio"] is None) == (row["name"] == model.name)
    (conversion,) = values["conversions"]
    assert (conversion["checkpoint"], conversion["target"]) == (checkpoint.name, "onnx")
    assert conversion["processor"] > 1  # PyTorch's import alone takes more

    lines = [line.split() for line in done.stdout.splitlines()]
    shown = [line[1:8] for line in lines if line[:1] == [model.name] and len(line) == 9]
    compared = [row for row in ways if row["name"] == model.name]
    assert shown == [
        [f"{spread['median']:.2f}" for spread in (*row["processor"].values(), row["processor_sum"])] for row in compared
    ]
    assert [checkpoint.name, "onnx"] in [line[:2] for line in lines]
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80
    with Image.open(plot) as picture:
        assert picture.height > 700  # three parts; without the stages and the conversions it is half of that


def test_what_it_refuses(refuses: Refuses, model: Path, foreign: Path, tmp_path: Path) -> None:
    out = ("--json", tmp_path / "a.json", "--plot", tmp_path / "a.png")
    assert "there is no model file" in refuses("benchmark", tmp_path / "none.tflite", *out)
    assert "there is no model file" in refuses("benchmark", model, "--against", tmp_path / "none.tflite", *out)
    (tmp_path / "link.tflite").symlink_to(foreign)
    assert "given twice" in refuses("benchmark", foreign, tmp_path / "link.tflite", *out, status=2)
    assert "--runs" in refuses("benchmark", model, "--runs", 1, *out, status=2)
    assert "must end in .png" in refuses("benchmark", model, "--plot", tmp_path / "a.jpg", status=2)
    assert "Missing argument" in refuses("benchmark", *out, status=2)
    assert "in each other's way" in refuses("benchmark", model, "--json", foreign / "a.json")
    assert "--target is for checkpoints" in refuses("benchmark", model, "--target", "onnx", *out, status=2)
    assert "tflite-int4" in refuses("benchmark", model, "--target", "tflite-int4", *out)
