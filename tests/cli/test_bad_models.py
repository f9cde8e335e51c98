"""Model files that are none: text, truncated, of another network. One line, status 1, nothing written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint
from edge_deeplab.runtime.coreml.protobuf import messages
from edge_deeplab.spec import ModelSpec, NetworkSpec

Refuses = Callable[..., str]


@pytest.fixture
def other_architecture(small_checkpoint: Path, tmp_path: Path) -> Path:
    """A checkpoint whose header tells of wider layers than its weights have."""
    checkpoint = load_checkpoint(small_checkpoint)
    network = NetworkSpec(width_multiplier=0.35, aspp_channels=64, decoder_channels=32, skip_channels=16)
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, ModelSpec(network=network, height=96, width=96), checkpoint.weights)
    return path


def truncated(path: Path, part: float, folder: Path) -> Path:
    """The first ``part`` of a file."""
    content = path.read_bytes()
    cut = folder / f"cut{path.suffix}"
    cut.write_bytes(content[: int(part * len(content))])
    return cut


PARTS = [0.0, 1e-5, 1e-3, 0.1, 0.5, 0.9, 0.999]


@pytest.mark.parametrize("suffix", [".tflite", ".onnx", ".mlpackage", ".safetensors", ".txt"])
@pytest.mark.parametrize("command", ["portrait", "evaluate", "parity", "inspect"])
def test_a_text_file(refuses: Refuses, tmp_path: Path, photo: Path, model: Path, command: str, suffix: str) -> None:
    text = tmp_path / f"notes{suffix}"
    text.write_text("to do: buy milk\n" * 1000)
    assert text.name in refuses(*_words(command, text, photo, model, tmp_path))


def test_a_text_file_as_a_checkpoint_to_convert(refuses: Refuses, tmp_path: Path) -> None:
    text = tmp_path / "notes.safetensors"
    text.write_text("to do: buy milk\n" * 1000)
    assert text.name in refuses("convert", text, "--target", "onnx", "--out", tmp_path / "out")


@pytest.mark.parametrize("command", ["portrait", "evaluate", "parity", "inspect"])
def test_no_such_file(refuses: Refuses, tmp_path: Path, photo: Path, model: Path, command: str) -> None:
    assert "there is no" in refuses(*_words(command, tmp_path / "gone.tflite", photo, model, tmp_path))


def test_a_missing_file_is_called_missing_before_its_sidecar_is(refuses: Refuses, tmp_path: Path, model: Path) -> None:
    assert "there is no" in refuses("parity", model, tmp_path / "gone.tflite")


@pytest.mark.parametrize("part", PARTS)
def test_a_truncated_tflite_file(refuses: Refuses, tmp_path: Path, photo: Path, model: Path, part: float) -> None:
    cut = truncated(model, part, tmp_path)
    assert cut.name in refuses("portrait", photo, "-o", tmp_path / "out.png", "--model", cut)


@pytest.mark.parametrize("part", PARTS)
def test_a_truncated_checkpoint(refuses: Refuses, tmp_path: Path, small_checkpoint: Path, part: float) -> None:
    cut = truncated(small_checkpoint, part, tmp_path)
    assert cut.name in refuses("convert", cut, "--target", "onnx", "--out", tmp_path / "out")


@pytest.mark.parametrize("part", PARTS)
def test_a_truncated_file_to_look_into(
    refuses: Refuses, tmp_path: Path, model: Path, small_onnx: bytes, small_checkpoint: Path, part: float
) -> None:
    exported = tmp_path / "small.onnx"
    exported.write_bytes(small_onnx)
    for path in (model, exported, small_checkpoint):
        cut = truncated(path, part, tmp_path)
        assert cut.name in refuses("inspect", cut)


@pytest.mark.parametrize("command", ["portrait", "evaluate", "parity", "convert", "inspect"])
def test_a_checkpoint_of_another_architecture(
    refuses: Refuses, tmp_path: Path, photo: Path, model: Path, other_architecture: Path, command: str
) -> None:
    if command == "convert":
        words: list[object] = ["convert", other_architecture, "--target", "onnx", "--out", tmp_path / "out"]
    else:
        words = _words(command, other_architecture, photo, model, tmp_path)
    line = refuses(*words)
    assert other_architecture.name in line
    assert "aspp" in line


@pytest.fixture
def broken_package(tmp_path: Path) -> Callable[[str], Path]:
    """A Core ML package with one fault: no manifest, truncated, of another kind, or with an unknown operator."""

    def write(fault: str) -> Path:
        model = messages().Model_pb2.Model()
        for features in (model.description.input, model.description.output):
            feature = features.add()
            feature.name = "image"
            image = feature.type.imageType
            image.height, image.width, image.colorSpace = 32, 32, 20  # RGB
        image.colorSpace = 10  # the output is grayscale
        if fault == "neuralNetwork":
            model.neuralNetwork.layers.add()
        else:
            function = model.mlProgram.functions["main"]
            function.opset = "CoreML6"
            given = function.inputs.add(name="image").type.tensorType
            given.dataType = messages().MIL_pb2.FLOAT32
            for size in (1, 3, 32, 32):
                given.dimensions.add().constant.size = size
            block = function.block_specializations["CoreML6"]
            block.operations.add().type = fault
            block.outputs.append("image")
        folder = tmp_path / "broken.mlpackage"
        (folder / "Data").mkdir(parents=True)
        content = model.SerializeToString()
        (folder / "Data" / "model.mlmodel").write_bytes(content[:-1] if fault == "truncated" else content)
        if fault != "Manifest.json":
            manifest = {"itemInfoEntries": {"a": {"path": "model.mlmodel"}}, "rootModelIdentifier": "a"}
            (folder / "Manifest.json").write_text(json.dumps(manifest))
        return folder

    return write


@pytest.mark.parametrize("fault", ["Manifest.json", "truncated", "neuralNetwork", "lstm"])
@pytest.mark.parametrize("command", ["portrait", "evaluate"])
def test_a_broken_core_ml_package(
    refuses: Refuses,
    tmp_path: Path,
    photo: Path,
    model: Path,
    broken_package: Callable[[str], Path],
    command: str,
    fault: str,
) -> None:
    package = broken_package(fault)
    line = refuses(*_words(command, package, photo, model, tmp_path))
    assert package.name in line
    assert fault in line


def test_the_sidecar_of_another_file(refuses: Refuses, tmp_path: Path, photo: Path, model: Path) -> None:
    mine = tmp_path / model.name
    mine.write_bytes(model.read_bytes())
    mine.with_name(mine.name + ".json").write_text('{"version": 1}')
    assert "sidecar" in refuses("portrait", photo, "-o", tmp_path / "out.png", "--model", mine)


def _words(command: str, bad: Path, photo: Path, good: Path, folder: Path) -> list[object]:
    match command:
        case "portrait":
            return ["portrait", photo, "-o", folder / "out.png", "--model", bad]
        case "inspect":
            return ["inspect", bad]
        case "evaluate":
            _pair(photo, folder)
            return ["evaluate", bad, "--data", folder / "data"]
        case _:
            return ["parity", good, bad, "--target", "tflite-int8"]


def _pair(photo: Path, folder: Path) -> None:
    for name in ("images", "masks"):
        (folder / "data" / name).mkdir(parents=True)
        (folder / "data" / name / "a.png").write_bytes(photo.read_bytes())
