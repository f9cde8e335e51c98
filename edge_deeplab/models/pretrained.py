"""Published weights for a backbone, with their input normalization folded in.

The network takes RGB in [0, 1]; the weights were trained on normalized input. The normalization is
linear, so it goes into the stem convolution and its BatchNorm, and nobody can forget it later. (Only
the zero padding at the picture's border then stands for black instead of mid-grey, which a few steps
of fine-tuning settle.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from edge_deeplab.errors import CheckpointError
from edge_deeplab.models.backbones.backbone import DenseFeatures
from edge_deeplab.models.layers import ConvBNAct

# torchvision's preprocessing: (x - mean) / deviation for x in [0, 1].
_TORCHVISION_MEAN, _TORCHVISION_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class FoldedLayer:
    """A convolution with its BatchNorm folded in.

    Attributes:
        name: in its file.
        weight: float32, (out, in / groups, rows, columns).
        bias: float32, (out,).
    """

    name: str
    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class FoldedWeights:
    """What a file without BatchNorms has of a backbone.

    Attributes:
        source: the file, for error messages.
        layers: its convolutions in the order of execution. Those behind the backbone's belong to a head: they are
            not used.
        mean: of the normalization that the file's network was trained with: it took (x - mean) / deviation for RGB
            x in [0, 1]. One number for each channel.
        deviation: as many, positive.
        end: what follows these layers in the file, for error messages: "before its first MEAN"; may be empty.
    """

    source: str
    layers: tuple[FoldedLayer, ...]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    end: str = ""


def load_folded(backbone: nn.Module, weights: FoldedWeights, images: Tensor) -> None:
    """Start a backbone, or a whole network, from weights with BatchNorm folded in, and give it living BatchNorms back.

    Each BatchNorm gets the mean and variance that its convolution shows on ``images``, and the scale and shift that
    undo them, so that in eval mode the network computes what the file's does, and in training it is normalized from
    the first step on.

    Args:
        backbone: changed in place, unless the weights are refused. Its layers with BatchNorm are meant, in the order of
            its modules.
        weights: of a network of the same widths; strides and atrous rates may differ, since weights do not know them.
        images: float, (N, 3, H, W), RGB in [0, 1]; a batch of real photos.

    Raises:
        CheckpointError: the file's layers are not the backbone's.
    """
    targets = _conv_layers(backbone)
    layers = _matching(weights, targets)
    layers[0] = _normalized_input(layers[0], weights.mean, weights.deviation)
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


def _statistics_hook(bn: nn.BatchNorm2d, bias: Tensor) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], None]:
    def hook(conv: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        variance, mean = torch.var_mean(output, dim=(0, 2, 3))
        bn.running_mean = mean
        bn.running_var = variance
        bn.weight.data.copy_(torch.sqrt(variance + bn.eps))
        bn.bias.data.copy_(mean + bias)

    return hook


def load_torchvision(backbone: DenseFeatures, state: dict[str, Tensor]) -> None:
    """Start a width-1.0 backbone from the state dict of ``torchvision.models.mobilenet_v2``.

    Args:
        backbone: changed in place, unless the weights are refused.
        state: torchvision's state dict (``MobileNet_V2_Weights.IMAGENET1K_V2.get_state_dict()``).

    Raises:
        CheckpointError: its layers are not the backbone's.
    """
    # torchvision lists convolution, BatchNorm, convolution, ... in the order of execution.
    convs = [name for name, value in state.items() if name.startswith("features.") and value.ndim == 4]
    norms = [name.removesuffix(".running_mean") for name in state if name.endswith(".running_mean")]
    weights = FoldedWeights(
        "torchvision's MobileNetV2",
        tuple(FoldedLayer(name, state[name], torch.zeros(len(state[name]))) for name in convs),
        _TORCHVISION_MEAN,
        _TORCHVISION_DEVIATION,
    )
    targets = _conv_layers(backbone)
    layers = _matching(weights, targets)
    for layer, norm, target in zip(layers, norms, targets, strict=False):
        target.conv.weight.data.copy_(layer.weight)
        for key in ("weight", "bias", "running_mean", "running_var"):
            getattr(target.bn, key).data.copy_(state[f"{norm}.{key}"])
    fold_normalization(backbone)


def normalized(images: Tensor) -> Tensor:
    """What torchvision's networks take for RGB in [0, 1]: float, (N, 3, H, W), the same shape."""
    mean, deviation = (torch.tensor(values).view(1, 3, 1, 1) for values in (_TORCHVISION_MEAN, _TORCHVISION_DEVIATION))
    return (images - mean) / deviation


@torch.no_grad()
def fold_normalization(backbone: DenseFeatures) -> None:
    """Let a backbone that takes torchvision's normalized RGB take RGB in [0, 1], in place.

    The same function but for a border, where zero padding then stands for black instead of mid-grey.
    """
    conv, bn = backbone.stem.conv, backbone.stem.bn
    plain = FoldedLayer("stem", conv.weight, torch.zeros(conv.out_channels))
    stem = _normalized_input(plain, _TORCHVISION_MEAN, _TORCHVISION_DEVIATION)
    conv.weight.copy_(stem.weight)
    assert bn.running_mean is not None
    # The constant that the normalization adds to the stem's output: the mean that BatchNorm takes off moves along.
    bn.running_mean.sub_(stem.bias)


def _conv_layers(backbone: nn.Module) -> list[ConvBNAct]:
    return [module for module in backbone.modules() if isinstance(module, ConvBNAct)]


def _matching(weights: FoldedWeights, targets: Sequence[ConvBNAct]) -> list[FoldedLayer]:
    """The file's layers that are the backbone's. Raises: as :func:`load_folded`."""
    if len(weights.layers) < len(targets):
        end = f" {weights.end}" if weights.end else ""
        raise CheckpointError(
            f"{weights.source} has {len(weights.layers)} convolutions{end}, and the backbone {len(targets)}: "
            "they are not the same network"
        )
    layers = list(weights.layers[: len(targets)])
    for place, (layer, target) in enumerate(zip(layers, targets, strict=True)):
        wanted = target.conv.weight.shape
        if layer.weight.shape != wanted or len(layer.bias) != wanted[0]:
            raise CheckpointError(
                f"{weights.source}: convolution {place} ({layer.name}) has shape {tuple(layer.weight.shape)}, and the "
                f"backbone wants {tuple(wanted)} there: it is another network, or one of another width multiplier or "
                "channel divisor"
            )
    return layers


def _normalized_input(stem: FoldedLayer, mean: Sequence[float], deviation: Sequence[float]) -> FoldedLayer:
    """The stem that takes RGB in [0, 1] for one that takes (x - mean) / deviation."""
    weight = stem.weight / torch.tensor(deviation).view(1, 3, 1, 1)
    bias = stem.bias - (weight * torch.tensor(mean).view(1, 3, 1, 1)).sum((1, 2, 3))
    return replace(stem, weight=weight, bias=bias)
