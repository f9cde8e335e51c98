"""``edge-deeplab inspect``: tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_deeplab.inspection.opening import inspect_file

Run = Callable[..., object]


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")


def test_the_tables_of_the_shipped_file(edge_deeplab: Run, model: Path, shipped_operators: list[str]) -> None:
    done = edge_deeplab("inspect", model)
    assert (done.returncode, done.stderr) == (0, "")
    taken = f"{len(shipped_operators) - 2} of {len(shipped_operators)} operators"
    assert f"integer throughout: {taken} compute in int8" in done.stdout
    assert f"XNNPACK takes {taken} in 1 partition; left to LiteRT's own kernels: 2 QUANTIZE" in done.stdout
    assert "its hash fits" in done.stdout
    assert f"CONV_2D                {shipped_operators.count('CONV_2D')}" in done.stdout
    assert "Quantization of" not in done.stdout


def test_the_quantization_is_shown_on_request(edge_deeplab: Run, model: Path) -> None:
    done = edge_deeplab("inspect", model, "--quantization")
    lines = done.stdout.splitlines()
    assert any("0.0039216" in line and "-128" in line and "0 .. 1" in line for line in lines)
    assert sum("(0)" in line or "(3)" in line for line in lines) >= 64
    names = {tensor.name for tensor in inspect_file(model).quantized}
    joined = next(name for name in names if name.count(";") == 2)
    assert f" {joined.split(';')[0]} +2 " in done.stdout
    assert ";" not in done.stdout[done.stdout.index("Quantization of activations") :]


def test_a_float_file_has_no_column_of_scales(
    edge_deeplab: Run, model: Path, tmp_path: Path, small_onnx: bytes
) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(small_onnx)
    assert "(zero point)" in edge_deeplab("inspect", model).stdout
    shown = edge_deeplab("inspect", path).stdout
    assert "(zero point)" not in shown
    assert "any real number" in shown


@pytest.mark.parametrize("options", [(), ("--quantization",)])
def test_the_json_is_the_summary(edge_deeplab: Run, model: Path, options: tuple[str, ...]) -> None:
    done = edge_deeplab("inspect", model, "--json", *options)
    found = json.loads(done.stdout)
    expected = json.loads(json.dumps(inspect_file(model).to_dict()))
    if not options:
        assert expected.pop("quantized")
    assert found == expected
    assert found["execution"]["delegation"]["partitions"] == 1


def test_brackets_in_names_are_no_markup(edge_deeplab: Run, tmp_path: Path, small_onnx: bytes) -> None:
    import onnx

    proto = onnx.load_from_string(small_onnx)
    proto.graph.input[0].name = "[red]image[/red]"
    for node in proto.graph.node:
        node.input[:] = ["[red]image[/red]" if name == "image" else name for name in node.input]
    path = tmp_path / "small.onnx"
    path.write_bytes(proto.SerializeToString())
    assert "[red]image[/red]" in edge_deeplab("inspect", path).stdout


def test_the_cost_of_the_network_is_told(edge_deeplab: Run, small_checkpoint: Path) -> None:
    found = json.loads(edge_deeplab("inspect", small_checkpoint, "--cost", "--json").stdout)
    rows = found["cost"]
    assert rows[0]["multiply_adds"] == found["multiply_adds"]
    assert (rows[0]["height"], rows[0]["width"]) == (96, 96)
    assert [row["output_stride"] for row in rows[1:4]] == [8, 16, 32]
    assert rows[1]["multiply_adds"] > rows[2]["multiply_adds"] > rows[3]["multiply_adds"]
    assert rows[2]["space_to_batch"] > rows[2]["multiply_adds"]
    assert [row["images"] for row in rows[4:]] == ["6 scales", "6 scales, 2 flips"]
    assert rows[5]["multiply_adds"] == 2 * rows[4]["multiply_adds"] > 2 * 8 * rows[2]["multiply_adds"]


def test_the_cost_of_a_file_without_its_sidecar_is_not_known(
    edge_deeplab: Run, small_onnx: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "small.onnx"
    path.write_bytes(small_onnx)
    done = edge_deeplab("inspect", path, "--cost")
    assert done.returncode == 1
    assert "has no sidecar that says which network it is" in done.stderr
    assert "Traceback" not in done.stderr
