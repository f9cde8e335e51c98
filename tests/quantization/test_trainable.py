"""Quantization-aware training computes what the file will: forward, gradients, and what is read out."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calibration.collect import collect_ranges
from calibration.images import bundled_calibration
from edge_deeplab.errors import RangesError
from edge_deeplab.image import resize_area
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.quantization.affine import Affine
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.quantization.simulate import simulate
from edge_deeplab.quantization.trainable import LearnedQuantize, TrainableConv2d, TrainableNetwork
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


@pytest.fixture
def trainable(small_network: DeepLab, graph: QuantizationGraph, ranges: QuantRanges) -> TrainableNetwork:
    return TrainableNetwork(small_network, graph, ranges)


def _few_steps(trainable: TrainableNetwork, image: torch.Tensor, *, live: bool) -> None:
    trainable.train()
    trainable.live_batchnorm(live)
    optimizer = torch.optim.Adam(trainable.parameters(), lr=3e-3)
    for _ in range(3):
        optimizer.zero_grad()
        trainable(image).square().mean().backward()
        optimizer.step()


def test_what_is_read_out_after_training_gives_the_network_that_was_validated(
    trainable: TrainableNetwork, small_network: DeepLab, image: torch.Tensor
) -> None:
    _few_steps(trainable, image, live=True)
    _few_steps(trainable, image, live=False)
    with torch.no_grad():
        validated = torch.sigmoid(trainable.eval()(image))
    trained = copy.deepcopy(small_network)
    trained.load_state_dict(trainable.state_of_network())
    with torch.no_grad():
        deployed = simulate(quantization_graph(trained, 1), trainable.ranges("cd"))(image)
    # The deployed network rounds its output to 1/256 besides.
    assert (validated.clamp(max=255 / 256) - deployed).abs().max() <= 0.5 / 256 + 1e-6
    with torch.no_grad():
        before = torch.sigmoid(small_network(image))
    assert (before - deployed).abs().mean() > 0.01  # training has moved it


def test_it_starts_as_the_network_that_calibration_gives(
    trainable: TrainableNetwork, ranges: QuantRanges, graph: QuantizationGraph
) -> None:
    started = trainable.ranges("ab")
    for point in graph.points:
        assert started.activation(point.name).affine.scale == pytest.approx(ranges.activation(point.name).affine.scale)
        assert started.activation(point.name).affine.zero_point == ranges.activation(point.name).affine.zero_point
    for convolution in graph.convolutions:
        assert started.weight(convolution.name).scales == pytest.approx(ranges.weight(convolution.name).scales)
    graph.require(started)


def test_the_state_is_that_of_the_float_network(trainable: TrainableNetwork, small_network: DeepLab) -> None:
    state = trainable.state_of_network()
    wanted = small_network.state_dict()
    assert state.keys() == wanted.keys()
    assert all(torch.equal(state[name], wanted[name]) for name in wanted)


def test_every_weight_and_every_learned_scale_gets_a_gradient(trainable: TrainableNetwork, image: torch.Tensor) -> None:
    trainable.train()
    trainable.live_batchnorm(False)
    trainable(image).square().mean().backward()
    scales = list(trainable.scale_parameters())
    assert len(scales) > 10
    assert all(scale.grad is not None and float(scale.grad.abs()) > 0 for scale in scales)
    assert all(parameter.grad is not None for parameter in trainable.parameters())


def test_living_statistics_are_those_that_float_training_would_keep() -> None:
    # With weights on the grid already, rounding changes nothing, and both must see the same batch.
    torch.manual_seed(3)
    layer = ConvBNAct(4, 6, 3)
    with torch.no_grad():
        layer.bn.weight.copy_(torch.tensor([1.0, -0.5, 2.0, 0.3, -1.0, 0.0]))
        layer.bn.bias.normal_()
        layer.bn.running_mean.normal_()  # type: ignore[union-attr]
        layer.bn.running_var.uniform_(0.5, 2)  # type: ignore[union-attr]
        layer.conv.weight.copy_(torch.randint(-127, 128, layer.conv.weight.shape).float())
        layer.conv.weight.view(6, -1)[:, 0] = 127
    quantized = TrainableConv2d(copy.deepcopy(layer.conv), copy.deepcopy(layer.bn))
    assert layer.bn.running_var is not None
    before = float(layer.bn.running_var[5])
    x = torch.randint(0, 256, (8, 4, 16, 16)).float() / 255
    found = quantized(x, torch.tensor(1 / 255))
    expected = layer.train().bn(layer.conv(x))
    alive = layer.bn.weight != 0
    assert torch.allclose(found[:, alive], expected[:, alive], atol=2e-4)
    assert quantized.bn is not None
    for name in ("running_mean", "running_var"):
        mine, theirs = getattr(quantized.bn, name), getattr(layer.bn, name)
        assert torch.allclose(mine[alive], theirs[alive], rtol=1e-3)
    # A channel that is switched off keeps what it had: its output says nothing of its input.
    assert quantized.bn.running_var is not None
    assert float(quantized.bn.running_var[5]) == before


@given(
    log_scale=st.floats(-4, 0),
    zero_point=st.integers(-128, 127),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=30, deadline=None)
def test_the_gradients_are_lsqs(log_scale: float, zero_point: int, seed: int) -> None:
    quantizer = LearnedQuantize(Affine(float(np.exp(log_scale)), zero_point))
    x = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(seed)) * 3
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    # float32 may round a tie to the other side than float64.
    halves = np.abs(np.modf(x.detach().double().numpy() / np.exp(log_scale))[0])
    assume(np.abs(halves - 0.5).min() > 1e-4)
    upstream = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(seed + 1))
    quantizer(x).backward(upstream)
    # The paper's equation 3, element by element.
    scale = float(quantizer.scale.detach())
    ratio = x.detach().double().numpy() / scale
    levels = np.rint(ratio) + zero_point
    inside = (levels >= -128) & (levels <= 127)
    slope = np.where(inside, np.rint(ratio) - ratio, np.clip(levels, -128, 127) - zero_point)
    assert x.grad is not None
    assert np.array_equal(x.grad.numpy(), np.where(inside, upstream.numpy(), 0))
    expected = (upstream.numpy() * slope).sum() * scale / np.sqrt(3 * 5 * 7 * 255)
    assert quantizer.log_scale.grad is not None
    assert float(quantizer.log_scale.grad) == pytest.approx(expected, rel=1e-3, abs=1e-4)


def test_a_diverged_scale_is_named(trainable: TrainableNetwork) -> None:
    next(trainable.scale_parameters()).data.fill_(float("nan"))
    with pytest.raises(RangesError, match=r"learned scale of .* is nan: training diverged"):
        trainable.ranges("ab")
