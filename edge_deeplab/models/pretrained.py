"""ImageNet weights for the MobileNetV2 backbone, with their input normalization folded in.

The network takes RGB in [0, 1]; the weights were trained on normalized input. The normalization is
linear, so it goes into the stem convolution and its BatchNorm, and nobody can forget it later. (Only
the zero padding at the picture's border then stands for black instead of mid-grey, which a few steps
of fine-tuning settle.)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.backbones.mobilenet_v2 import MobileNetV2
from edge_deeplab.models.layers import ConvBNAct

# The preprocessing of the two sources: y = (x - mean) / std for x in [0, 1].
_KERAS_MEAN, _KERAS_STD = (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)
_TORCHVISION_MEAN, _TORCHVISION_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class _FoldedLayer:
    """One convolution with its BatchNorm folded in: weight (out, in, h, w) and bias (out,), float32."""

    name: str
    weight: Tensor
    bias: Tensor


def load_keras_npz(backbone: MobileNetV2, path: Path, images: Tensor) -> None:
    """Start a width-1.0 backbone from BatchNorm-folded Keras weights, and give it living BatchNorms back.

    The file holds the convolutions in the order of execution as ``NN_conv_w`` / ``NN_dw_w`` (layout
    [out, h, w, in]; depthwise [1, h, w, c]) and ``NN_..._b``. Each BatchNorm gets the mean and variance that its
    convolution shows on ``images``, and the scale and shift that undo them, so that in eval mode the network
    computes what the file's does, and in training it is normalized from the first step on.

    Args:
        backbone: changed in place.
        path: the .npz file.
        images: float, (N, 3, H, W), RGB in [0, 1]; a batch of real photos.

    Raises:
        CheckpointError: not such a file, or its layers are not the backbone's, or layers of either are left over
            (but for the 1280-channel classification layer, which a segmentation network does not have).
    """
    layers = _normalized_input(_read_npz(path), _KERAS_MEAN, _KERAS_STD)
    targets = _conv_layers(backbone)
    if len(layers) == len(targets) + 1:  # the classification layer
        layers = layers[:-1]
    _check_layers(path.name, layers, targets)
    hooks = []
    for layer, target in zip(layers, targets, strict=True):
        target.conv.weight.data.copy_(layer.weight)
        hooks.append(target.conv.register_forward_hook(_statistics_hook(target.bn, layer.bias)))
    training = backbone.training
    try:
        with torch.no_grad():
            backbone.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
        backbone.train(training)


def _statistics_hook(bn: nn.BatchNorm2d, bias: Tensor):  # type: ignore[no-untyped-def]
    def hook(conv: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        variance, mean = torch.var_mean(output, dim=(0, 2, 3))
        bn.running_mean = mean
        bn.running_var = variance
        bn.weight.data.copy_(torch.sqrt(variance + bn.eps))
        bn.bias.data.copy_(mean + bias)

    return hook


def load_torchvision(backbone: MobileNetV2, state: dict[str, Tensor]) -> None:
    """Start a width-1.0 backbone from the state dict of ``torchvision.models.mobilenet_v2``.

    Args:
        backbone: changed in place.
        state: torchvision's state dict (``MobileNet_V2_Weights.IMAGENET1K_V2.get_state_dict()``).

    Raises:
        CheckpointError: its layers are not the backbone's, or layers are left over on either side.
    """
    # torchvision lists convolution, BatchNorm, convolution, ... in the order of execution.
    convs = [name for name, value in state.items() if name.startswith("features.") and value.ndim == 4]
    norms = [name.removesuffix(".running_mean") for name in state if name.endswith(".running_mean")]
    layers = [_FoldedLayer(name, state[name], torch.zeros(len(state[name]))) for name in convs]
    targets = _conv_layers(backbone)
    if len(layers) == len(targets) + 1:
        layers, norms = layers[:-1], norms[:-1]
    layers = _normalized_input(layers, _TORCHVISION_MEAN, _TORCHVISION_STD)
    _check_layers("torchvision's MobileNetV2", layers, targets)
    for layer, norm, target in zip(layers, norms, targets, strict=True):
        target.conv.weight.data.copy_(layer.weight)
        for key in ("weight", "bias", "running_mean", "running_var"):
            getattr(target.bn, key).data.copy_(state[f"{norm}.{key}"])
        # The constant that the normalization adds to the stem's output: the mean that BatchNorm takes off moves along.
        target.bn.running_mean.data.sub_(layer.bias)  # type: ignore[union-attr]


def _conv_layers(backbone: MobileNetV2) -> list[ConvBNAct]:
    return [module for module in backbone.modules() if isinstance(module, ConvBNAct)]


def _read_npz(path: Path) -> list[_FoldedLayer]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays: dict[str, NDArray[np.float64]] = {name: file[name] for name in file.files}
        layers = []
        for name in sorted(name for name in arrays if name.endswith("_w")):
            weight = torch.from_numpy(np.asarray(arrays[name], dtype=np.float32))
            depthwise = name.endswith("_dw_w")
            weight = weight.permute(3, 0, 1, 2) if depthwise else weight.permute(0, 3, 1, 2)
            bias = torch.from_numpy(np.asarray(arrays[name[:-1] + "b"], dtype=np.float32))
            layers.append(_FoldedLayer(name, weight.contiguous(), bias))
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no weight file {path}") from error
    except (OSError, KeyError, ValueError, EOFError, RuntimeError, BadZipFile) as error:
        raise CheckpointError(f"{path} holds no folded MobileNetV2 weights ({error}): get a fresh copy") from error
    return layers


def _normalized_input(layers: list[_FoldedLayer], mean: Sequence[float], std: Sequence[float]) -> list[_FoldedLayer]:
    if not layers or layers[0].weight.shape[1] != 3:
        return layers  # _check_layers refuses it by name
    stem = layers[0]
    weight = stem.weight / torch.tensor(std).view(1, 3, 1, 1)
    bias = stem.bias - (weight * torch.tensor(mean).view(1, 3, 1, 1)).sum((1, 2, 3))
    return [_FoldedLayer(stem.name, weight, bias), *layers[1:]]


def _check_layers(source: str, layers: list[_FoldedLayer], targets: list[ConvBNAct]) -> None:
    if len(layers) != len(targets):
        raise CheckpointError(
            f"{source} has {len(layers)} convolutions and the backbone {len(targets)}: they are not the same network"
        )
    for layer, target in zip(layers, targets, strict=True):
        if layer.weight.shape != target.conv.weight.shape or len(layer.bias) != len(target.conv.weight):
            raise CheckpointError(
                f"{source}: {layer.name} has shape {tuple(layer.weight.shape)}, and the backbone wants "
                f"{tuple(target.conv.weight.shape)} there: use width multiplier 1.0, or start without these weights"
            )
