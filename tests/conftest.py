"""What several folders of tests share: a small network whose numbers are as varied as a trained one's."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from edge_deeplab.checkpoint import save_checkpoint
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.spec import ModelSpec, NetworkSpec


@pytest.fixture(scope="session")
def small_spec() -> ModelSpec:
    """A DeepLabV3+ with every kind of layer that the shipped one has, in 96x96 and a tenth of a second."""
    network = NetworkSpec(width_multiplier=0.35, aspp_channels=32, decoder_channels=32, skip_channels=16)
    return ModelSpec(network=network, height=96, width=96)


@pytest.fixture(scope="session")
def small_network(small_spec: ModelSpec) -> DeepLab:
    """Seeded weights, BatchNorm with statistics of its own inputs, probabilities spread over (0, 1). In eval mode."""
    return seeded_network(small_spec)


@pytest.fixture(scope="session")
def small_checkpoint(small_spec: ModelSpec, small_network: DeepLab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small network as a .safetensors file."""
    path = tmp_path_factory.mktemp("checkpoint") / "small.safetensors"
    weights = {name: value.numpy() for name, value in small_network.state_dict().items()}
    save_checkpoint(path, small_spec, weights)
    return path


def seeded_network(spec: ModelSpec, seed: int = 0) -> DeepLab:
    """Build a network whose activations look like those of a trained one, without training it.

    Random gamma and beta, running statistics taken from what really arrives at each BatchNorm, and a classifier
    scaled so that its logits have a standard deviation of 2 about 0.
    """
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(seed)
        network = build_network(spec.network)
        for layer in network.modules():
            if isinstance(layer, ConvBNAct):
                # Little gain behind the linear layers: random residual branches at full strength make a network so
                # chaotic that float32's own rounding shows in the third digit of the logits.
                linear = isinstance(layer.act, nn.Identity)
                layer.bn.weight.uniform_(*((0.1, 0.5) if linear else (0.5, 1.5)))
                layer.bn.bias.uniform_(*((-0.5, 0.5) if linear else (0.0, 2.0)))
                layer.bn.momentum = None  # a plain average over the batches below
        # Smooth pictures with some grain, as photos are.
        coarse = torch.rand(8, 3, 6, 6)
        size = (spec.height, spec.width)
        images = nn.functional.interpolate(coarse, size=size, mode="bicubic", align_corners=False)
        images = (images + 0.1 * torch.randn(8, 3, *size)).clamp(0, 1)
        network.train()
        network(images)
        network.eval()
        logits = network(images)
        mean, deviation = logits.mean((0, 2, 3)), logits.std((0, 2, 3))
        network.classifier.weight *= (2 / deviation)[:, None, None, None]
        assert network.classifier.bias is not None
        network.classifier.bias.copy_((network.classifier.bias - mean) * 2 / deviation)
        for layer in network.modules():
            if isinstance(layer, ConvBNAct):
                layer.bn.momentum = 0.1
    return network
