"""torchvision's DeepLabV3 state dicts as state dicts of ours."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.backbones.mobilenet_v3 import MobileNetV3Large
from edge_deeplab.models.backbones.resnet import ResNet
from edge_deeplab.models.deeplab import DeepLab
from edge_deeplab.models.loading import differences

# The auxiliary classifier behind the third block is a part of training only.
_NOT_DEPLOYED = "aux_classifier."
_HEAD = (
    (r"classifier\.0\.convs\.(\d+)\.0\.", r"aspp.branches.\1.conv."),
    (r"classifier\.0\.project\.0\.", "aspp.project.conv."),
    (r"classifier\.0\.project\.1\.", "aspp.project.bn."),
    (r"classifier\.1\.", "aspp.refine.conv."),
    (r"classifier\.2\.", "aspp.refine.bn."),
    (r"classifier\.4\.", "classifier."),
)
_RESNET = (
    (r"backbone\.conv1\.", "backbone.stem.conv."),
    (r"backbone\.bn1\.", "backbone.stem.bn."),
    *(
        (rf"backbone\.layer{stage + 1}\.(\d+)\.{theirs}\.", rf"backbone.stages.{stage}.\1.{ours}.")
        for stage in range(4)
        for theirs, ours in (
            ("conv1", "reduce.conv"),
            ("bn1", "reduce.bn"),
            ("conv2", "filter.conv"),
            ("bn2", "filter.bn"),
            ("conv3", "expand.conv"),
            ("bn3", "expand.bn"),
            (r"downsample\.0", "shortcut.conv"),
            (r"downsample\.1", "shortcut.bn"),
        )
    ),
)
_EPSILON_RESNET, _EPSILON_MOBILENET = 1e-5, 1e-3  # of BatchNorm; the heads have the first
_OUR_EPSILON = 1e-5


def load_torchvision_deeplab(network: DeepLab, state: Mapping[str, Tensor]) -> None:
    """Load the state dict of ``torchvision.models.segmentation.deeplabv3_*`` as it stands.

    The network then takes what torchvision's takes: RGB that is normalized by ImageNet's mean and deviation.
    :func:`edge_deeplab.models.pretrained.fold_normalization` of the backbone makes it take RGB in [0, 1]. An auxiliary
    classifier is left out: it is a part of training. BatchNorm's epsilon of the MobileNet goes into the variances.

    Args:
        network: of one of the ``TORCHVISION_*`` specifications of :mod:`edge_deeplab.models.family`, with any number of
            classes; changed in place, unless the state is refused.
        state: torchvision's.

    Raises:
        CheckpointError: keys are missing, extra or of another shape: the message lists them; or the backbone is none
            of torchvision's DeepLabs.
    """
    epsilon = _EPSILON_RESNET
    match network.backbone:
        case ResNet():
            rules = (*_HEAD, *_RESNET)
        case MobileNetV3Large() as backbone:
            rules, epsilon = (*_HEAD, *_mobilenet(backbone)), _EPSILON_MOBILENET
        case other:
            raise CheckpointError(
                f"torchvision has no DeepLab with {type(other).__name__}: choose resnet_50, resnet_101 or "
                "mobilenet_v3_large"
            )
    pooling = len(network.aspp.branches) - 1
    rules = (
        # Image pooling has the mean itself in first place.
        (rf"classifier\.0\.convs\.{pooling}\.1\.", f"aspp.branches.{pooling}.project.conv."),
        (rf"classifier\.0\.convs\.{pooling}\.2\.", f"aspp.branches.{pooling}.project.bn."),
        (r"classifier\.0\.convs\.(\d+)\.1\.", r"aspp.branches.\1.bn."),
        *rules,
    )
    given = {_renamed(name, rules): value for name, value in state.items() if not name.startswith(_NOT_DEPLOYED)}
    if problems := differences(network.state_dict(), given):
        raise CheckpointError(f"this is not the state dict of torchvision's DeepLabV3 with this backbone: {problems}")
    for name, value in given.items():
        if name.startswith("backbone.") and name.endswith(".running_var"):
            given[name] = value + (epsilon - _OUR_EPSILON)
    network.load_state_dict(given)


def _mobilenet(backbone: MobileNetV3Large) -> tuple[tuple[str, str], ...]:
    """torchvision numbers the layers of a block, and leaves out those that it does not have."""
    rules = [(r"backbone\.0\.0\.", "backbone.stem.conv."), (r"backbone\.0\.1\.", "backbone.stem.bn.")]
    for index, block in enumerate(backbone.blocks):
        parts = [name for name, _ in block.named_children()]
        for place, part in enumerate(parts):
            theirs, ours = rf"backbone\.{index + 1}\.block\.{place}\.", f"backbone.blocks.{index}.{part}."
            names = (("fc1", "squeeze"), ("fc2", "excite")) if part == "excite" else (("0", "conv"), ("1", "bn"))
            rules.extend((rf"{theirs}{old}\.", f"{ours}{new}.") for old, new in names)
    last = len(backbone.blocks) + 1
    return (
        *rules,
        (rf"backbone\.{last}\.0\.", "backbone.last.conv."),
        (rf"backbone\.{last}\.1\.", "backbone.last.bn."),
    )


def _renamed(name: str, rules: tuple[tuple[str, str], ...]) -> str:
    for pattern, ours in rules:
        new, count = re.subn(rf"^{pattern}", ours, name)
        if count:
            return new
    return name
