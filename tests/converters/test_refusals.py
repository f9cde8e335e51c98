"""What a converter must not write: checked with real files of the wrong network, not with mocks."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from converters import onnx, tflite
from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint
from edge_deeplab.errors import ConversionError, MissingExtraError, ModelFileError
from edge_deeplab.models.loading import load_network
from edge_deeplab.spec import Precision

pytestmark = pytest.mark.convert


def changed(checkpoint: Path, to: Path, change: Callable[[dict[str, np.ndarray]], None]) -> Path:
    """A copy of a checkpoint with other weights."""
    loaded = load_checkpoint(checkpoint)
    weights = {name: value.copy() for name, value in loaded.weights.items()}
    change(weights)
    save_checkpoint(to, loaded.spec, weights)
    return to


def swap_red_and_blue(weights: dict[str, np.ndarray]) -> None:
    weights["backbone.stem.conv.weight"] = weights["backbone.stem.conv.weight"][:, ::-1]


def shift_the_logits(weights: dict[str, np.ndarray]) -> None:
    weights["classifier.bias"] += 0.1


@pytest.mark.parametrize("fault", [swap_red_and_blue, shift_the_logits])
def test_a_file_that_differs_is_not_written_and_the_old_one_stays(
    small_checkpoint: Path, tmp_path: Path, fault: Callable[[dict[str, np.ndarray]], None]
) -> None:
    network, loaded = load_network(changed(small_checkpoint, tmp_path / "other.safetensors", fault))
    exported = onnx.export(network, loaded.spec)
    out = tmp_path / "out" / "model.onnx"
    out.parent.mkdir()
    out.write_bytes(b"the old one")
    with pytest.raises(ConversionError, match="the converted onnx file differs from PyTorch"):
        onnx.convert(small_checkpoint, out, exported=exported)
    assert out.read_bytes() == b"the old one"
    assert list(out.parent.iterdir()) == [out]


def test_a_flatbuffer_of_another_network_is_refused(
    small_checkpoint: Path, small_float32_tflite: Path, tmp_path: Path
) -> None:
    other = changed(small_checkpoint, tmp_path / "other.safetensors", shift_the_logits)
    out = tmp_path / "model.tflite"
    flatbuffer = small_float32_tflite.read_bytes()
    with pytest.raises(ConversionError, match=r"tflite-float32 file differs from PyTorch: (mean|greatest) error"):
        tflite.convert(other, out, Precision.FLOAT32, flatbuffer=flatbuffer)
    with pytest.raises(ModelFileError, match="truncated"):
        tflite.convert(small_checkpoint, out, Precision.FLOAT32, flatbuffer=flatbuffer[:-100])
    assert not out.exists()


def test_tensorflows_failure_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"tensorflow_worker failed with status 1: .*; its log is ") as caught:
        tflite.flatbuffers(b"no onnx", [Precision.FLOAT32])
    assert "\n" not in str(caught.value)
    Path(str(caught.value).rpartition(" ")[2]).unlink()


def test_a_missing_extra_is_named(small_checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'edge-deeplab\[convert\]'"):
        onnx.convert(small_checkpoint, tmp_path / "model.onnx")
