"""The network: its papers' counts, its sizes, its settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from edge_deeplab.errors import SpecError
from edge_deeplab.models.cost import count_cost
from edge_deeplab.models.deeplab import Deployed, build_network
from edge_deeplab.spec import ModelSpec, NetworkSpec

# DeepLabV3 as the MobileNetV2 paper has it (section 6.3): 1x1 and image pooling only, 256 channels, no decoder.
_PAPER = NetworkSpec(atrous_rates=(), aspp_channels=256, decoder=False, num_classes=21)


def test_the_papers_multiply_adds_and_parameters() -> None:
    """2.11 M parameters (MobileNetV2, table 7), 2.75 B multiply-adds at 513x513 (research/deeplab's model zoo)."""
    cost = count_cost(build_network(_PAPER), 513, 513)
    assert cost.parameters / 1e6 == pytest.approx(2.11, abs=0.005)
    assert cost.multiply_adds / 1e9 == pytest.approx(2.75, rel=0.01)


def test_the_papers_parameters_with_dense_aspp() -> None:
    """4.52 M parameters (MobileNetV2, table 7, with ASPP)."""
    spec = NetworkSpec(aspp_separable=False, aspp_channels=256, decoder=False, num_classes=21)
    assert count_cost(build_network(spec), 513, 513).parameters / 1e6 == pytest.approx(4.52, abs=0.005)


@pytest.mark.parametrize("spec", [_PAPER, NetworkSpec(width_multiplier=0.35, aspp_separable=False, num_classes=3)])
def test_multiply_adds_are_those_of_pytorchs_counter(spec: NetworkSpec) -> None:
    network = build_network(spec).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(torch.zeros(1, 3, 65, 97))
    # PyTorch counts a multiplication and an addition as two.
    assert count_cost(network, 65, 97).multiply_adds == counter.get_total_flops() // 2


def test_counting_leaves_the_network_as_it_was() -> None:
    network = build_network(_PAPER).train()
    first = count_cost(network, 65, 65)
    assert network.training
    assert count_cost(network, 65, 65) == first
    assert not any(module._forward_hooks for module in network.modules())


@pytest.mark.parametrize(
    ("width", "divisor", "channels"),
    [
        # Table 2 of the MobileNetV2 paper; what is in the published ImageNet weights of width 0.5 (Keras
        # Applications); what is in the published DeepLab of width 0.5.
        (1.0, 8, [32, 16, 24, 32, 64, 96, 160, 320]),
        (0.5, 8, [16, 8, 16, 16, 32, 48, 80, 160]),
        (0.5, 4, [16, 8, 12, 16, 32, 48, 80, 160]),
    ],
)
def test_channels_are_those_of_the_published_weights(width: float, divisor: int, channels: list[int]) -> None:
    backbone = build_network(NetworkSpec(width_multiplier=width, channel_divisor=divisor)).backbone
    found = [backbone.stem.conv.out_channels]
    for block in backbone.blocks:
        if block.project.conv.out_channels != found[-1] or len(found) == 1:  # type: ignore[union-attr]
            found.append(block.project.conv.out_channels)  # type: ignore[union-attr,arg-type]
    # Neighbouring stages of one width are one in this list.
    assert found == [number for place, number in enumerate(channels) if place < 2 or number != channels[place - 1]]
    assert backbone.low_level_channels == channels[2]


@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_without_its_last_bottleneck_the_backbone_ends_before_it(output_stride: int) -> None:
    spec = NetworkSpec(width_multiplier=0.35, output_stride=output_stride, aspp_channels=8, decoder_channels=8)
    whole, shorter = (build_network(replace(spec, last_bottleneck=kept)).eval() for kept in (True, False))
    assert (len(whole.backbone.blocks), len(shorter.backbone.blocks)) == (17, 16)
    assert (whole.backbone.channels, shorter.backbone.channels) == (112, 56)
    shorter.backbone.load_state_dict(
        {name: value for name, value in whole.backbone.state_dict().items() if not name.startswith("blocks.16.")}
    )
    seen: list[torch.Tensor] = []
    whole.backbone.blocks[16].register_forward_hook(lambda module, inputs, output: seen.append(inputs[0]))
    image = torch.rand(1, 3, 64, 96)
    with torch.no_grad():
        whole.backbone(image)
        _, features = shorter.backbone(image)
        assert shorter(image).shape == (1, 1, 64, 96)
    assert torch.equal(features, seen[0])


@pytest.mark.parametrize("output_stride", [8, 16, 32])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (65, 97)])
def test_the_output_stride_is_the_features_size(output_stride: int, height: int, width: int) -> None:
    spec = NetworkSpec(width_multiplier=0.35, output_stride=output_stride, aspp_channels=8, decoder_channels=8)
    network = build_network(spec).eval()
    with torch.no_grad():
        low_level, features = network.backbone(torch.zeros(1, 3, height, width))
        logits = network(torch.zeros(1, 3, height, width))
    assert low_level.shape == (1, network.backbone.low_level_channels, -(-height // 4), -(-width // 4))
    assert features.shape[2:] == (-(-height // output_stride), -(-width // output_stride))
    assert logits.shape == (1, 1, height, width)


def test_a_smaller_output_stride_keeps_the_weights_and_widens_the_rates() -> None:
    """The same state dict serves every output stride: train at 16, evaluate at 8 (Chen et al. 2017, section 3.1)."""
    settings = {"width_multiplier": 0.35, "aspp_channels": 8, "decoder_channels": 8}
    at_16, at_8 = (build_network(NetworkSpec(output_stride=stride, **settings)) for stride in (16, 8))
    at_8.load_state_dict(at_16.state_dict())
    dilations = {
        stride: sorted({m.dilation[0] for m in network.aspp.modules() if isinstance(m, torch.nn.Conv2d)})
        for stride, network in ((16, at_16), (8, at_8))
    }
    assert dilations == {16: [1, 6, 12, 18], 8: [1, 12, 24, 36]}


def test_atrous_features_are_the_strided_ones_in_between() -> None:
    """Removing a stride and dilating what follows gives the same features, only denser (Chen et al. 2018, fig. 2)."""
    torch.manual_seed(0)
    settings = {"width_multiplier": 0.35, "aspp_channels": 8, "decoder_channels": 8}
    strided = build_network(NetworkSpec(output_stride=32, **settings)).eval()
    atrous = build_network(NetworkSpec(output_stride=16, **settings)).eval()
    atrous.load_state_dict(strided.state_dict())
    with torch.no_grad():
        image = torch.rand(1, 3, 128, 128)
        sparse, dense = strided.backbone(image)[1], atrous.backbone(image)[1]
    torch.testing.assert_close(dense[:, :, ::2, ::2], sparse, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("num_classes", [1, 3])
def test_deployed_gives_probabilities(num_classes: int) -> None:
    spec = NetworkSpec(width_multiplier=0.35, aspp_channels=8, decoder_channels=8, num_classes=num_classes)
    deployed = Deployed(build_network(spec), num_classes).eval()
    with torch.no_grad():
        probability = deployed(torch.rand(2, 3, 64, 64))
    assert probability.shape == (2, num_classes, 64, 64)
    assert float(probability.min()) >= 0
    assert float(probability.max()) <= 1
    if num_classes > 1:
        torch.testing.assert_close(probability.sum(1), torch.ones(2, 64, 64))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"output_stride": 7}, "choose 8, 16 or 32"),
        ({"width_multiplier": 0.0}, "not positive"),
        ({"channel_divisor": 0}, "at least 1"),
        ({"aspp_channels": 0}, "at least 1"),
        ({"atrous_rates": (0,)}, "at least 1"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        NetworkSpec(**settings)  # type: ignore[arg-type]


def test_a_specification_survives_json() -> None:
    spec = ModelSpec(
        network=NetworkSpec(atrous_rates=(3, 6), num_classes=2), height=96, width=160, classes=("background", "person")
    )
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    with pytest.raises(SpecError, match="2 class names for 1"):
        ModelSpec(classes=("a", "b"))
    with pytest.raises(SpecError, match="not a model specification"):
        ModelSpec.from_dict({"network": {"backbone": "mobilenet_v9"}})
