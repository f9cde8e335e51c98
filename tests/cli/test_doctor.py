"""``edge-deeplab doctor``: what it prints, and its exit status."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_deeplab.cli.main import run
from edge_deeplab.weights import shipped_model


def without_sigmoid(sketch: Any) -> None:
    sketch.cut_the_sigmoid()


def test_text_and_status(
    published: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert run(["doctor", str(shipped_model())]) == 0
    printed = capsys.readouterr().out
    assert "nothing found for litert-cpu, qnn, litert-js" in printed
    assert "not checked for qnn: which settings" in printed
    broken = str(published(without_sigmoid))
    assert run(["doctor", broken]) == 1
    printed = capsys.readouterr().out
    error = printed.index("error   mediapipe, wrong")
    assert error < printed.index("cure:  put the sigmoid or softmax into the graph") < printed.index("warning")
    assert run(["doctor", broken, "--client", "litert-cpu"]) == 0


def test_json(published: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", str(shipped_model()), str(published(without_sigmoid)), "--json"]) == 1
    first, second = json.loads(capsys.readouterr().out)
    assert first["file"] == shipped_model().name
    assert {finding["severity"] for finding in first["findings"]} == {"warning", "note"}
    assert first["unchecked"].keys() == {"nnapi", "qnn"}
    (error,) = [finding for finding in second["findings"] if finding["severity"] == "error"]
    assert (error["check"], error["client"], error["effect"]) == ("activation", "mediapipe", "wrong")
    assert error["where"]
    assert error["cure"]


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.tflite").write_bytes(shipped_model().read_bytes()[:100_000])
    (tmp_path / "no.onnx").write_bytes(b"no")
    for words, status, message in (
        (["missing.tflite"], 1, "there is no model file"),
        (["cut.tflite"], 1, "truncated or damaged"),
        (["no.onnx"], 1, "no ONNX file"),
        (["no.mlpackage"], 1, "there is no model file"),
        (["no.onnx", "--client", "nobody"], 2, "is not one of"),
        ([], 2, "Missing argument"),
    ):
        arguments = [str(tmp_path / word) if "." in word else word for word in words]
        assert run(["doctor", *arguments]) == status
        captured = capsys.readouterr()
        assert message in captured.err
        assert captured.out == ""
    (tmp_path / "x.safetensors").touch()
    assert run(["doctor", str(tmp_path / "x.safetensors")]) == 1
    assert "of no known kind" in capsys.readouterr().err
