"""Quantization-aware training as a user runs it: what it writes is what the file will compute."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from calibration.quantization_aware import starting_ranges
from converters.tflite import float32_flatbuffer
from converters.tflite_int8 import convert
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.cli.main import run
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.data.torch_dataset import EvaluationDataset
from edge_deeplab.data.transforms import Augmentation, EvaluationTransform
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.affine import dequantize_weights, quantize_weights
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.ranges import load_ranges
from edge_deeplab.quantization.simulate import simulate
from edge_deeplab.quantization.trainable import ORIGIN
from edge_deeplab.runtime.tflite_session import TfliteSession
from edge_deeplab.training.losses import distillation_loss
from edge_deeplab.training.overlap import image_iou
from edge_deeplab.training.quantization_aware import (
    FINE_TUNING,
    QuantizationAwareConfig,
    train_quantized,
)
from edge_deeplab.training.run import RESUME

_SETTINGS = ["--batch-size", "8", "--precision", "float32", "--workers", "0", "--lr", "1e-3", "--accelerator", "cpu"]


def _train(data: Path, out: Path, parent: Path, *more: str) -> int:
    return run(["train", str(data), "--out", str(out), "--qat", str(parent), *_SETTINGS, *more])


def _val(data: Path, size: int) -> tuple[Tensor, Tensor]:
    samples = open_dataset(data, split="val")
    dataset = EvaluationDataset(samples, EvaluationTransform(size, size, samples.mask_kind))
    images, masks = zip(*(dataset[index] for index in range(len(dataset))), strict=True)
    return torch.stack(images), torch.stack(masks)


@pytest.fixture(scope="module")
def trained(made_persons: Path, small_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two epochs; BatchNorm keeps its statistics in both."""
    out = tmp_path_factory.mktemp("qat")
    assert _train(made_persons, out, small_checkpoint, "--epochs", "2") == 0
    return out


def test_the_score_of_the_run_is_that_of_the_integer_network(trained: Path, made_persons: Path) -> None:
    network, loaded = load_network(trained / "model.safetensors")
    ranges = load_ranges(trained / "model.ranges.json")
    ranges.require_checkpoint(loaded.sha256)
    images, masks = _val(made_persons, loaded.spec.height)
    with torch.no_grad():
        probability = simulate(quantization_graph(network, 1), ranges)(images)
    # The deployed output is rounded: 0.5 itself is on the person's side of the logit 0.
    iou = float(image_iou(probability - 0.5 + 1e-6, masks).mean())
    assert loaded.notes["val_iou"] == pytest.approx(iou, abs=2e-3)
    assert iou > 0.7


def test_ranges_are_learned_and_the_parent_is_named(trained: Path, small_checkpoint: Path) -> None:
    learned, start = load_ranges(trained / "model.ranges.json"), load_ranges(trained / "start.ranges.json")
    parent, child = load_checkpoint(small_checkpoint), load_checkpoint(trained / "model.safetensors")
    assert child.notes["parent_sha256"] == parent.sha256 == start.checkpoint_sha256
    assert child.notes["quantization_aware"]["distillation"] == 0.5
    assert {point.origin for point in learned.activations.values()} == {ORIGIN, "fixed"}
    moved = [
        name
        for name, point in learned.activations.items()
        if point.origin == ORIGIN and point.affine.scale != start.activation(name).affine.scale
    ]
    assert len(moved) > 20
    assert all(not weight.bias_shift for weight in learned.weights.values())


def test_the_checkpoint_s_weights_are_their_integers(trained: Path) -> None:
    """Or a float16 file of it would compute with weights that training never saw."""
    ranges = load_ranges(trained / "model.ranges.json")
    graph = quantization_graph(load_network(trained / "model.safetensors")[0], 1)
    for layer in graph.convolutions:
        scales, weight = ranges.weight(layer.name).array(), graph.conv(layer).weight.detach().numpy()
        on_grid = dequantize_weights(quantize_weights(weight, scales, 0), scales, 0)
        np.testing.assert_allclose(weight, on_grid, rtol=1e-6, atol=0, err_msg=layer.name)


@pytest.mark.convert
def test_the_file_is_the_network_that_was_trained(trained: Path, made_persons: Path, tmp_path: Path) -> None:
    checkpoint = trained / "model.safetensors"
    network, loaded = load_network(checkpoint)
    ranges = load_ranges(trained / "model.ranges.json")
    path = tmp_path / "qat.tflite"
    convert(checkpoint, path, ranges, float32_flatbuffer(checkpoint))  # reads every number back and compares kernels
    images, _ = _val(made_persons, loaded.spec.height)
    with torch.no_grad():
        simulated = simulate(quantization_graph(network, 1), ranges).double()(images.double())
    pixels = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    with TfliteSession(path) as session:
        found = np.stack([session.run(picture) for picture in pixels]).transpose(0, 3, 1, 2)
    assert np.mean((found >= 0.5) == (simulated.numpy() >= 0.5)) > 0.998
    assert np.abs(found - simulated.numpy()).mean() < 2e-3


