"""Points and sharing groups of the networks that can be built."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor, nn

from edge_deeplab.errors import ConversionError, RangesError
from edge_deeplab.models.deeplab import Deployed, build_network
from edge_deeplab.models.family import DEEPLAB_V1, DEEPLAB_V2
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.quantization.affine import PIXELS, PROBABILITY
from edge_deeplab.quantization.graph import QuantizationGraph, quantization_graph
from edge_deeplab.quantization.ranges import ActivationRange, QuantRanges, WeightRange, activation_range
from edge_deeplab.spec import Backbone, NetworkSpec, Padding, Rectifier

SMALL = NetworkSpec(width_multiplier=0.35, aspp_channels=16, decoder_channels=16, skip_channels=8)
NARROW: dict[str, int] = {"aspp_channels": 8, "decoder_channels": 8, "skip_channels": 8}


def graph_of(spec: NetworkSpec) -> QuantizationGraph:
    return quantization_graph(build_network(spec), spec.num_classes)


def shared(graph: QuantizationGraph) -> list[set[str]]:
    return [{point.name for point in points} for points in graph.groups().values() if len(points) > 1]


def test_sharing_follows_concatenation_and_resize() -> None:
    aspp = "aspp.branches"
    assert shared(graph_of(SMALL)) == [
        {
            f"{aspp}.0",
            f"{aspp}.1.1",
            f"{aspp}.2.1",
            f"{aspp}.3.1",
            f"{aspp}.4.project",
            f"{aspp}.4.resize",
            "aspp.concat",
        },
        {"aspp.project", "decoder.resize", "decoder.skip", "decoder.concat"},
        {"classifier", "logits"},
    ]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            {"decoder": False, "atrous_rates": ()},
            [
                {"aspp.branches.0", "aspp.branches.1.project", "aspp.branches.1.resize", "aspp.concat"},
                {"classifier", "logits"},
            ],
        ),
        (
            {"decoder": False, "atrous_rates": (), "image_pooling": False},
            [{"aspp.branches.0", "aspp.concat"}, {"classifier", "logits"}],
        ),
        (
            {"aspp_separable": False, "image_pooling": False, "num_classes": 3},
            [
                {"aspp.branches.0", "aspp.branches.1", "aspp.branches.2", "aspp.branches.3", "aspp.concat"},
                {"aspp.project", "decoder.resize", "decoder.skip", "decoder.concat"},
                {"classifier", "logits"},
            ],
        ),
    ],
)
def test_other_heads_need_no_other_rule(changes: dict[str, object], expected: list[set[str]]) -> None:
    assert shared(graph_of(dataclasses.replace(SMALL, **changes))) == expected  # type: ignore[arg-type]


@pytest.mark.parametrize("num_classes", [1, 3])
def test_input_and_output_are_fixed(num_classes: int) -> None:
    graph = graph_of(dataclasses.replace(SMALL, num_classes=num_classes))
    assert {point.name: point.fixed for point in graph.points if point.fixed} == {
        "input": PIXELS,
        "probability": PROBABILITY,
    }


def test_one_point_a_convolution_after_its_activation_and_one_a_residual_add() -> None:
    graph = graph_of(SMALL)
    points = {point.name: point for point in graph.points}
    assert len(graph.convolutions) == sum(isinstance(module, nn.Conv2d) for module in build_network(SMALL).modules())
    assert all(convolution.name == convolution.output for convolution in graph.convolutions)
    assert points["backbone.blocks.3.expand"].node.endswith("act")
    assert sum(name.endswith(".add") for name in points) == 10  # Sandler et al. 2018, table 2: repeats beyond the first
    # A linear bottleneck and the sum that it enters differ in size: each has a range of its own.
    assert points["backbone.blocks.4.project"].group == "backbone.blocks.4.project"
    assert points["backbone.blocks.4.add"].group == "backbone.blocks.4.add"


def test_names_are_unique_and_in_the_order_of_execution() -> None:
    names = [point.name for point in graph_of(SMALL).points]
    assert len(set(names)) == len(names)
    assert names[:3] == ["input", "backbone.stem", "backbone.blocks.0.depthwise"]
    assert names[-3:] == ["classifier", "logits", "probability"]


def test_the_traced_network_computes_what_the_network_does() -> None:
    torch.manual_seed(0)
    network = build_network(SMALL)
    image = torch.rand(2, 3, 64, 64)
    network(image)  # running statistics other than 0 and 1
    expected = Deployed(network.eval(), 1)(image)
    actual = quantization_graph(network, 1).module(image)
    assert torch.allclose(expected, actual, atol=1e-5)


class _Tanh(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.act = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(x)


class _ReluOfShared(nn.Module):
    """A rectifier behind a tensor that somebody else reads too: there is no such fused kernel."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 1), nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x + self.act(x)


