"""Which of torchvision's DeepLabs a file is of, and whether ours computes the same; the command is in tests/cli."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.models import segmentation

from edge_deeplab.errors import CheckpointError, ParityError
from edge_deeplab.importing.torchvision_deeplab import (
    build_torchvision,
    compare_with_torchvision,
    read_torchvision_deeplab,
)
from edge_deeplab.spec import Backbone


@pytest.mark.parametrize(
    ("name", "backbone"),
    [
        ("deeplabv3_resnet50", Backbone.RESNET_50),
        ("deeplabv3_resnet101", Backbone.RESNET_101),
        ("deeplabv3_mobilenet_v3_large", Backbone.MOBILENET_V3_LARGE),
    ],
)
def test_the_network_is_told_by_its_keys_and_its_classes_by_a_shape(
    name: str, backbone: Backbone, tmp_path: Path
) -> None:
    with torch.device("meta"):
        keys = getattr(segmentation, name)(weights=None, weights_backbone=None, aux_loss=True).state_dict()
    path = tmp_path / "theirs.pth"
    torch.save({key: torch.zeros(7, dtype=torch.float16) for key in keys}, path)
    found = read_torchvision_deeplab(path)
    assert found.name == name
    assert (found.spec.backbone, found.spec.num_classes) == (backbone, 7)
    assert {value.dtype for value in found.state.values()} == {torch.float32}
    with pytest.raises(CheckpointError, match=r"theirs\.pth: .*another shape \(backbone\.stem\.conv\.weight \(7,\)"):
        build_torchvision(found)


def test_a_network_that_computes_something_else_is_found(
    torchvision_deeplab: Callable[[str], nn.Module], tmp_path: Path
) -> None:
    path = tmp_path / "theirs.pth"
    torch.save(torchvision_deeplab("deeplabv3_mobilenet_v3_large").state_dict(), path)
    found = read_torchvision_deeplab(path)
    picture = np.random.default_rng(0).integers(0, 256, (257, 225, 3), np.uint8)  # 17x15 positions: more than a rate
    network = build_torchvision(found)
    compared = compare_with_torchvision(network, found, picture)
    assert compared.worst.greatest < 2e-5
    compared.require("theirs.pth")
    network.aspp.branches[1].conv.dilation = network.aspp.branches[1].conv.padding = (11, 11)  # not 12
    with pytest.raises(ParityError, match=r"theirs\.pth: the map of scores differs from the file's by"):
        compare_with_torchvision(network, found, picture).require("theirs.pth")
