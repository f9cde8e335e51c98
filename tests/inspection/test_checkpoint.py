"""Checkpoints, with and without the ranges beside them."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from edge_deeplab.checkpoint import IntegerWeight, load_checkpoint, save_checkpoint, stored_tensors
from edge_deeplab.inspection.checkpoint import summarize_checkpoint
from edge_deeplab.inspection.describe import network_words
from edge_deeplab.models.cost import count_cost
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.ranges import load_ranges, ranges_path
from edge_deeplab.spec import ModelSpec, NetworkSpec
from edge_deeplab.weights import shipped_checkpoint


def test_the_shipped_checkpoint_with_its_ranges() -> None:
    ranges = load_ranges(ranges_path(shipped_checkpoint()))
    summary = summarize_checkpoint(shipped_checkpoint())
    stored = {type_ for type_, shape in stored_tensors(shipped_checkpoint()).values() if len(shape) > 1}
    assert summary.verdict == (
        f"a checkpoint, computed in float32, its weights stored as {' and '.join(sorted(stored))}; "
        f"the ranges of {len(ranges.activations)} points and {len(ranges.weights)} layers lie beside it"
    )
    assert summary.facts["training"] == load_checkpoint(shipped_checkpoint()).notes
    origins = [activation.origin for activation in ranges.activations.values()]
    assert sorted(summary.facts["origins"]) == sorted(f"{origins.count(one)} {one}" for one in set(origins))
    by_name = {(tensor.name, tensor.constant): tensor for tensor in summary.quantized}
    assert len(by_name) == len(ranges.activations) + len(ranges.weights)
    for name, activation in ranges.activations.items():
        tensor = by_name[name, False]
        assert (tensor.scales, tensor.zero_points) == ((activation.affine.scale,), (activation.affine.zero_point,))
        assert tensor.origin == activation.origin
    for name, weight in ranges.weights.items():
        assert by_name[name, True].scales == weight.scales


def test_what_makes_a_network_another_one_is_said() -> None:
    network = NetworkSpec(width_multiplier=0.5, channel_divisor=4, aspp_channels=64, decoder_channels=32)
    assert network_words(ModelSpec(network=network)) == (
        "mobilenet_v2 0.5, channels in multiples of 4, output stride 16, ASPP 64, decoder 32, 256x256"
    )
    assert network_words(ModelSpec(NetworkSpec(last_bottleneck=False), 192, 192)) == (
        "mobilenet_v2 1.0 without its last bottleneck, output stride 16, ASPP 256, decoder 256, 192x192"
    )
    plain = NetworkSpec(aspp_channels=128, decoder=False)
    assert (
        network_words(ModelSpec(network=plain)) == "mobilenet_v2 1.0, output stride 16, ASPP 128, no decoder, 256x256"
    )


def test_a_checkpoint_without_ranges_is_counted(small_checkpoint: Path, small_network: DeepLab) -> None:
    cost = count_cost(small_network, 96, 96)
    summary = summarize_checkpoint(small_checkpoint)
    assert (summary.parameters, summary.multiply_adds) == (cost.parameters, cost.multiply_adds)
    assert "no ranges for integers beside it" in summary.verdict
    # float16: two bytes for each parameter, and for each running mean and deviation of BatchNorm.
    statistics = sum(buffer.numel() for name, buffer in small_network.named_buffers() if "running" in name)
    assert summary.weights["float16"] == 2 * (cost.parameters + statistics)
    assert summary.quantized == ()


def test_integers_are_called_so(small_checkpoint: Path, small_network: DeepLab, tmp_path: Path) -> None:
    loaded = load_checkpoint(small_checkpoint)
    matrices = {name for name, value in loaded.weights.items() if value.ndim > 1}
    weights = {
        name: IntegerWeight(np.ones(value.shape, np.int8), np.ones(len(value), np.float32))
        if name in matrices
        else value
        for name, value in loaded.weights.items()
    }
    save_checkpoint(tmp_path / "integers.safetensors", loaded.spec, weights)
    summary = summarize_checkpoint(tmp_path / "integers.safetensors")
    assert "computed in float32, its weights stored as int8; no ranges" in summary.verdict
    assert summary.weights["int8"] == sum(loaded.weights[name].size for name in matrices)
    assert summary.parameters == count_cost(small_network, 96, 96).parameters


def test_ranges_of_another_checkpoint_are_called_so(small_checkpoint: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(small_checkpoint, tmp_path))
    shutil.copy(ranges_path(shipped_checkpoint()), ranges_path(path))
    summary = summarize_checkpoint(path)
    owner = load_checkpoint(shipped_checkpoint()).sha256[:12]
    assert f"the ranges beside it belong to another checkpoint ({owner})" in summary.verdict
    assert summary.notes == ()


def test_ranges_that_cannot_be_read_are_noted(small_checkpoint: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(small_checkpoint, tmp_path))
    ranges_path(path).write_text("{")
    summary = summarize_checkpoint(path)
    assert "no ranges for integers beside it" in summary.verdict
    assert any("does not hold quantization ranges" in note for note in summary.notes)
