"""torchvision's DeepLabV3 modules and ours compute the same from the same weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import nn

from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.deeplab import build_network
from edge_deeplab.models.family import TORCHVISION_MOBILENET_V3, TORCHVISION_RESNET_50, TORCHVISION_RESNET_101
from edge_deeplab.models.pretrained import fold_normalization
from edge_deeplab.models.torchvision_state import load_torchvision_deeplab
from edge_deeplab.spec import NetworkSpec

Theirs = Callable[[str], nn.Module]

_CLASSES = 3
_MEMBERS = [
    ("deeplabv3_resnet50", TORCHVISION_RESNET_50),
    ("deeplabv3_resnet101", TORCHVISION_RESNET_101),
    ("deeplabv3_mobilenet_v3_large", TORCHVISION_MOBILENET_V3),
]


@pytest.mark.parametrize(("name", "spec"), _MEMBERS)
def test_the_same_weights_compute_the_same(name: str, spec: NetworkSpec, torchvision_deeplab: Theirs) -> None:
    theirs = torchvision_deeplab(name)
    ours = build_network(dataclasses.replace(spec, num_classes=_CLASSES)).eval()
    load_torchvision_deeplab(ours, theirs.state_dict())
    image = torch.randn(1, 3, 97, 80)
    with torch.no_grad():
        expected = theirs(image)["out"]
        actual = ours(image)
    spread = float(expected.std((2, 3)).min())
    assert spread > 0.05  # the scores depend on the picture
    torch.testing.assert_close(actual / spread, expected / spread, rtol=1e-3, atol=1e-3)


def test_keys_that_do_not_fit_are_listed(torchvision_deeplab: Theirs) -> None:
    network = build_network(dataclasses.replace(TORCHVISION_MOBILENET_V3, num_classes=_CLASSES))
    state = dict(torchvision_deeplab("deeplabv3_mobilenet_v3_large").state_dict())
    before = network.classifier.weight.clone()
    del state["backbone.4.block.2.fc1.bias"]
    state["neck.weight"] = torch.zeros(1)
    state["classifier.4.weight"] = torch.zeros(21, 256, 1, 1)
    with pytest.raises(CheckpointError) as caught:
        load_torchvision_deeplab(network, state)
    message = str(caught.value)
    assert "1 missing (backbone.blocks.3.excite.squeeze.bias)" in message
    assert "1 extra (neck.weight)" in message
    assert "classifier.weight (21, 256, 1, 1) instead of (3, 256, 1, 1)" in message
    assert torch.equal(network.classifier.weight, before)
    with pytest.raises(CheckpointError, match="torchvision has no DeepLab with MobileNetV2"):
        load_torchvision_deeplab(build_network(NetworkSpec()), state)


def test_the_normalization_goes_into_the_stem() -> None:
    backbone = build_network(TORCHVISION_MOBILENET_V3).backbone.eval()
    image = torch.rand(1, 3, 32, 32)
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    with torch.no_grad():
        expected = backbone.stem((image - mean) / deviation)
        fold_normalization(backbone)
        actual = backbone.stem(image)
    # Not its first row and column: zero padding means another colour before and after.
    torch.testing.assert_close(actual[:, :, 1:, 1:], expected[:, :, 1:, 1:], rtol=1e-4, atol=1e-5)
