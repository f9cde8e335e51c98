"""The simulation: its grids, its integers, its gradients."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from edge_deeplab.image import resize_area
from edge_deeplab.models.deeplab import DeepLab, Deployed
from edge_deeplab.quantization.affine import bias_scales, quantize_bias, quantize_weights
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.ranges import QuantRanges, WeightRange
from edge_deeplab.quantization.simulate import FakeQuantize, QuantizedConv2d, insert_quantizers, simulate
from edge_deeplab.spec import ModelSpec

PHOTOS = list(bundled_calibration())[:4]


@pytest.fixture(scope="module")
def graph(small_network: DeepLab) -> QuantizationGraph:
    return quantization_graph(small_network, 1)


@pytest.fixture(scope="module")
def ranges(small_network: DeepLab, small_spec: ModelSpec) -> QuantRanges:
    return collect_ranges(small_network, small_spec, PHOTOS, checkpoint_sha256="ab")


@pytest.fixture(scope="module")
def image(small_spec: ModelSpec) -> torch.Tensor:
    pixels = np.stack([resize_area(photo, small_spec.height, small_spec.width) for photo in PHOTOS])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255


def test_it_is_near_the_float_network_and_on_the_grid(
    graph: QuantizationGraph, ranges: QuantRanges, image: torch.Tensor, small_network: DeepLab
) -> None:
    with torch.no_grad():
        simulated = simulate(graph, ranges)(image)
        expected = Deployed(small_network, 1)(image)
    assert torch.equal(simulated * 256, (simulated * 256).round())
    assert (simulated - expected).abs().mean() < 0.03
    assert not torch.equal(simulated, expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_and_biases_are_the_integers_of_the_file(dtype: torch.dtype) -> None:
    torch.manual_seed(1)
    conv = nn.Conv2d(3, 64, 1)
    weight = WeightRange(tuple(float(np.float32(s)) for s in np.geomspace(1e-3, 1e-2, 64)), 0)
    source = torch.tensor(1 / 255, dtype=torch.float32)
    layer = QuantizedConv2d(conv, weight).to(dtype)
    with torch.no_grad():
        bias = layer(torch.zeros(1, 3, 1, 1, dtype=dtype), source)[0, :, 0, 0].double().numpy()
        columns = [layer(torch.eye(3, dtype=dtype)[i].reshape(1, 3, 1, 1), source)[0, :, 0, 0] for i in range(3)]
    steps = bias_scales(float(source), weight.array())
    assert np.array_equal(np.rint(bias / steps), quantize_bias(conv.bias.detach().float().numpy(), steps))
    found = np.rint((torch.stack(columns, 1).double().numpy() - bias[:, None]) / weight.array()[:, None])
    assert np.array_equal(found, quantize_weights(conv.weight.detach().float().numpy()[:, :, 0, 0], weight.array(), 0))


def test_all_points_of_a_group_share_one_quantizer(graph: QuantizationGraph, ranges: QuantRanges) -> None:
    module = simulate(graph, ranges)
    count = sum(isinstance(part, FakeQuantize) for part in module.modules())
    assert count == len(graph.groups()) < len(graph.points)
    calls = [node for node in module.graph.nodes if node.name.endswith("_quantized")]
    assert len(calls) == len(graph.points)


def test_the_float_graph_is_left_as_it_is(graph: QuantizationGraph, ranges: QuantRanges, image: torch.Tensor) -> None:
    with torch.no_grad():
        before = graph.module(image)
        simulate(graph, ranges)
        assert torch.equal(graph.module(image), before)


def test_a_trainable_variant_gets_gradients_for_scales_and_weights(
    graph: QuantizationGraph, ranges: QuantRanges, image: torch.Tensor
) -> None:
    class Learned(nn.Module):
        def __init__(self, group: str) -> None:
            super().__init__()
            affine = ranges.activation(group).affine
            self.scale = nn.Parameter(torch.tensor([affine.scale]))
            self.register_buffer("zero_point", torch.tensor([float(affine.zero_point)]))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch._fake_quantize_learnable_per_tensor_affine(x, self.scale, self.zero_point, -128, 127, 1.0)

    module = insert_quantizers(graph, Learned, lambda name, conv: QuantizedConv2d(conv, ranges.weight(name)))
    module(image[:1]).mean().backward()
    learned = [part for part in module.modules() if isinstance(part, Learned)]
    assert all(part.scale.grad is not None for part in learned)
    assert any(float(part.scale.grad.abs()) > 0 for part in learned)  # type: ignore[union-attr]
    stem = module.get_submodule("network.backbone.stem.conv")
    assert isinstance(stem, QuantizedConv2d)
    assert stem.conv.weight.grad is not None
    assert stem.conv.bias is not None
    assert float(stem.conv.weight.grad.abs().sum()) > 0
    assert float(stem.conv.bias.grad.abs().sum()) > 0  # type: ignore[union-attr]
