"""A changed network must come back from its checkpoint with the very integers that were chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from edge_deeplab.checkpoint import save_checkpoint
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.affine import dequantize_weights, quantize_weights, symmetric_scales
from edge_deeplab.quantization.fold import fold_batchnorm
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.unfold import network_of, on_int8_grid, unfold_batchnorm
from edge_deeplab.spec import ModelSpec


def arrays(network: DeepLab) -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in network.state_dict().items()}


def test_folding_it_again_gives_the_same_bits(small_network: DeepLab) -> None:
    folded = fold_batchnorm(small_network)
    again = arrays(fold_batchnorm(unfold_batchnorm(folded)))
    for name, value in arrays(folded).items():
        assert np.array_equal(again[name], value), name


def test_every_float32_mantissa_comes_back(small_network: DeepLab) -> None:
    """The worst case for a factor that is nearly 1: significands all over [1, 2)."""
    folded = fold_batchnorm(small_network)
    layer = next(part for part in folded.modules() if isinstance(part, ConvBNAct))
    with torch.no_grad():
        layer.conv.weight.copy_(torch.linspace(1, 2, layer.conv.weight.numel()).view_as(layer.conv.weight))
        layer.conv.weight.view(-1)[-1] = float(np.nextafter(np.float32(2), np.float32(1)))
    again = next(part for part in fold_batchnorm(unfold_batchnorm(folded)).modules() if isinstance(part, ConvBNAct))
    assert torch.equal(again.conv.weight, layer.conv.weight)


def test_it_has_the_parameters_of_a_trained_network(small_network: DeepLab) -> None:
    unfolded = unfold_batchnorm(fold_batchnorm(small_network))
    assert {name: value.shape for name, value in arrays(unfolded).items()} == {
        name: value.shape for name, value in arrays(small_network).items()
    }
    image = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        torch.testing.assert_close(unfolded(image), small_network(image), atol=1e-4, rtol=0)


@pytest.mark.parametrize("half", [False, True])
def test_integers_survive_the_checkpoint(
    small_network: DeepLab, small_spec: ModelSpec, tmp_path: Path, half: bool
) -> None:
    """Weights s * q, of any q in [-127, 127], are rounded to q again, also by way of half precision."""
    folded = fold_batchnorm(small_network)
    random, chosen = np.random.default_rng(1), {}
    for name, layer in folded.named_modules():
        if isinstance(layer, torch.nn.Conv2d):
            scales = symmetric_scales(layer.weight.detach().numpy(), 0)
            integers = random.integers(-127, 128, tuple(layer.weight.shape)).astype(np.int8)
            chosen[name] = (integers, scales)
            layer.weight = torch.nn.Parameter(torch.from_numpy(dequantize_weights(integers, scales, 0)))
    save_checkpoint(tmp_path / "a.safetensors", small_spec, arrays(unfold_batchnorm(folded)), half=half)
    back = fold_batchnorm(load_network(tmp_path / "a.safetensors")[0])
    for name, (integers, scales) in chosen.items():
        weight = back.get_submodule(name).weight
        assert isinstance(weight, torch.Tensor)
        assert np.array_equal(quantize_weights(weight.detach().numpy(), scales, 0), integers), name


def test_a_network_on_its_grid_keeps_its_integers_in_half_precision(
    small_network: DeepLab, small_spec: ModelSpec, tmp_path: Path
) -> None:
    graph = quantization_graph(small_network, 1)
    ranges = collect_ranges(small_network, small_spec, list(bundled_calibration(4)), checkpoint_sha256="ab")
    network = network_of(on_int8_grid(graph, ranges), small_spec.network)
    save_checkpoint(tmp_path / "grid.safetensors", small_spec, arrays(network), half=True)
    back = quantization_graph(load_network(tmp_path / "grid.safetensors")[0], 1)
    for layer in graph.convolutions:
        scales = ranges.weight(layer.name).array()
        before, after = (quantize_weights(one.conv(layer).weight.detach().numpy(), scales, 0) for one in (graph, back))
        assert np.array_equal(before, after), layer.name
        assert torch.equal(graph.conv(layer).bias, back.conv(layer).bias), layer.name  # type: ignore[arg-type]
