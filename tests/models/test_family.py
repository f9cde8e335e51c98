"""Every member of the family: the sizes of its maps, its rates, its heads, what it costs."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn
from torch.nn import functional

from edge_deeplab.errors import SpecError
from edge_deeplab.models.aspp import SummedASPP
from edge_deeplab.models.cost import count_cost
from edge_deeplab.models.deeplab import DeepLab, at_output_stride, build_network
from edge_deeplab.models.family import (
    DEEPLAB_V1,
    DEEPLAB_V2,
    DEEPLAB_V3,
    DEEPLAB_V3_MOBILENET_V2,
    DEEPLAB_V3_PLUS,
)
from edge_deeplab.models.layers import ConvBNAct, SamePadding, SeparableConv, max_pool
from edge_deeplab.spec import Backbone, ModelSpec, NetworkSpec, Padding, Rectifier

_INPUT_SCALES = (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)  # Chen et al. 2018, section 4


def _on_meta(spec: NetworkSpec) -> DeepLab:
    with torch.device("meta"):
        return build_network(spec).eval()


def _rates(module: nn.Module) -> set[int]:
    return {layer.dilation[0] for layer in module.modules() if isinstance(layer, nn.Conv2d)}


def _billions(spec: NetworkSpec, sizes: tuple[int, ...] = (513,), flips: int = 1) -> float:
    network = _on_meta(spec)
    return flips * sum(count_cost(network, size, size, space_to_batch=True).multiply_adds for size in sizes) / 1e9


@pytest.mark.parametrize("backbone", list(Backbone))
@pytest.mark.parametrize("output_stride", [8, 16, 32])
def test_map_sizes_at_513_and_256(backbone: Backbone, output_stride: int) -> None:
    """513 = 16 * 32 + 1: the corners of every map lie on the corners of the image (k * 2 ** n + 1 stays so)."""
    for padding in Padding:
        network = _on_meta(NetworkSpec(backbone=backbone, output_stride=output_stride, padding=padding))
        for size, low, last in ((513, 129, 512 // output_stride + 1), (256, 64, 256 // output_stride)):
            low_level, features = network.backbone(torch.zeros(1, 3, size, size, device="meta"))
            assert low_level.shape == (1, network.backbone.low_level_channels, low, low)
            assert features.shape == (1, network.backbone.channels, last, last)


@pytest.mark.parametrize("kernel_size", [3, 5, 7])
@pytest.mark.parametrize(("size", "padded"), [(8, "below"), (9, "both")])
def test_same_padding_is_tensorflows(kernel_size: int, size: int, padded: str) -> None:
    """tf.nn.convolution: ceil(size / 2) outputs; the needed rows are halved, and the odd one goes below."""
    torch.manual_seed(0)
    layer = ConvBNAct(1, 1, kernel_size, stride=2, activation=nn.Identity, padding=Padding.SAME).eval()
    x = torch.randn(1, 1, size, size + 1)
    needed = [(-(-n // 2) - 1) * 2 + kernel_size - n for n in (size, size + 1)]
    (top, bottom), (left, right) = ((n // 2, n - n // 2) for n in needed)
    assert (bottom - top, right - left) == ((1, 0) if padded == "below" else (0, 1))
    expected = functional.conv2d(functional.pad(x, (left, right, top, bottom)), layer.conv.weight, stride=2)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), layer.bn(expected))


def test_both_paddings_agree_on_odd_sizes_only() -> None:
    torch.manual_seed(0)
    # In training mode: normalized by the batch, so that a fresh network's features do not vanish.
    symmetric = build_network(NetworkSpec(width_multiplier=0.35)).backbone.train()
    same = build_network(NetworkSpec(width_multiplier=0.35, padding=Padding.SAME)).backbone.train()
    same.load_state_dict(symmetric.state_dict())
    with torch.no_grad():
        for size, equal in ((65, True), (64, False)):
            image = torch.rand(1, 3, size, size)
            assert torch.allclose(symmetric(image)[1], same(image)[1], atol=1e-3) is equal
        rectified = torch.rand(1, 2, 9, 9)
        assert torch.equal(max_pool(3, 2, Padding.SAME)(rectified), max_pool(3, 2, Padding.SYMMETRIC)(rectified))


@pytest.mark.parametrize("backbone", [Backbone.RESNET_50, Backbone.XCEPTION_41, Backbone.VGG_16])
def test_atrous_features_are_the_strided_ones_in_between(backbone: Backbone) -> None:
    torch.manual_seed(0)
    spec = NetworkSpec(backbone=backbone, output_stride=32, aspp_channels=4, decoder_channels=4, skip_channels=4)
    strided = build_network(spec).eval()
    atrous = at_output_stride(strided, spec, 16)
    assert not atrous.training
    image = torch.rand(1, 3, 96, 96)
    with torch.no_grad():
        sparse, dense = strided.backbone(image)[1], atrous.backbone(image)[1]
    scale = float(sparse.abs().max())
    torch.testing.assert_close(dense[:, :, ::2, ::2] / scale, sparse / scale, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("output_stride", "rates"), [(16, [2, 4, 8]), (8, [4, 8, 16])])
def test_multi_grid_multiplies_the_blocks_rate(output_stride: int, rates: list[int]) -> None:
    """Chen et al. 2017, section 3.2.1: multi-grid (1, 2, 4) gives rates 2 * (1, 2, 4) at output stride 16."""
    network = _on_meta(dataclasses.replace(DEEPLAB_V3, output_stride=output_stride))
    assert [unit.filter.conv.dilation[0] for unit in network.backbone.stages[3]] == rates  # type: ignore[index,union-attr]
    assert _rates(network.aspp) == {1, *(rate * 16 // output_stride for rate in (6, 12, 18))}
    tail = _on_meta(dataclasses.replace(DEEPLAB_V3_PLUS, multi_grid=(1, 2, 4), output_stride=output_stride)).backbone
    assert [layer[0].conv.dilation[0] for layer in tail.tail] == rates  # type: ignore[union-attr]


def test_the_large_field_of_view_is_fc6_at_rate_12() -> None:
    (branch,) = _on_meta(DEEPLAB_V1).aspp.branches
    assert [
        (layer.kernel_size[0], layer.dilation[0], layer.out_channels)
        for layer in branch.modules()
        if isinstance(layer, nn.Conv2d)
    ] == [(3, 12, 1024), (1, 1, 1024), (1, 1, 21)]
    assert _on_meta(DEEPLAB_V1).backbone.stages[4][0].conv.dilation == (2, 2)  # type: ignore[index]


@pytest.mark.parametrize("hidden", [None, 4])
def test_scores_at_all_rates_are_added(hidden: int | None) -> None:
    torch.manual_seed(0)
    head = SummedASPP(8, hidden, (6, 12, 18, 24), 3, activation=nn.ReLU).eval()
    assert _rates(head) == {6, 12, 18, 24} | ({1} if hidden else set())
    x = torch.randn(1, 8, 30, 31)
    with torch.no_grad():
        torch.testing.assert_close(head(x), torch.stack([branch(x) for branch in head.branches]).sum(0))
        assert head(x).shape == (1, 3, 30, 31)


def test_the_largest_score_of_all_scales_counts() -> None:
    torch.manual_seed(0)
    spec = dataclasses.replace(DEEPLAB_V2, backbone=Backbone.MOBILENET_V2, width_multiplier=0.35, num_classes=2)
    network = build_network(spec).train()  # normalized by the batch: a fresh network's features do not vanish
    single = build_network(dataclasses.replace(spec, input_scales=(1.0,))).train()
    single.load_state_dict(network.state_dict())
    image = torch.rand(1, 3, 96, 128)
    with torch.no_grad():
        logits = []
        for height, width in ((48, 64), (72, 96), (96, 128)):
            scores = single.aspp(single.backbone(_resized(image, height, width))[1])
            logits.append(_resized(scores, 96, 128))
        torch.testing.assert_close(network(image), torch.stack(logits).amax(0), rtol=1e-3, atol=1e-3)


def _resized(x: torch.Tensor, height: int, width: int) -> torch.Tensor:
    return functional.interpolate(x, size=(height, width), mode="bilinear", align_corners=False)


# Chen et al. 2018, table 5: output stride, decoder, separable convolutions in ASPP and decoder; billions at 513x513.
@pytest.mark.parametrize(
    ("output_stride", "decoder", "separable", "billions"),
    [
        (16, False, False, 68.00),
        (16, True, False, 89.76),
        (16, True, True, 54.17),
        (8, False, False, 240.85),
        (8, True, False, 262.59),
        (8, True, True, 177.10),
    ],
)
def test_table_5_of_the_v3_plus_paper(output_stride: int, decoder: bool, separable: bool, billions: float) -> None:
    spec = dataclasses.replace(
        DEEPLAB_V3_PLUS,
        output_stride=output_stride,
        decoder=decoder,
        aspp_separable=separable,
        decoder_separable=separable,
    )
    assert _billions(spec) == pytest.approx(billions, rel=0.01)


def test_scales_and_flips_of_the_cost_tables() -> None:
    """601.74 and 1203.34 B (table 5), 152.59 and 2.75 B (research/deeplab's model zoo). Scale s makes 512 s + 1."""
    sizes = tuple(int(512 * scale) + 1 for scale in _INPUT_SCALES)
    spec = dataclasses.replace(DEEPLAB_V3_PLUS, decoder=False, aspp_separable=False)
    once = _billions(spec, sizes)
    assert once == pytest.approx(601.74, rel=0.01)
    assert 2 * once == pytest.approx(1203.34, rel=0.01)
    mobile = dataclasses.replace(DEEPLAB_V3_MOBILENET_V2, output_stride=8)
    assert _billions(mobile, sizes, flips=2) == pytest.approx(152.59, rel=0.01)
    assert _billions(DEEPLAB_V3_MOBILENET_V2) == pytest.approx(2.75, rel=0.01)


def test_the_worked_examples() -> None:
    """3x3x3 to 16 channels: 432 weights, or 75 separable. An atrous kernel spans k + (k - 1)(r - 1)."""
    dense = count_cost(nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False)), 10, 10)
    assert (dense.parameters, dense.multiply_adds) == (432, 432 * 100)
    weights = [layer.conv.weight.numel() for layer in SeparableConv(3, 16)]  # type: ignore[union-attr,operator]
    assert weights == [27, 48]
    assert sum(weights) == 75
    for kernel, rate, span in ((3, 1, 3), (3, 2, 5), (3, 6, 13), (5, 2, 9)):
        layer = nn.Conv1d(1, 1, kernel, dilation=rate, bias=False)
        nn.init.ones_(layer.weight)
        impulse = torch.zeros(1, 1, 41)
        impulse[..., 20] = 1
        seen = layer(impulse)[0, 0].nonzero()
        assert len(seen) == kernel
        assert int(seen[-1] - seen[0]) + 1 == span == kernel + (kernel - 1) * (rate - 1)
    # y[i] = sum over k of x[i + r k] w[k], in one dimension (Chen et al. 2016, equation 1).
    signal = torch.arange(1.0, 8.0).view(1, 1, -1)
    kernel_ = torch.tensor([[[1.0, 0.0, -1.0]]])
    assert functional.conv1d(signal, kernel_, dilation=2).flatten().tolist() == [-4.0, -4.0, -4.0]


