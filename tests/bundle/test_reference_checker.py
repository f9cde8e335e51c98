"""The checker of a bundle, run as its reader runs it: right files pass, and each wrong number is seen."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converters import tflite_int8
from converters.tflite_schema import read_model, write_model
from edge_deeplab.bundle import reference_checker
from edge_deeplab.cli.main import run
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.spec import IoType, Precision


@pytest.fixture
def copy(shipped_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the bundle."""
    return shutil.copytree(shipped_bundle, tmp_path / "copy")


def check(bundle: Path, elsewhere: Path) -> subprocess.CompletedProcess[str]:
    """By a Python that does not know this project."""
    words = [sys.executable, "-I", str(bundle / "check.py")]
    return subprocess.run(words, cwd=elsewhere, capture_output=True, text=True, check=False, timeout=120)


def test_it_needs_numpy_and_an_interpreter_alone(shipped_bundle: Path) -> None:
    tree = ast.parse((shipped_bundle / "check.py").read_text())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    imported |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert {str(name).partition(".")[0] for name in imported} - set(sys.stdlib_module_names) == {
        "numpy",
        "ai_edge_litert",
    }


def test_a_good_bundle_passes(shipped_bundle: Path, tmp_path: Path) -> None:
    done = check(shipped_bundle, tmp_path)
    assert (done.returncode, done.stdout.count(": passed")) == (0, 3), done.stderr
    assert "FAILED" not in done.stdout


def test_a_file_with_other_weights_fails(copy: Path, tmp_path: Path) -> None:
    """A quarter of the largest weights are zero. Smaller faults are SHA256SUMS' to find: clients differ, too."""
    path = copy / "models" / "portrait.tflite"
    model = read_model(path.read_bytes())
    largest = max((buffer for buffer in model.buffers if buffer.data is not None), key=lambda buffer: len(buffer.data))
    weights = np.array(largest.data)
    weights[: len(weights) // 4] = 0
    largest.data = weights
    path.write_bytes(write_model(model))
    done = check(copy, tmp_path)
    assert (done.returncode, done.stdout.count("FAILED")) == (1, 3), done


def set_tensor(end: str, **values: object) -> Callable[[dict[str, Any]], None]:
    return lambda model: model[end]["tensor"].update(values)


WRONG: Mapping[str, Callable[[dict[str, Any]], None]] = {
    "input scale": set_tensor("input", scale=1 / 128),
    "input zero point": set_tensor("input", zero_point=64),
    "input range": lambda model: model["input"].update(black=-1.0),
    "output scale": set_tensor("output", scale=1 / 128),
    "output zero point": set_tensor("output", zero_point=128),
}


@pytest.mark.parametrize("fault", WRONG)
def test_a_wrong_number_in_the_contract_fails(fault: str, copy: Path) -> None:
    place = copy / "contract.json"
    contract = json.loads(place.read_text())
    WRONG[fault](contract["models"][0])
    place.write_text(json.dumps(contract))
    assert reference_checker.main(copy) > 0


def test_masks_of_another_picture_fail(copy: Path) -> None:
    one, other = (copy / "golden" / f"{name}.portrait.tflite.png" for name in ("lying", "turned-right"))
    shutil.copy(one, other)
    assert reference_checker.main(copy) == 1


@pytest.mark.convert
@pytest.mark.parametrize("io", [IoType.INT8, IoType.FLOAT32])
def test_every_form_of_input_and_output_is_fed_and_read_by_its_contract(
    io: IoType,
    small_checkpoint: Path,
    bundle_ranges: QuantRanges,
    small_flatbuffers: Mapping[Precision, bytes],
    tmp_path: Path,
) -> None:
    file = tmp_path / f"small-{io}.tflite"
    flatbuffer = small_flatbuffers[Precision.FLOAT32]
    tflite_int8.convert(small_checkpoint, file, bundle_ranges, flatbuffer, io).write_sidecar()
    assert run(["bundle", str(file), "--out", str(tmp_path / "out")]) == 0
    assert reference_checker.main(tmp_path / "out") == 0
    zero_points = {IoType.INT8: (-128, -128), IoType.FLOAT32: (None, None)}[io]
    (model,) = json.loads((tmp_path / "out" / "contract.json").read_text())["models"]
    assert tuple(model[end]["tensor"]["zero_point"] for end in ("input", "output")) == zero_points


@pytest.mark.convert
def test_a_bundle_of_a_checkpoint_passes(small_bundle: Path, tmp_path: Path) -> None:
    done = check(small_bundle, tmp_path)
    assert (done.returncode, done.stdout.count(": passed")) == (0, 6), done
