"""From the layers of somebody's DeepLab to ours: its specification and its weights."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from edge_deeplab.errors import ModelFileError
from edge_deeplab.importing.layers import BatchNorm, Layer, SourceDeepLab
from edge_deeplab.models.backbones.mobilenet_v2 import MobileNetV2
from edge_deeplab.models.deeplab import DeepLab, build_network
from edge_deeplab.models.layers import ConvBNAct
from edge_deeplab.spec import NetworkSpec, Rectifier

# Widths of the paper (Sandler et al. 2018, section 6.1: 0.35 to 1.4) and divisors that DeepLabs were published with.
_WIDTHS = (1.0, 0.5, 0.35, 0.75, 1.3, 1.4)
_DIVISORS = (8, 4)
OUTPUT_STRIDES = (8, 16, 32)
_LOST = 1e-3  # of an epsilon
_RECTIFIERS: dict[type[nn.Module], Rectifier | None] = {
    nn.ReLU: Rectifier.RELU,
    nn.ReLU6: Rectifier.RELU6,
    nn.Identity: None,
}


def network_spec(found: SourceDeepLab) -> NetworkSpec:
    """The specification of the network whose layers were found.

    Raises:
        ModelFileError: it is none of ours: no width and divisor give its channels, or its strides, rates or
            activations are others.
    """
    stride = 1
    for layer in found.backbone:
        stride *= layer.stride
    if stride not in OUTPUT_STRIDES:
        raise ModelFileError(
            f"{found.source}: its layers make an output stride of {stride}, and a DeepLab has 8, 16 or 32"
        )
    head = (found.pointwise, found.projection, *(() if found.pooling is None else (found.pooling,)))
    rectifiers = {layer.rectifier for layer in head}
    rectifier = rectifiers.pop()
    if rectifiers or rectifier is None:
        raise ModelFileError(f"{found.source}: the layers of its head do not have one activation, ReLU or ReLU6")
    width, divisor = width_of([layer.weight.shape for layer in found.backbone], found.source)
    spec = NetworkSpec(
        width_multiplier=width,
        channel_divisor=divisor,
        output_stride=stride,
        aspp_channels=len(found.projection.weight),
        atrous_rates=(),
        image_pooling=found.pooling is not None,
        decoder=False,
        num_classes=len(found.classifier.weight),
        head_rectifier=rectifier,
    )
    with torch.device("meta"):
        _require_same(found, build_network(spec))
    return spec


def build_imported(found: SourceDeepLab, spec: NetworkSpec) -> DeepLab:
    """The network with the file's weights, in eval mode; it takes RGB in [0, 1].

    The normalization of the input goes into the first convolution, and what BatchNorm's epsilon differs by into its
    variance: nothing else changes, and the BatchNorms can be trained further. Only the zeros around the picture stand
    for black, where the file's network saw its mean.

    Args:
        found: the layers.
        spec: from :func:`network_spec`.

    Raises:
        ModelFileError: a BatchNorm's variance is smaller than the difference of the epsilons.
    """
    network = build_network(spec)
    with torch.no_grad():
        for target, layer in zip(normalized_layers(network), found.normalized, strict=True):
            target.conv.weight.copy_(torch.from_numpy(layer.weight))
            _copy_norm(target.bn, layer, found.source)
        _fold_normalization(normalized_layers(network)[0], found)
        classifier = network.classifier
        assert isinstance(classifier, nn.Conv2d)
        assert classifier.bias is not None
        assert not isinstance(found.classifier.norm, BatchNorm)
        classifier.weight.copy_(torch.from_numpy(found.classifier.weight))
        classifier.bias.copy_(torch.from_numpy(found.classifier.norm))
    return network.eval()


def normalized_layers(network: DeepLab) -> list[ConvBNAct]:
    """Its convolutions with BatchNorm, in the order of :attr:`SourceDeepLab.normalized`."""
    return [module for module in network.modules() if isinstance(module, ConvBNAct)]


def width_of(shapes: Sequence[Sequence[int]], source: str) -> tuple[float, int]:
    """The width multiplier and the channel divisor of a MobileNetV2.

    Args:
        shapes: of its convolutions' weights, (out, in / groups, rows, columns), in the order of execution.
        source: the file, for the error message.

    Raises:
        ModelFileError: no published width gives these.
    """
    wanted = [tuple(shape) for shape in shapes]
    for width, divisor in product(_WIDTHS, _DIVISORS):
        with torch.device("meta"):
            backbone = MobileNetV2(width_multiplier=width, channel_divisor=divisor)
        if wanted == [tuple(layer.conv.weight.shape) for layer in backbone.modules() if isinstance(layer, ConvBNAct)]:
            return width, divisor
    raise ModelFileError(
        f"{source}: the {len(wanted)} convolutions of its backbone are those of no MobileNetV2 of width "
        f"{', '.join(map(str, sorted(_WIDTHS)))}"
    )


def _require_same(found: SourceDeepLab, network: DeepLab) -> None:
    """Shapes, strides, rates and activations agree, and a BatchNorm or a bias has a number for each channel."""
    targets = normalized_layers(network)
    if len(targets) != len(found.normalized):
        raise ModelFileError(f"{found.source} has {len(found.normalized)} layers, and the network {len(targets)}")
    for layer, target in zip(found.normalized, targets, strict=True):
        ours = _traits(target.conv, _RECTIFIERS[type(target.act)])
        file = (layer.weight.shape, (layer.stride,) * 2, (layer.rate,) * 2, layer.rectifier)
        if file != ours:
            raise ModelFileError(
                f"{found.source}: {layer.name} has shape, stride, rate and activation {_said(file)}, and "
                f"MobileNetV2's DeepLabV3 has {_said(ours)} there"
            )
        if not isinstance(layer.norm, BatchNorm) or any(
            len(part) != len(layer.weight)
            for part in (layer.norm.gamma, layer.norm.beta, layer.norm.mean, layer.norm.variance)
        ):
            raise ModelFileError(f"{found.source}: {layer.name} has no BatchNorm with a number for each channel")
    classifier = found.classifier
    assert isinstance(network.classifier, nn.Conv2d)
    if classifier.weight.shape != tuple(network.classifier.weight.shape) or isinstance(classifier.norm, BatchNorm):
        raise ModelFileError(f"{found.source}: {classifier.name} is not a 1x1 convolution with a bias")


Traits = tuple[Sequence[int], tuple[int, ...], tuple[int, ...], Rectifier | None]


def _traits(conv: nn.Conv2d, rectifier: Rectifier | None) -> Traits:
    return tuple(conv.weight.shape), conv.stride, conv.dilation, rectifier


def _said(traits: Traits) -> str:
    shape, stride, rate, rectifier = traits
    return f"{'x'.join(map(str, shape))}, {stride[0]}, {rate[0]}, {rectifier or 'none'}"


def _copy_norm(bn: nn.BatchNorm2d, layer: Layer, source: str) -> None:
    norm = layer.norm
    assert isinstance(norm, BatchNorm)
    assert bn.running_mean is not None
    assert bn.running_var is not None
    # In float64: the sum under the root is the file's, whatever this one's epsilon.
    variance = torch.from_numpy(norm.variance).double() + (norm.epsilon - bn.eps)
    # A dead channel has none: what is then below 0 is what float32 has lost of an epsilon.
    if not bool((variance >= -_LOST * bn.eps).all()):
        raise ModelFileError(f"{source}: {layer.name} has a variance below 0: get a fresh copy")
    for target, value in ((bn.weight, norm.gamma), (bn.bias, norm.beta), (bn.running_mean, norm.mean)):
        target.copy_(torch.from_numpy(value))
    bn.running_var.copy_(variance.clamp(min=0))


def _fold_normalization(stem: ConvBNAct, found: SourceDeepLab) -> None:
    """w ((x - mean) / deviation) = (w / deviation) x - shift: the mean that BatchNorm takes off moves along."""
    deviation: Tensor = torch.tensor(found.deviation, dtype=torch.float64).view(1, 3, 1, 1)
    mean: Tensor = torch.tensor(found.mean, dtype=torch.float64).view(1, 3, 1, 1)
    weight = stem.conv.weight.double() / deviation
    assert stem.bn.running_mean is not None
    stem.bn.running_mean.add_((weight * mean).sum((1, 2, 3)).float())
    stem.conv.weight.copy_(weight)