def test_space_to_batch_counts_a_map_up_to_the_next_multiple_of_the_rate() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3, padding=6, dilation=6, bias=False))
    assert count_cost(network, 33, 31).multiply_adds == 33 * 31 * 54
    assert count_cost(network, 33, 31, space_to_batch=True).multiply_adds == 36 * 36 * 54


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"backbone": Backbone.RESNET_50, "channel_divisor": 4}, "resnet_50 has no channel divisor but 8"),
        ({"backbone": Backbone.VGG_16, "last_bottleneck": False}, "vgg_16 keeps its last bottleneck"),
        ({"multi_grid": (1, 2, 4)}, "mobilenet_v2 has no multi-grid"),
        ({"backbone": Backbone.RESNET_50, "multi_grid": (1, 2)}, "three rates"),
        ({"backbone": Backbone.RESNET_50, "multi_grid": (1, 2, 0)}, "three rates"),
        ({"aspp_fusion": DEEPLAB_V2.aspp_fusion}, "decoder and image_pooling and aspp_separable cannot"),
        ({**dataclasses.asdict(DEEPLAB_V2), "atrous_rates": ()}, "need atrous rates"),
        ({"aspp_hidden": True}, "belongs to summed"),
        ({"aspp_refine": True}, "in place of a decoder"),
        ({"input_scales": ()}, "at least one"),
        ({"input_scales": (1.0,) * 17}, "input_scales has 17 entries: use at most 16"),
        ({"atrous_rates": (6,) * 17}, "atrous_rates has 17 entries: use at most 16"),
        ({"input_scales": (1.0, 0.0)}, "must be positive"),
        ({"channel_divisor": 9000}, "channel_divisor is 9000: it must be at least 1 and at most 8192"),
        ({"aspp_channels": 10**11}, "aspp_channels is 100000000000: it must be"),
        ({"width_multiplier": 1e6}, "width multiplier 1000000.0 is too large: use at most 8"),
        ({"num_classes": 256}, "num_classes is 256: it must be at least 1 and at most 255"),
    ],
)
def test_combinations_that_do_not_exist_are_refused(settings: dict[str, object], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        NetworkSpec(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scales", "side", "said"),
    [
        ((1.0,), 100_000, "input size 100000x64 at scale 1 is too large: use at most 8192 pixels a side"),
        ((0.5,), 8193, "input size 8193x64 at scale 0.5 is too large"),
        ((1.0, 1e9), 64, "input size 64x64 at scale 1e[+]09 is too large"),
    ],
)
def test_an_input_that_no_memory_holds_is_refused(scales: tuple[float, ...], side: int, said: str) -> None:
    with pytest.raises(SpecError, match=said):
        ModelSpec(network=NetworkSpec(input_scales=scales), height=side, width=64)


def test_at_an_output_stride_that_does_not_exist() -> None:
    spec = NetworkSpec(width_multiplier=0.35)
    with pytest.raises(SpecError, match="output stride 12 does not exist"):
        at_output_stride(_on_meta(spec), spec, 12)


def test_a_specification_from_before_the_family_is_read_as_it_was() -> None:
    spec = ModelSpec(network=NetworkSpec(width_multiplier=0.5, atrous_rates=(4, 8)))
    values = spec.to_dict()
    for name in (
        "padding",
        "head_rectifier",
        "multi_grid",
        "aspp_fusion",
        "aspp_hidden",
        "aspp_refine",
        "input_scales",
    ):
        del values["network"][name]
    assert ModelSpec.from_dict(values) == spec


@pytest.mark.parametrize("member", [DEEPLAB_V1, DEEPLAB_V2, DEEPLAB_V3, DEEPLAB_V3_PLUS])
def test_members_survive_json(member: NetworkSpec) -> None:
    spec = ModelSpec(network=member, height=513, width=513, classes=tuple(f"class {index}" for index in range(21)))
    assert ModelSpec.from_dict(spec.to_dict()) == spec
    with pytest.raises(SpecError, match="not a model specification"):
        ModelSpec.from_dict({**spec.to_dict(), "network": {**spec.to_dict()["network"], "padding": "valid"}})


def test_the_heads_rectifier_is_the_specifications() -> None:
    kinds = {Rectifier.RELU: nn.ReLU, Rectifier.RELU6: nn.ReLU6}
    for rectifier, kind in kinds.items():
        network = _on_meta(NetworkSpec(head_rectifier=rectifier))
        for part in (network.aspp, network.decoder):
            found = {type(layer.act) for layer in part.modules() if isinstance(layer, ConvBNAct)}  # type: ignore[union-attr]
            assert found == {kind}
        assert any(isinstance(layer, nn.ReLU6) for layer in network.backbone.modules())


def test_same_padding_is_a_layer_only_where_a_stride_is() -> None:
    network = _on_meta(NetworkSpec(padding=Padding.SAME))
    assert sum(isinstance(layer, SamePadding) for layer in network.modules()) == 4  # strides 2, 4, 8, 16
