from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from edge_deeplab.checkpoint import load_checkpoint, save_checkpoint
from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.loading import load_network
from edge_deeplab.spec import ModelSpec


def test_a_network_comes_back_from_its_checkpoint(
    small_checkpoint: Path, small_network: DeepLab, small_spec: ModelSpec
) -> None:
    network, checkpoint = load_network(small_checkpoint)
    assert checkpoint.spec == small_spec
    assert not network.training
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(network(image), small_network(image))


def test_weights_of_another_architecture_are_named(small_checkpoint: Path, tmp_path: Path) -> None:
    checkpoint = load_checkpoint(small_checkpoint)
    weights = dict(checkpoint.weights)
    weights["classifier.weight"] = np.zeros((1, 64, 1, 1), np.float32)
    del weights["classifier.bias"]
    weights.update({f"neck.{index}": np.zeros(1, np.float32) for index in range(5)})
    path = tmp_path / "other.safetensors"
    save_checkpoint(path, checkpoint.spec, weights)
    with pytest.raises(CheckpointError, match="another architecture") as caught:
        load_network(path)
    message = str(caught.value)
    assert "1 missing (classifier.bias)" in message
    assert "5 extra (neck.0, neck.1, neck.2 and 2 more)" in message
    assert "classifier.weight (1, 64, 1, 1) instead of (1, 32, 1, 1)" in message
    assert str(path) in message
