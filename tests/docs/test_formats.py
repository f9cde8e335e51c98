"""The tables of formats: what was measured, of the portrait that is shipped, or they say that it is not."""

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


@pytest.mark.parametrize("name", ["README.md", "coreml.md"])
def test_a_number_of_another_measurement_is_found(
    name: str, script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both documents are looked at, whichever of them is not in step."""
    copies = {tmp_path / document.name: targets for document, targets in script.TABLES.items()}
    for document in script.TABLES:
        (tmp_path / document.name).write_text(document.read_text())
    monkeypatch.setattr(script, "TABLES", copies)
    monkeypatch.setattr(sys, "argv", ["update_formats.py", "--check"])
    assert script.main() == 0
    before, start, table = (tmp_path / name).read_text().partition("formats:start")
    wrong = re.sub(r"(?<=\| coreml-int8 \| )\d", "7", table)  # of its megabytes
    assert wrong != table
    (tmp_path / name).write_text(before + start + wrong)
    assert script.main() == 1
    assert name in capsys.readouterr().err


def test_the_core_ml_page_has_the_core_ml_packages(script: ModuleType) -> None:
    found = json.loads(script.MEASURED.read_text())
    (targets,) = (targets for document, targets in script.TABLES.items() if document.name == "coreml.md")
    rows = script.block(found, found["checkpoint_sha256"], targets).splitlines()[4:]
    assert [row.split(" | ")[0].removeprefix("| ") for row in rows] == [str(one) for one in Target.named("coreml")]


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
    onnx = Target.named("onnx")
    assert "The shipped `portrait`'s formats against" in script.block(found, "a", onnx)
    other = script.block(found, "b", onnx)
    assert "The formats of a `portrait` that was shipped earlier against" in other
    assert "| onnx | 2.3 | 2.5e-01 | 1.0e-03 | 99.774 % | -0.0003 |" in other
    assert "Rejected" not in other
    row["failures"] = ["x.onnx: it is far off (for a reason)"]
    assert "\nRejected: x.onnx: it is far off (for a reason).\n" in script.block(found, "a", onnx)
    assert re.search(r"3 photos of the test split .*a CPU, a system, 2026-01-31", other)
