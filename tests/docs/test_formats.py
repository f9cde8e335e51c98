"""README's table of formats: what was measured, of the portrait that is shipped, or it says that it is not."""

from __future__ import annotations

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from edge_deeplab.spec import Target

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "docs" / "update_formats.py"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(SCRIPT.parent)
    return importlib.import_module("update_formats")


def test_the_table_is_what_was_measured() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_every_target_has_its_row() -> None:
    found = json.loads((ROOT / "benchmarks" / "portrait_formats.json").read_text())
    assert list(found["rows"]) == [str(target) for target in Target.all()]


def test_of_another_checkpoint_it_says_so(script: ModuleType) -> None:
    row: dict[str, Any] = {
        "bytes": 2_340_000,
        "max_error": 0.25,
        "mean_error": 1e-3,
        "mask_agreement": 0.99774,
        "iou_drop": -0.0003,
    }
    row["failures"] = []
    machine = {"processor": "a CPU", "system": "a system", "date": "2026-01-31"}
    found = {"checkpoint_sha256": "a", "split": "test", "images": 3, "machine": machine, "rows": {"onnx": row}}
    assert "of the shipped `portrait` against" in script.block(found, "a")
    other = script.block(found, "b")
    assert "of a `portrait` that was shipped earlier against" in other
    assert "| onnx | 2.3 | 2.5e-01 | 1.0e-03 | 99.774 % | -0.0003 |" in other
    assert "Rejected" not in other
    row["failures"] = ["x.onnx: it is far off (for a reason)"]
    assert "\nRejected: x.onnx: it is far off (for a reason).\n" in script.block(found, "a")
    assert re.search(r"3 photos of the test split .*a CPU, a system, 2026-01-31", other)
