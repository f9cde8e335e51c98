"""A changed network must come back from its checkpoint with the very integers that were chosen."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from edge_deeplab.checkpoint import save_checkpoint, stored_tensors
from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.affine import dequantize_weights, quantize_weights, symmetric_scales
from edge_deeplab.quantization.fold import fold_batchnorm
from edge_deeplab.quantization.graph import Convolution, quantization_graph
from edge_deeplab.quantization.ranges import QuantRanges, WeightRange
from edge_deeplab.quantization.unfold import integer_weights, network_of, on_int8_grid, unfold_batchnorm
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


@pytest.fixture(scope="module")
def ranges(small_network: DeepLab, small_spec: ModelSpec) -> QuantRanges:
    return collect_ranges(small_network, small_spec, list(bundled_calibration(4)), checkpoint_sha256="ab")


@pytest.fixture
def on_grid(small_network: DeepLab, small_spec: ModelSpec, ranges: QuantRanges) -> DeepLab:
    """The small network with every weight an integer times its scale."""
    return network_of(on_int8_grid(quantization_graph(small_network, 1), ranges), small_spec.network)


def test_a_network_on_its_grid_is_stored_as_its_integers_and_comes_back_bit_for_bit(
    on_grid: DeepLab, small_network: DeepLab, small_spec: ModelSpec, ranges: QuantRanges, tmp_path: Path
) -> None:
    path = tmp_path / "grid.safetensors"
    save_checkpoint(path, small_spec, integer_weights(on_grid, quantization_graph(on_grid, 1), ranges))
    assert {type_ for type_, shape in stored_tensors(path).values() if len(shape) > 1} == {"int8"}
    back, stored, before = arrays(load_network(path)[0]), load_file(path), quantization_graph(small_network, 1)
    for name, value in arrays(on_grid).items():
        assert back[name].tobytes() == value.tobytes(), name
    for layer in before.convolutions:
        wanted = quantize_weights(before.conv(layer).weight.detach().numpy(), ranges.weight(layer.name).array(), 0)
        assert np.array_equal(stored[f"{_in_state(layer)}.weight"], wanted), layer.name


def _in_state(layer: Convolution) -> str:
    return layer.module.removeprefix("network.")


def test_weights_beside_their_grid_are_refused_by_name(
    on_grid: DeepLab, small_network: DeepLab, ranges: QuantRanges
) -> None:
    graph = quantization_graph(on_grid, 1)
    layer = next(one for one in graph.convolutions if bool((graph.conv(one).weight == 0).any()))
    name = f"{_in_state(layer)}.weight"
    with pytest.raises(CheckpointError, match=r"\.weight cannot be stored as integers: it is not made of integers"):
        integer_weights(small_network, quantization_graph(small_network, 1), ranges)

    few = WeightRange(ranges.weight(layer.name).scales[:1], axis=0)
    one_scale = dataclasses.replace(ranges, weights={**ranges.weights, layer.name: few})
    with pytest.raises(CheckpointError, match=rf"^{name} .*output channels, and its ranges 1 scales"):
        integer_weights(on_grid, graph, one_scale)

    weight = on_grid.get_parameter(name).data
    zero = tuple(int(axis[0]) for axis in torch.where(weight == 0))
    for index, changed in (
        ((0, 0, 0, 0), float(np.nextafter(np.float32(weight[0, 0, 0, 0]), np.float32(9)))),  # the float32 next to it
        (zero, -0.0),
    ):
        before = float(weight[index])
        weight[index] = changed
        with pytest.raises(CheckpointError, match=rf"^{name} cannot be stored"):
            integer_weights(on_grid, graph, ranges)
        weight[index] = before
    integer_weights(on_grid, graph, ranges)
