from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from edge_deeplab.artifact import Artifact
from edge_deeplab.errors import CheckpointError, ModelFileError
from edge_deeplab.files import sha256
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.spec import Format, IoType, ModelSpec, NetworkSpec, Precision, Target


def test_a_checkpoint_opens_as_the_network_with_its_sigmoid(small_checkpoint: Path, small_network: DeepLab) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    with open_session(small_checkpoint) as session:
        assert (session.height, session.width, session.classes) == (96, 96, ("person",))
        assert session.runtime.startswith(f"PyTorch {torch.__version__}")
        found = session.run(pixels)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255
    with torch.no_grad():
        expected = torch.sigmoid(small_network(image))[0, 0].numpy()
    assert found.shape == (96, 96, 1)
    np.testing.assert_allclose(found[:, :, 0], expected, atol=1e-6)


def test_the_sidecar_names_the_classes(write_tflite: Callable[..., Path]) -> None:
    path = write_tflite(channels=2)
    spec = ModelSpec(network=NetworkSpec(num_classes=2), classes=("background", "person"))
    artifact = Artifact(path, spec, Target(Format.TFLITE, Precision.INT8), IoType.UINT8, sha256(path), "0" * 64)
    with open_session(path) as session:
        assert session.classes == ("class 0", "class 1")
    artifact.write_sidecar()
    with open_session(path) as session:
        assert session.classes == ("background", "person")


def test_the_sidecar_of_another_file_is_refused(write_tflite: Callable[..., Path]) -> None:
    path, other = write_tflite(), write_tflite("INT8", zero_point=-128)
    artifact = Artifact(path, ModelSpec(), Target(Format.TFLITE, Precision.INT8), IoType.UINT8, sha256(other), "0" * 64)
    artifact.write_sidecar()
    with pytest.raises(ModelFileError, match="the hash differs"):
        open_session(path)


def test_what_is_missing_or_unknown_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"no model file .*gone\.tflite"):
        open_session(tmp_path / "gone.tflite")
    path = tmp_path / "model.mlmodel"
    path.write_bytes(b"x")
    with pytest.raises(ModelFileError, match=r"model\.mlmodel is of no known kind: give a \.tflite, a \.onnx"):
        open_session(path)
    path = tmp_path / "text.safetensors"
    path.write_text(json.dumps({}))
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        open_session(path)


def test_a_tflite_file_opens_without_the_heavy_packages(write_tflite: Callable[..., Path]) -> None:
    code = f"""
import sys, pathlib
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.segmenter import Segmenter
with open_session(pathlib.Path({str(write_tflite())!r})) as session:
    Segmenter(session)
heavy = {{"torch", "tensorflow", "onnx", "onnxruntime", "lightning", "matplotlib"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
