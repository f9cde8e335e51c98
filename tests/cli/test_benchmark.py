"""``benchmark`` as a user runs it: the tables, the numbers, the picture, what it refuses and what it leaves out."""

from __future__ import annotations

import json
import multiprocessing
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from edge_deeplab.evaluation.latency.statistics import Ratio, Spread, paired_ratio, spread
from edge_deeplab.files import sha256

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
    assert file_row[1:4] == ["256x256", "2.66", "MB"]
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
