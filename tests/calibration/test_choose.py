"""The observer of each range by what the layers behind it compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from calibration.choose import best_observers
from calibration.collect import Observations, network_input, observe, ranges_from
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.quantization.observers import OBSERVERS
from edge_deeplab.quantization.simulate import FakeQuantize
from edge_deeplab.spec import ModelSpec


@pytest.fixture(scope="module")
def observations(small_network: DeepLab, small_spec: ModelSpec, pictures: list[NDArray[np.uint8]]) -> Observations:
    return observe(small_network, small_spec, pictures)


@pytest.fixture(scope="module")
def chosen(observations: Observations, pictures: list[NDArray[np.uint8]]) -> dict[str, str]:
    return best_observers(observations, np.stack(pictures))


def test_every_range_that_is_not_fixed_gets_one(observations: Observations, chosen: dict[str, str]) -> None:
    groups = observations.graph.groups()
    assert chosen.keys() == {group for group, points in groups.items() if points[0].fixed is None}
    assert set(chosen.values()) <= OBSERVERS.keys()
    assert len(set(chosen.values())) > 1
    ranges = ranges_from(observations, checkpoint_sha256="0", observer=chosen)
    observations.graph.require(ranges)
    assert all(ranges.activation(group).origin == f"observed: {name} over 8 images" for group, name in chosen.items())


@pytest.mark.parametrize("name", ["backbone.stem", "backbone.blocks.3.depthwise", "decoder.refine.0.0"])
def test_it_is_the_one_that_disturbs_the_next_layer_least(
    observations: Observations, chosen: dict[str, str], pictures: list[NDArray[np.uint8]], name: str
) -> None:
    """By hand, for tensors that one convolution alone reads."""
    graph = observations.graph
    (reader,) = [layer for layer in graph.convolutions if layer.input == name]
    conv, rectifier = graph.conv(reader), graph.rectifier(reader)
    given: list[torch.Tensor] = []
    hook = conv.register_forward_pre_hook(lambda _, inputs: given.append(inputs[0]))
    errors = {}
    with torch.no_grad():
        graph.module(network_input(np.stack(pictures)))
        hook.remove()
        for observer in OBSERVERS:
            ranges = ranges_from(observations, checkpoint_sha256="0", observer=observer)
            rounded = FakeQuantize(ranges.activation(name))(given[0])
            difference = rectifier(conv(rounded)) - rectifier(conv(given[0]))
            errors[observer] = float(difference.square().mean())
    assert len(set(errors.values())) > 1
    assert errors[chosen[name]] == pytest.approx(min(errors.values()), rel=1e-6)
