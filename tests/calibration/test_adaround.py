"""Learned rounding against rounding to nearest, by what a layer then gives on samples that were not learned."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from calibration.adaround import LayerSamples, Rounding, patches, round_adaptively, round_to_nearest

QUICK = Rounding(steps=250)


def scales_of(weight: Tensor) -> Tensor:
    return weight.abs().amax(2, keepdim=True) / 127


def samples_of(weight: Tensor, inputs: Tensor, bias: Tensor, rectifier: nn.Module) -> LayerSamples:
    return LayerSamples(inputs, rectifier(torch.baddbmm(bias, inputs, weight.transpose(1, 2))), bias, rectifier)


def gain(weight: Tensor, learned: LayerSamples, unseen: LayerSamples) -> float:
    """Error of the learned rounding over that of rounding to nearest, on unseen samples."""
    scales = scales_of(weight)
    integers = round_adaptively(weight, scales, learned, QUICK)
    nearest = round_to_nearest(weight, scales)
    return float(unseen.error(integers * scales).sum() / unseen.error(nearest * scales).sum())


def test_an_edge_filter_over_a_nearly_constant_channel_keeps_its_sum() -> None:
    """The layer that cost the shipped network most: nine weights that sum to nothing, over 2.16 +- 0.10."""
    random = torch.Generator().manual_seed(1)
    weight = torch.randn(16, 1, 9, generator=random)
    weight -= weight.mean(2, keepdim=True)
    inputs = 2.16 + 0.1 * torch.randn(16, 2048, 9, generator=random)
    parts = [samples_of(weight, part.contiguous(), torch.ones(16, 1, 1), nn.ReLU6()) for part in inputs.chunk(2, dim=1)]
    assert gain(weight, *parts) < 0.3


def test_a_dense_layer_over_channels_that_go_together_gains() -> None:
    random = torch.Generator().manual_seed(2)
    weight = torch.randn(1, 24, 32, generator=random)
    inputs = torch.randn(1, 2048, 4, generator=random) @ torch.randn(1, 4, 32, generator=random)
    inputs += 0.05 * torch.randn(1, 2048, 32, generator=random)
    parts = [samples_of(weight, part.contiguous(), torch.zeros(1, 1, 24), nn.Identity()) for part in inputs.chunk(2, 1)]
    assert gain(weight, *parts) < 0.5


def test_every_weight_goes_to_one_of_its_two_neighbours() -> None:
    random = torch.Generator().manual_seed(3)
    weight, inputs = torch.randn(2, 5, 6, generator=random), torch.rand(2, 256, 6, generator=random)
    scales = scales_of(weight)
    samples = samples_of(weight, inputs, torch.zeros(2, 1, 5), nn.ReLU6())
    integers = round_adaptively(weight, scales, samples, QUICK)
    assert torch.equal(integers, integers.round())
    assert integers.abs().max() == 127
    assert float((integers - weight / scales).abs().max()) <= 1.0001
    assert not torch.equal(integers, round_to_nearest(weight, scales))


def test_too_few_samples_are_not_learned_by_heart() -> None:
    random = torch.Generator().manual_seed(4)
    weight = torch.randn(1, 3, 8, generator=random)
    scales = scales_of(weight)
    samples = samples_of(weight, torch.rand(1, 7, 8, generator=random), torch.zeros(1, 1, 3), nn.Identity())
    assert torch.equal(round_adaptively(weight, scales, samples, QUICK), round_to_nearest(weight, scales))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 1),
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.Conv2d(6, 6, 3, padding=2, dilation=2, groups=6),
        nn.Conv2d(4, 6, 3, padding=1, groups=2),
    ],
    ids=["pointwise", "stride", "atrous depthwise", "grouped"],
)
def test_patches_times_weights_are_the_convolution(conv: nn.Conv2d) -> None:
    random = torch.Generator().manual_seed(5)
    given = torch.randn(2, conv.in_channels, 9, 11, generator=random)
    with torch.no_grad():
        expected = conv(given)
        image, row, column = (torch.randint(size, (50,), generator=random) for size in (2, *expected.shape[2:]))
        read = patches(given, conv, (image, row, column))
        weight = conv.weight.reshape(conv.groups, conv.out_channels // conv.groups, -1)
        assert conv.bias is not None
        found = (read @ weight.transpose(1, 2)).transpose(0, 1).reshape(50, -1) + conv.bias
    torch.testing.assert_close(found, expected[image, :, row, column], atol=1e-5, rtol=1e-5)
