"""Bias correction: what rounded weights add on average is taken back, in the simulation and in the numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from calibration.collect import Observations, observe, ranges_from
from edge_deeplab.errors import RangesError
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.affine import quantize_weights
from edge_deeplab.quantization.ranges import QuantRanges, WeightRange
from edge_deeplab.quantization.simulate import simulate
from edge_deeplab.spec import ModelSpec


@pytest.fixture(scope="module")
def observations(small_network: DeepLab, small_spec: ModelSpec, pictures: list[NDArray[np.uint8]]) -> Observations:
    return observe(small_network, small_spec, pictures)


def test_the_shift_is_what_the_rounding_takes_off(observations: Observations) -> None:
    """By hand for a depthwise layer: each channel has its own nine weights and its own mean."""
    graph = observations.graph
    layer = next(c for c in graph.convolutions if graph.conv(c).groups > 1)
    found = ranges_from(observations, checkpoint_sha256="0").weight(layer.name)
    weights = graph.conv(layer).weight.detach().numpy()
    for channel, mean in enumerate(observations.means[layer.name]):
        integers = quantize_weights(weights, found.array(), 0)[channel, 0]
        lost = (weights[channel, 0].astype(np.float64) - integers * np.float64(found.array()[channel])).sum()
        assert found.bias_shift[channel] == pytest.approx(lost * mean, rel=1e-3, abs=1e-6)


def test_means_are_those_of_the_layers_input(observations: Observations, pictures: list[NDArray[np.uint8]]) -> None:
    stem = observations.graph.convolutions[0]
    expected = np.mean([picture.reshape(-1, 3).mean(0) for picture in pictures], axis=0) / 255
    np.testing.assert_allclose(observations.means[stem.name], expected, rtol=1e-5)


def test_it_brings_the_layers_means_back(observations: Observations, pictures: list[NDArray[np.uint8]]) -> None:
    """Behind the first depthwise convolution the means of the channels are closer to the float network's."""
    graph = observations.graph
    layer = next(c for c in graph.convolutions if graph.conv(c).groups > 1)
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255

    def mean_error(correction: bool) -> float:
        ranges = ranges_from(observations, checkpoint_sha256="0", bias_correction=correction)
        seen: dict[str, torch.Tensor] = {}
        for module, key in ((graph.module, "float"), (simulate(graph, ranges), "int8")):
            hook = module.get_submodule(layer.module).register_forward_hook(
                lambda _, inputs, output, key=key: seen.__setitem__(key, output.mean((0, 2, 3)))
            )
            with torch.no_grad():
                module(images)
            hook.remove()
        return float((seen["float"] - seen["int8"]).abs().mean())

    assert mean_error(True) < 0.5 * mean_error(False)


def test_it_can_be_switched_off(observations: Observations) -> None:
    ranges = ranges_from(observations, checkpoint_sha256="0", bias_correction=False)
    assert all(weight.bias_shift == () for weight in ranges.weights.values())


@pytest.mark.parametrize("shift", [(0.0,), (0.0, float("nan"))])
def test_unusable_shifts_are_refused(observations: Observations, shift: tuple[float, ...]) -> None:
    good = ranges_from(observations, checkpoint_sha256="0")
    with pytest.raises(RangesError, match="one number a channel"):
        QuantRanges("0", good.activations, {"a": replace(WeightRange((1.0, 1.0), 0), bias_shift=shift)})