def test_resuming_is_as_if_nothing_had_happened(made_persons: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    straight, halved = tmp_path / "straight", tmp_path / "halved"
    assert _train(made_persons, straight, small_checkpoint, "--epochs", "3") == 0
    _interrupted(made_persons, halved, small_checkpoint)
    assert _train(made_persons, halved, small_checkpoint, "--epochs", "3", "--resume") == 0
    one, other = (torch.load(out / RESUME, weights_only=True)["current_model_state"] for out in (straight, halved))
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    files = [out / name for name in ("model.safetensors", "model.ranges.json") for out in (straight, halved)]
    assert files[0].read_bytes() == files[1].read_bytes()
    assert files[2].read_bytes() == files[3].read_bytes()


def _interrupted(data: Path, out: Path, parent: Path) -> None:
    """The first of three epochs."""
    recipe = {"epochs": 3, "batch_size": 8, "precision": "32-true", "workers": 0, "learning_rate": 1e-3}
    network, loaded = load_network(parent)
    splits = [open_dataset(data, split=split) for split in ("train", "val")]
    start = starting_ranges(network, loaded, splits[0], out, resume=False)
    config = QuantizationAwareConfig(replace(FINE_TUNING, augmentation=Augmentation(), **recipe))  # type: ignore[arg-type]
    train_quantized(network, loaded, start, *splits, out, config, accelerator="cpu", stop_after=1)
    assert json.loads((out / "config.json").read_text())["training"]["epochs"] == 3


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--width", "0.5"], "--width does not go with --qat"),
        (["--resume"], "no quantization-aware run to resume|to resume from"),
        (["--distillation", "1.5"], "distillation is 1.5"),
        (["--batch-size", "64"], "do not fill one batch of 64"),
    ],
)
def test_what_cannot_work_is_refused_in_a_line(
    more: list[str],
    message: str,
    made_persons: Path,
    small_checkpoint: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert _train(made_persons, tmp_path / "run", small_checkpoint, *more) != 0
    error = capsys.readouterr().err
    assert re.search(message, error)
    assert error.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_quantize_by_training_is_the_same_thing(made_persons: Path, small_checkpoint: Path, tmp_path: Path) -> None:
    words = ["quantize", str(small_checkpoint), "--method", "qat", "--data", str(made_persons), "--out", str(tmp_path)]
    assert run([*words, "--epochs", "1", "--batch-size", "8"]) == 0
    loaded = load_checkpoint(tmp_path / "model.safetensors")
    load_ranges(tmp_path / "model.ranges.json").require_checkpoint(loaded.sha256)
    assert loaded.notes["quantization_aware"]["epochs"] == 1
    assert loaded.notes["quantization_aware"]["learning_rate"] == 1e-4


@pytest.mark.parametrize(
    ("method", "more", "message"),
    [
        ("qat", [], "--method qat needs --data"),
        ("qat", ["--data", "x", "--adaround"], "--adaround goes with --method ptq"),
        ("ptq", [], "--method ptq needs --calibration"),
        ("ptq", ["--calibration", "x", "--epochs", "2"], "--epochs goes with --method qat"),
    ],
)
def test_the_options_of_the_other_method_are_refused(
    method: str, more: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["quantize", "some.safetensors", "--method", method, "--out", str(tmp_path), *more]) == 2
    assert message in capsys.readouterr().err


def test_a_run_is_not_overwritten(
    trained: Path, made_persons: Path, small_checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: path.read_bytes() for path in trained.iterdir() if path.is_file()}
    assert _train(made_persons, trained, small_checkpoint) == 1
    assert "already holds a training run" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in trained.iterdir() if path.is_file()} == before


@pytest.mark.parametrize("classes", [1, 3])
def test_the_teacher_is_where_the_distillation_loss_is_least(classes: int) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, classes, 4, 4)
    taught = torch.sigmoid(logits) if classes == 1 else torch.softmax(logits, dim=1)
    student = logits.clone().requires_grad_()
    distillation_loss(student, taught).backward()
    assert student.grad is not None
    assert float(student.grad.abs().max()) < 1e-6
    assert distillation_loss(logits + torch.randn_like(logits), taught) > distillation_loss(logits, taught)
