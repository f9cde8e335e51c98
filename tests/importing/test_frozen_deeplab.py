"""A frozen graph becomes our network: written ones, Google's own, and those of something else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from edge_deeplab.errors import ModelFileError, ParityError
from edge_deeplab.importing.frozen_deeplab import graph_bytes, read_frozen_deeplab
from edge_deeplab.importing.graph_def import read_graph
from edge_deeplab.importing.network import build_imported, network_spec
from edge_deeplab.importing.parity import compare_layers, compared_tensors
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.spec import NetworkSpec, Rectifier

_SHARED = Path(__file__).resolve().parents[2] / "../shared"
_AISEG = _SHARED / "weights/deeplab_aiseg_mnv2_dm05_frozen_inference_graph.pb"
_SIZE = 65


def test_the_network_comes_back(written: Any, written_spec: NetworkSpec, random_deeplab: DeepLab) -> None:
    """Bytes * 2 / 255 without an offset: zeros are black there, too, so that every pixel is the same."""
    found = read_frozen_deeplab(written.content(), "written.pb")
    spec = network_spec(found)
    assert spec == written_spec
    assert (found.height, found.width) == (_SIZE, _SIZE)
    picture = torch.rand(1, 3, _SIZE, _SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, given = random_deeplab(2 * picture), build_imported(found, spec)(picture)
    assert float(expected.std()) > 0.01
    assert float((given - expected).abs().max()) < 1e-3 * float(expected.abs().max())


def test_the_normalization_of_the_input_is_folded_in(written: Any, random_deeplab: DeepLab) -> None:
    written.constant("sub_2/y", np.array(1, np.float32))
    found = read_frozen_deeplab(written.content(), "written.pb")
    assert found.mean == pytest.approx((0.5,) * 3)
    assert found.deviation == pytest.approx((0.5,) * 3)
    network = build_imported(found, network_spec(found))
    picture = torch.rand(1, 3, _SIZE, _SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, given = random_deeplab.backbone.stem(2 * picture - 1), network.backbone.stem(picture)
    torch.testing.assert_close(given[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], rtol=1e-4, atol=1e-4)


def _replaced(name: str, *changes: tuple[bytes, bytes]) -> Callable[[Any], None]:
    """Change the bytes of one node, for others of as many bytes."""

    def change(written: Any) -> None:
        for old, new in changes:
            assert old in written.nodes[name]
            assert len(old) == len(new)
            written.nodes[name] = written.nodes[name].replace(old, new)

    return change


def _without(*names: str) -> Callable[[Any], None]:
    def change(written: Any) -> None:
        for name in names:
            del written.nodes[name]

    return change


def _another_backbone(written: Any) -> None:
    written.nodes = {name: content.replace(b"MobilenetV2/", b"xception_65/") for name, content in written.nodes.items()}


def _atrous_branch(written: Any) -> None:
    branch = [item for item in written.nodes.items() if item[0].startswith("aspp0/")]
    written.nodes |= {name.replace("aspp0", "aspp1"): content.replace(b"aspp0", b"aspp1") for name, content in branch}


def _other_activation(written: Any) -> None:
    written.add("aspp0/Relu", "Relu6", ["aspp0/BatchNorm/FusedBatchNormV3"])


def _unknown_activation(written: Any) -> None:
    written.add("aspp0/Relu", "Tanh", ["aspp0/BatchNorm/FusedBatchNormV3"])


def _later_stride(written: Any) -> None:
    """The second stride is taken one block later: the output stride is the same."""
    first, later = (f"MobilenetV2/expanded_conv_{index}/depthwise/depthwise" for index in (1, 2))
    _replaced(first, (_TWICE, _ONCE))(written)
    _replaced(later, (_ONCE, _TWICE))(written)


def _not_frozen(written: Any) -> None:
    written.add("aspp0/weights", "VarHandleOp")


def _two_scales(written: Any) -> None:
    written.add("ArgMax_1", "ArgMax", ["ResizeBilinear_1", "ArgMax/dimension/read"])


def _not_finite(written: Any) -> None:
    written.constant("aspp0/BatchNorm/beta", np.full(16, np.nan, np.float32))


def _variance_below_zero(written: Any) -> None:
    written.constant("aspp0/BatchNorm/moving_variance", np.full(16, -0.5, np.float32))


def _fewer_channels(written: Any) -> None:
    written.constant("aspp0/BatchNorm/beta", np.zeros(3, np.float32))


def _wider(written: Any) -> None:
    written.constant("MobilenetV2/Conv/weights", np.zeros((3, 3, 3, 20), np.float32))


def _circle(written: Any) -> None:
    written.add("aspp0/weights/read", "Identity", ["aspp0/weights/read"])


_STEM = "MobilenetV2/Conv/Conv2D"
_ONCE, _TWICE = b"\x01\x01\x01\x01", b"\x01\x02\x02\x01"  # strides


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_without("SemanticPredictions"), "has no SemanticPredictions .*ImageTensor.* something else"),
        (_without("ImageTensor"), "has no ImageTensor"),
        (_another_backbone, "no backbone MobilenetV2, but xception_65"),
        (_atrous_branch, "aspp1.*cannot be imported"),
        (_not_frozen, "aspp0/weights/read comes from a VarHandleOp"),
        (_without("aspp0/weights"), "there is no node 'aspp0/weights'"),
        (_circle, "reads itself"),
        (_two_scales, "one scale and no flip"),
        (_not_finite, "aspp0/BatchNorm/beta.* finite"),
        (_variance_below_zero, "variance below 0"),
        (_fewer_channels, "aspp0 has no BatchNorm with a number for each channel"),
        (_wider, "no MobileNetV2 of width"),
        (_replaced(_STEM, (b"SAME", b"FULL")), "padding SAME"),
        (_replaced(_STEM, (_TWICE, b"\x01\x02\x01\x01")), "has strides"),
        (_replaced(_STEM, (_TWICE, _ONCE)), "an output stride of 4"),
        (_later_stride, "expanded_conv_1/depthwise has shape, stride, rate and activation 48x1x3x3, 1, 1, relu6"),
        (_other_activation, "do not have one activation"),
        (_unknown_activation, "does not read the branches"),
        (_replaced("aspp0/BatchNorm/FusedBatchNormV3", (b"ing\x12\x02\x28\x00", b"ing\x12\x02\x28\x01")),
         "statistics from the picture"),
        (_replaced("concat", (b"ResizeBilinear", b"MobilenetV2/Co")), "there is no node"),
        (_without("logits/semantic/Conv2D", "logits/semantic/BiasAdd", "ArgMax"), "lacks logits/semantic"),
        (_replaced("mul", (b"Cast", b"gone")), "there is no node 'gone'"),
    ],
)  # fmt: skip
def test_what_is_another_graph_is_refused(written: Any, change: Callable[[Any], None], said: str) -> None:
    change(written)
    with pytest.raises(ModelFileError, match=f"written.pb.*{said}"):
        _import(written.content())


def _import(content: bytes) -> DeepLab:
    found = read_frozen_deeplab(content, "written.pb")
    return build_imported(found, network_spec(found))


def test_a_truncated_graph_is_refused(written: Any) -> None:
    content = written.content()
    for share in (0.0, 1e-5, 0.001, 0.1, 0.5, 0.9, 0.999):
        with pytest.raises(ModelFileError, match=r"written\.pb"):
            _import(content[: int(share * len(content))])


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        graph_bytes(tmp_path / "none.pb")
    for content in (b"hello, world", bytes(range(256)), b""):
        with pytest.raises(ModelFileError, match=r"text\.pb"):
            read_graph(content, "text.pb")


@pytest.mark.shared_data
@pytest.mark.skipif(not _AISEG.is_file(), reason="../shared/weights is not beside this checkout")
def test_a_real_one_is_read() -> None:
    found = read_frozen_deeplab(graph_bytes(_AISEG), _AISEG.name)
    assert network_spec(found) == NetworkSpec(
        width_multiplier=0.5,
        channel_divisor=4,
        output_stride=8,
        atrous_rates=(),
        decoder=False,
        num_classes=2,
        head_rectifier=Rectifier.RELU,
    )
    assert (found.height, found.width) == (513, 513)
    assert found.mean == pytest.approx((0.5,) * 3, rel=1e-6)
    assert found.deviation == pytest.approx((0.5,) * 3, rel=1e-6)


@pytest.mark.convert
def test_each_layer_computes_what_tensorflow_does(written: Any) -> None:
    """And one that does not is found: another epsilon, another branch first."""
    from converters.frozen_graph import run_frozen_graph

    content = written.content()
    found = read_frozen_deeplab(content, "written.pb")
    spec = network_spec(found)
    picture = np.random.default_rng(0).integers(0, 256, (_SIZE, _SIZE, 3), np.uint8)
    values = run_frozen_graph(content, picture, [*compared_tensors(found), "SemanticPredictions"])
    assert values["SemanticPredictions"].shape == (1, _SIZE, _SIZE)
    network = build_imported(found, spec)
    compared = compare_layers(network, found, values)
    assert len(compared.layers) == 51 + 4
    assert compared.worst.greatest < 2e-5
    compared.require("written.pb")

    network.backbone.blocks[3].depthwise.bn.eps += 1e-3
    with pytest.raises(ParityError, match="MobilenetV2/expanded_conv_3/depthwise differs"):
        compare_layers(network, found, values).require("written.pb")
    swapped = build_imported(found, spec)
    weight = swapped.aspp.project.conv.weight
    weight.data = torch.cat(weight.chunk(2, dim=1)[::-1], dim=1)
    with pytest.raises(ParityError, match="concat_projection differs"):
        compare_layers(swapped, found, values).require("written.pb")
