"""docs/inspect.md shows the shipped portrait as `inspect` shows it."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge_deeplab.cli.main import run
from edge_deeplab.weights import shipped_model

ROOT = Path(__file__).resolve().parents[2]


def test_the_example_is_of_the_model_that_is_shipped(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line by line, but for what the installed LiteRT says of its delegate."""
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["inspect", str(shipped_model())]) == 0
    _, after = (ROOT / "docs" / "inspect.md").read_text().split("edge_deeplab/weights/portrait.tflite`:\n```\n")
    example, _ = after.split("```", 1)
    assert _without_runtime(example) == _without_runtime(capsys.readouterr().out)


def _without_runtime(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().splitlines() if "LiteRT" not in line]
