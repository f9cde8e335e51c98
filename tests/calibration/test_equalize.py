"""Cross-layer equalization: which layers, how far, and that the network still computes the same."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray

from calibration.collect import network_input, observe
from calibration.equalize import equalization_factors, equalize, input_ranges, output_ranges, pairs
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.unfold import network_of
from edge_deeplab.spec import ModelSpec

channels = 6
ranges = arrays.arrays(np.float64, channels, elements=st.just(0.0) | st.floats(1e-3, 1e3))
peaks = arrays.arrays(np.float64, channels, elements=st.just(0.0) | st.just(6.0) | st.floats(1e-3, 6))


@pytest.fixture(scope="module")
def unbalanced(small_network: DeepLab, small_spec: ModelSpec) -> DeepLab:
    """The small network with hidden channels that are small before, and large behind their rectifier."""
    graph = quantization_graph(small_network, 1)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for pair in pairs(graph):
            first, second = graph.conv(pair.first), graph.conv(pair.second)
            if second.groups > 1:
                factor = 2 ** (-5 * torch.rand(first.out_channels, generator=random))
                first.weight *= factor[:, None, None, None]
                first.bias *= factor
                second.weight /= factor[:, None, None, None]
    return network_of(graph, small_spec.network)


def imbalance(graph: QuantizationGraph) -> NDArray[np.float64]:
    """|log2(r1 / r2)| of every channel between the layers of a pair."""
    found = []
    for pair in pairs(graph):
        first, second = output_ranges(graph.conv(pair.first)), input_ranges(graph.conv(pair.second))
        live = (first > 0) & (second > 0)
        found.append(np.abs(np.log2(first[live] / second[live])))
    return np.concatenate(found)


def test_pairs_are_what_is_joined_by_a_rectifier_or_nothing(small_network: DeepLab) -> None:
    found = {(pair.first.name, pair.second.name): pair.clip for pair in pairs(quantization_graph(small_network, 1))}
    block = "backbone.blocks.4"
    assert found[f"{block}.expand", f"{block}.depthwise"] == 6
    assert found[f"{block}.depthwise", f"{block}.project"] == 6
    assert found["aspp.branches.1.0", "aspp.branches.1.1"] == 6
    assert found["decoder.refine.1.1", "classifier"] == 6
    # The first block's output has one reader; that of the third is also added to what comes next.
    assert found["backbone.blocks.0.project", "backbone.blocks.1.expand"] == np.inf
    assert not any(first == "backbone.blocks.1.project" for first, _ in found)
    # Behind a concatenation, or read by four branches and a mean.
    assert not any(second in ("aspp.project", "aspp.branches.0", "decoder.refine.0.0") for _, second in found)


def test_ranges_come_together_and_the_output_stays(
    unbalanced: DeepLab, small_spec: ModelSpec, pictures: list[NDArray[np.uint8]]
) -> None:
    observations = observe(unbalanced, small_spec, pictures)
    before, after = observations.graph, equalize(observations.graph, observations.peaks)
    assert np.mean(imbalance(after)) < 0.6 * np.mean(imbalance(before))
    image = network_input(np.stack(pictures))
    with torch.no_grad():
        torch.testing.assert_close(after.module(image), before.module(image), atol=1e-4, rtol=0)


def test_it_goes_through_a_checkpoint(
    unbalanced: DeepLab, small_spec: ModelSpec, pictures: list[NDArray[np.uint8]]
) -> None:
    observations = observe(unbalanced, small_spec, pictures)
    equalized = equalize(observations.graph, observations.peaks)
    again = quantization_graph(network_of(equalized, small_spec.network), 1)
    for layer in equalized.convolutions:
        assert torch.equal(again.conv(layer).weight, equalized.conv(layer).weight)
        assert torch.equal(again.conv(layer).bias, equalized.conv(layer).bias)  # type: ignore[arg-type]


def test_the_graph_that_was_given_stays(
    unbalanced: DeepLab, small_spec: ModelSpec, pictures: list[NDArray[np.uint8]]
) -> None:
    observations = observe(unbalanced, small_spec, pictures)
    untouched = replace(observations.graph, module=copy.deepcopy(observations.graph.module))
    equalize(observations.graph, observations.peaks)
    assert np.array_equal(imbalance(observations.graph), imbalance(untouched))


@given(ranges, ranges, peaks)
def test_a_channel_is_moved_only_below_the_clip(
    first: NDArray[np.float64], second: NDArray[np.float64], seen: NDArray[np.float64]
) -> None:
    factors = equalization_factors(first, second, seen, 6.0)
    assert (factors > 0).all()
    moved = factors != 1
    assert (seen[moved] < 6).all()
    assert (seen[moved] / factors[moved] < 6).all()
    assert not moved[(seen >= 6) | (first == 0) | (second == 0)].any()


@given(ranges, ranges)
def test_without_a_clip_the_ranges_become_equal(first: NDArray[np.float64], second: NDArray[np.float64]) -> None:
    factors = equalization_factors(first, second, np.full(channels, 1e9), np.inf)
    live = (first > 0) & (second > 0)
    np.testing.assert_allclose((first / factors)[live], (second * factors)[live], rtol=1e-9)
    assert (factors[~live] == 1).all()