def test_an_operator_without_a_rule_is_refused() -> None:
    with pytest.raises(ConversionError, match="act"):
        quantization_graph(_Tanh(), 1)  # type: ignore[arg-type]


def test_a_rectifier_that_is_not_alone_in_reading_has_a_point_of_its_own() -> None:
    points = {point.name: point for point in quantization_graph(_ReluOfShared(), 1).points}  # type: ignore[arg-type]
    assert points["conv"].node == "network_conv"
    assert (points["act"].node, points["act"].group, points["act"].copied) == ("network_act", "conv", True)


@pytest.mark.parametrize(
    "spec",
    [
        NetworkSpec(backbone=Backbone.RESNET_50, padding=Padding.SAME, multi_grid=(1, 2, 4), **NARROW),
        NetworkSpec(backbone=Backbone.XCEPTION_41, **NARROW),
        dataclasses.replace(SMALL, padding=Padding.SAME, head_rectifier=Rectifier.RELU),
        dataclasses.replace(DEEPLAB_V1, aspp_channels=4, num_classes=2),
        dataclasses.replace(DEEPLAB_V2, backbone=Backbone.MOBILENET_V2, width_multiplier=0.35, num_classes=2),
    ],
    ids=["v3+ resnet", "v3+ xception", "v3+ same", "v1", "v2"],
)
def test_every_member_but_one_has_a_graph_that_computes_the_same(spec: NetworkSpec) -> None:
    torch.manual_seed(0)
    network = build_network(spec)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0  # statistics of the batch below: a fresh network's features do not vanish
    network.train()(torch.rand(2, 3, 64, 64))
    network.eval()
    image = torch.rand(1, 3, 64, 64)
    graph = quantization_graph(network, spec.num_classes)
    with torch.no_grad():
        torch.testing.assert_close(
            graph.module(image), Deployed(network, spec.num_classes)(image), rtol=1e-3, atol=1e-4
        )
    layers = {name for name, module in network.named_modules() if isinstance(module, ConvBNAct)}
    assert layers <= {convolution.name for convolution in graph.convolutions}
    convolutions = sum(isinstance(module, nn.Conv2d) for module in network.modules())
    assert len(graph.convolutions) == convolutions * len(spec.input_scales)


def test_what_has_no_int8_form_is_named() -> None:
    network = build_network(NetworkSpec(backbone=Backbone.MOBILENET_V3_LARGE, **NARROW))
    graph = quantization_graph(network, 1)
    with pytest.raises(ConversionError, match=r"backbone\.stem\.act, .* more cannot be computed in int8"):
        graph.require_integers()
    with pytest.raises(ConversionError, match="cannot be computed in int8"):
        graph.require(ranges_for(graph))
    several = dataclasses.replace(SMALL, input_scales=(0.5, 1.0))
    with pytest.raises(ConversionError, match="layers that run at several scales"):
        graph_of(several).require_integers()
    graph_of(SMALL).require_integers()


def ranges_for(graph: QuantizationGraph) -> QuantRanges:
    return QuantRanges(
        "0",
        {
            point.name: ActivationRange(point.fixed, 0.0, 1.0, "fixed")
            if point.fixed
            else activation_range(-1.0, 3.0, (-1.0, 3.0), "test", point.name)
            for point in graph.points
        },
        {c.name: WeightRange((0.01,) * graph.conv(c).out_channels, 0) for c in graph.convolutions},
    )


def test_ranges_that_fit_are_accepted() -> None:
    graph = graph_of(SMALL)
    graph.require(ranges_for(graph))


def test_ranges_that_do_not_fit_are_refused() -> None:
    graph = graph_of(SMALL)
    good = ranges_for(graph)
    other = activation_range(-1.0, 9.0, (-1.0, 9.0), "test", "")
    with pytest.raises(RangesError, match=r"aspp\.concat.*share"):
        graph.require(dataclasses.replace(good, activations={**good.activations, "aspp.concat": other}))
    with pytest.raises(RangesError, match="input must have scale"):
        graph.require(dataclasses.replace(good, activations={**good.activations, "input": other}))
    with pytest.raises(RangesError, match=r"one scale for each of 16 output channels"):
        graph.require(dataclasses.replace(good, weights={**good.weights, "aspp.project": WeightRange((1.0,), 0)}))
    with pytest.raises(RangesError, match="does not have: ghost"):
        graph.require(dataclasses.replace(good, activations={**good.activations, "ghost": other}))
    without = {name: value for name, value in good.activations.items() if name != "decoder.skip"}
    with pytest.raises(RangesError, match=r"decoder\.skip"):
        graph.require(dataclasses.replace(good, activations=without))
