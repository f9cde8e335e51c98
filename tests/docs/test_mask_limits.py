"""What a grid of cells leaves of a mask: the measurement, and docs/training.md shows it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from edge_deeplab.data.sample import MaskKind, Sample
from edge_deeplab.evaluation.labels import Labels

ROOT = Path(__file__).resolve().parents[2]
LABELS = Labels(("background", "person"), channel=0, index=0, kind=MaskKind.COVERAGE)


def test_the_table_is_that_of_the_measurement() -> None:
    script = ROOT / "docs" / "update_mask_limits.py"
    done = subprocess.run([sys.executable, script, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_only_what_is_finer_than_the_grid_is_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    limit = importlib.import_module("mask_limits").limit
    mask = np.zeros((64, 64), np.uint8)
    mask[16:48, 20:40] = 255
    photo = Sample("square", "made", np.zeros((64, 64, 3), np.uint8), mask)
    assert limit(photo, LABELS, 64).person_iou == 1.0  # a cell for each pixel
    assert limit(photo, LABELS, 16).person_iou == pytest.approx(1.0, abs=0.05)  # its sides lie on the cells' edges
    mask[:] = 0
    mask[16:48, 20] = 255  # one pixel wide, in cells of four
    assert limit(photo, LABELS, 64).person_iou == 1.0
    assert limit(photo, LABELS, 16).person_iou == 0.0
