"""``edge-deeplab doubts`` on labels of which a known part was cut off."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edge_deeplab.data.manifest import ManifestDataset
from edge_deeplab.files import checksums, sha256
from edge_deeplab.image import read_mask, read_rgb
from edge_deeplab.weights import shipped_model

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def incomplete(made_persons: Path, tmp_path: Path) -> Path:
    """Twelve made persons for training and three for validation; of every other one only the upper half is labelled."""
    data = tmp_path / "data"
    shutil.copytree(made_persons / "images", data / "images")
    shutil.copytree(made_persons / "masks", data / "masks")
    chosen = [row for row in ManifestDataset(made_persons).rows if int(row.id) < 15]
    with (data / "manifest.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "source", "split"])
        table.writerows([row.id, "heads" if int(row.id) % 2 == 0 else "whole", row.split] for row in chosen)
    for id in range(0, 15, 2):
        mask = read_mask(data / "masks" / f"{id}.png")
        mask[60:] = 0
        Image.fromarray(mask).save(data / "masks" / f"{id}.png")
    return data


def test_what_was_cut_off_is_left_out(
    incomplete: Path, made_persons: Path, small_checkpoint: Path, tmp_path: Path, edge_deeplab: Run
) -> None:
    before = checksums(incomplete)
    out = tmp_path / "cleaned"
    done = edge_deeplab("doubts", incomplete, "--teacher", small_checkpoint, "--source", "heads", "--out", out)
    assert done.returncode == 0, done.stderr
    assert checksums(incomplete) == before
    cleaned = ManifestDataset(out, split="train")
    left_out, counts = 0, np.zeros(2, np.int64)
    for row, sample in zip(cleaned.rows, map(cleaned.__getitem__, range(len(cleaned))), strict=True):
        truth = read_mask(made_persons / "masks" / f"{row.id}.png") > 0
        missing = truth & (sample.mask == 0)
        if row.source == "whole" or not missing.any():
            assert sample.ignored is None
            continue
        assert sample.ignored is not None, row.id
        assert sample.ignored[missing].mean() > 0.9, row.id
        near = cv2.dilate(missing.astype(np.uint8), np.ones((17, 17), np.uint8)) > 0
        counts += np.count_nonzero(sample.ignored), np.count_nonzero(sample.ignored & ~near)
        assert not sample.ignored[sample.mask > 0].any()
        left_out += 1
    assert left_out >= 5
    assert counts[1] < 0.1 * counts[0]  # the small network errs now and then
    assert all(row.split == "val" for row in ManifestDataset(out).rows if row not in cleaned.rows)
    summary = json.loads((out / "doubts" / "doubts.json").read_text())["sources"]
    assert summary["heads"]["doubted"] == left_out
    assert f"heads: {left_out} of {summary['heads']['photos']} labels doubted" in done.stdout
    assert read_rgb(out / "doubts.jpg").std() > 20


def test_anybody_s_file_may_doubt_and_it_is_said_how_it_is_fed(
    incomplete: Path, tmp_path: Path, edge_deeplab: Run
) -> None:
    teacher = Path(shutil.copy(shipped_model(), tmp_path / "anybody.tflite"))  # without its sidecar
    out = tmp_path / "cleaned"
    done = edge_deeplab("doubts", incomplete, "--teacher", teacher, "--source", "heads", "--out", out)
    assert done.returncode == 0, done.stderr
    assert "anybody.tflite takes RGB in 0..1" in done.stderr
    assert json.loads((out / "doubts" / "doubts.json").read_text())["teacher_sha256"] == sha256(teacher)


def test_no_other_split_is_touched(incomplete: Path, small_checkpoint: Path, tmp_path: Path, edge_deeplab: Run) -> None:
    out = tmp_path / "cleaned"
    assert not edge_deeplab(
        "doubts", incomplete, "--teacher", small_checkpoint, "--source", "heads", "--out", out
    ).returncode
    validation = ManifestDataset(out, split="val")
    assert {row.source for row in validation.rows} == {"heads", "whole"}
    assert all(validation[index].ignored is None for index in range(len(validation)))
    assert any(np.any(sample.ignored) for sample in map(ManifestDataset(out, split="train").__getitem__, range(3)))


def test_what_cannot_be_done_leaves_nothing(
    incomplete: Path, small_checkpoint: Path, tmp_path: Path, refuses: Callable[..., str]
) -> None:
    out = tmp_path / "cleaned"
    words = ("doubts", incomplete, "--teacher", small_checkpoint, "--out", out)
    assert "has no source 'shoes': it has heads, whole" in refuses(*words, "--source", "shoes")
    assert "there is no checkpoint" in refuses(*words, "--source", "heads", "--teacher", tmp_path / "no.safetensors")
    assert "there is no" in refuses("doubts", tmp_path / "nowhere", *words[2:], "--source", "heads")
    (incomplete / "images" / "2.jpg").write_bytes(b"")
    assert "2.jpg" in refuses(*words, "--source", "heads")
    assert not out.exists()


def test_doubts_are_not_doubted_again(
    incomplete: Path, small_checkpoint: Path, tmp_path: Path, refuses: Callable[..., str], edge_deeplab: Run
) -> None:
    words = ("--teacher", small_checkpoint, "--source", "heads", "--out")
    assert not edge_deeplab("doubts", incomplete, *words, tmp_path / "once").returncode
    assert "exists already" in refuses("doubts", incomplete, *words, tmp_path / "once")
    assert "has doubts about" in refuses("doubts", tmp_path / "once", *words, tmp_path / "twice")
