"""A DeepLabV3 of torchvision out of a file with its state dict.

Such a file holds names and numbers only: which network they are of is told by the names that one alone has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edge_deeplab.errors import CheckpointError, ModelFileError
from edge_deeplab.importing.parity import ImportParity, compare_scores
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.family import TORCHVISION_MOBILENET_V3, TORCHVISION_RESNET_50, TORCHVISION_RESNET_101
from edge_deeplab.models.pretrained import normalized
from edge_deeplab.models.torchvision_state import load_torchvision_deeplab
from edge_deeplab.spec import NetworkSpec

SUFFIXES = (".pth", ".pt", ".safetensors")
SIDE = 520  # in pixels; the preset of torchvision's published weights resizes a picture's smaller side to it

_SAFETENSORS = SUFFIXES[-1]
_CLASSIFIER = "classifier.4.weight"
# A key that no network further down has, torchvision's name of the function that builds it, and what it is here.
_MEMBERS = (
    ("backbone.0.0.weight", "deeplabv3_mobilenet_v3_large", TORCHVISION_MOBILENET_V3),
    ("backbone.layer3.22.conv1.weight", "deeplabv3_resnet101", TORCHVISION_RESNET_101),
    ("backbone.layer1.0.conv1.weight", "deeplabv3_resnet50", TORCHVISION_RESNET_50),
)


@dataclass(frozen=True)
class TorchvisionDeepLab:
    """What a file holds.

    Attributes:
        source: the file, for error messages.
        name: of the function of ``torchvision.models.segmentation`` that builds the network.
        spec: the network.
        state: torchvision's name to value; floating-point ones are float32.
    """

    source: str
    name: str
    spec: NetworkSpec
    state: Mapping[str, Tensor]


def read_torchvision_deeplab(path: Path) -> TorchvisionDeepLab:
    """Find out which of torchvision's DeepLabs a state dict is of.

    Args:
        path: what ``torch.save`` wrote of it, or a .safetensors file. Nothing in it is executed.

    Raises:
        ModelFileError: missing, damaged, no state dict, or that of another network.
    """
    state = _read_state(path)
    member = next(((name, spec) for key, name, spec in _MEMBERS if key in state), None)
    if member is None:
        known = ", ".join(name for _, name, _ in _MEMBERS)
        raise ModelFileError(
            f"{path} is the state dict of another network (its first keys: {', '.join(list(state)[:3]) or 'none'}): "
            f"torchvision's {known} can be imported"
        )
    name, spec = member
    classifier = state.get(_CLASSIFIER)
    if classifier is not None and classifier.ndim:  # without it, the network's own loading lists what is missing
        spec = replace(spec, num_classes=len(classifier))
    return TorchvisionDeepLab(str(path), name, spec, state)


def build_torchvision(found: TorchvisionDeepLab) -> DeepLab:
    """The network with the file's weights, in eval mode; it takes RGB as torchvision normalizes it.

    Raises:
        CheckpointError: keys are missing, extra or of another shape: the message lists them.
    """
    network = build_network(found.spec)
    try:
        load_torchvision_deeplab(network, found.state)
    except CheckpointError as error:
        raise CheckpointError(f"{found.source}: {error}") from error
    return network.eval()


def compare_with_torchvision(network: DeepLab, found: TorchvisionDeepLab, rgb: NDArray[np.uint8]) -> ImportParity:
    """Give torchvision's own module and ours one picture, and compare the scores.

    Args:
        network: from :func:`build_torchvision`, as it came.
        found: the file.
        rgb: the picture, uint8, HxWx3.
    """
    from torchvision.models import segmentation

    with torch.device("meta"):
        theirs = getattr(segmentation, found.name)(
            weights=None, weights_backbone=None, num_classes=found.spec.num_classes, aux_loss=False
        )
    theirs.load_state_dict({name: found.state[name] for name in theirs.state_dict()}, assign=True)
    image = normalized(torch.from_numpy(rgb.astype(np.float32) / 255).permute(2, 0, 1)[None])
    with torch.inference_mode():
        return compare_scores(network(image), theirs.eval()(image)["out"])


def _read_state(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise ModelFileError(f"there is no file {path}")
    content = _read_safetensors(path) if path.suffix.lower() == _SAFETENSORS else _read_pickle(path)
    if not isinstance(content, Mapping):
        raise ModelFileError(f"{path} holds a {type(content).__name__}, and no state dict: save that alone")
    if others := [str(name) for name, value in content.items() if not isinstance(value, Tensor)]:
        raise ModelFileError(
            f"{path} holds more than a state dict ({', '.join(others[:3])}): save the network's state dict alone"
        )
    return {str(name): value.float() if value.is_floating_point() else value for name, value in content.items()}


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is no safetensors file, or is truncated ({error}): get a fresh copy") from error


def _read_pickle(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # what a pickle of something else raises is up to its bytes; PyTorch advises to run it
        raise ModelFileError(
            f"{path} is damaged, or holds more than tensors: save the network's state dict alone, by torch.save or as "
            f"{_SAFETENSORS}"
        ) from error
