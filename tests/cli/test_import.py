"""``edge-deeplab import``: bad input is one line, and nothing is written."""

from __future__ import annotations

import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_deeplab.weights import shipped_model

Refuses = Callable[..., str]


@pytest.mark.parametrize("name", ["notes.pb", "notes.tar.gz", "notes.tflite", "notes"])
def test_a_text_file(refuses: Refuses, tmp_path: Path, name: str) -> None:
    text = tmp_path / name
    text.write_text("to do: buy milk\n" * 1000)
    assert name in refuses("import", text, "--out", tmp_path / "new/model.safetensors", "--no-parity")


def test_no_such_file(refuses: Refuses, tmp_path: Path) -> None:
    for name in ("gone.pb", "gone.tgz", "gone.tflite"):
        assert name in refuses("import", tmp_path / name, "--out", tmp_path / "model.safetensors", "--no-parity")


def test_a_tarball_that_escapes(refuses: Refuses, tmp_path: Path) -> None:
    path = tmp_path / "zoo.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(__file__, "../frozen_inference_graph.pb")
    said = refuses("import", path, "--out", tmp_path / "model.safetensors", "--no-parity")
    assert "'../frozen_inference_graph.pb' would be written outside" in said


def test_another_network(refuses: Refuses, tmp_path: Path) -> None:
    assert "only DeepLabs without" in refuses("import", shipped_model(), "--out", tmp_path / "model.safetensors")


def test_a_checkpoint_has_its_ending(refuses: Refuses, tmp_path: Path) -> None:
    assert "must end in .safetensors" in refuses("import", "a.pb", "--out", tmp_path / "model.pb")


def test_a_frozen_graph_says_its_range(refuses: Refuses, tmp_path: Path) -> None:
    words = ["import", "a.pb", "--out", tmp_path / "model.safetensors", "--init-range", "0", "1"]
    assert "--init-range goes with a .tflite file" in refuses(*words, status=2)
