"""The DeepLab networks: backbone, atrous head, decoder, classifier."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_deeplab.models.aspp import ASPP, SummedASPP
from edge_deeplab.models.backbones import resnet, xception
from edge_deeplab.models.backbones.backbone import DenseFeatures
from edge_deeplab.models.backbones.mobilenet_v2 import MobileNetV2
from edge_deeplab.models.backbones.mobilenet_v3 import MobileNetV3Large
from edge_deeplab.models.backbones.vgg import VGG16
from edge_deeplab.models.decoder import Decoder
from edge_deeplab.spec import Backbone, Fusion, NetworkSpec, Rectifier

_RECTIFIERS: dict[Rectifier, type[nn.Module]] = {Rectifier.RELU: nn.ReLU, Rectifier.RELU6: nn.ReLU6}
# The output strides that the papers state their rates for: V1 and V2, V3 (section 3.3).
_STATED_STRIDE = {Fusion.SUMMED: 8, Fusion.CONCATENATED: 16}


class DeepLab(nn.Module):
    """An encoder with atrous convolution at several rates, V3+'s decoder unless it is None, logits at the input's size.

    Attributes:
        backbone: (N, 3, H, W) -> features at stride 4 and at the output stride.
        aspp: features -> features; or -> class scores (V1, V2).
        decoder: low-level features and ASPP features -> features at stride 4, or None (V1 to V3).
        classifier: 1x1 convolution to the logits; ``nn.Identity`` behind class scores.
        input_scales: of the input; where there are several, the largest logit at each position counts.
    """

    def __init__(
        self,
        backbone: DenseFeatures,
        aspp: ASPP | SummedASPP,
        decoder: Decoder | None,
        classifier: nn.Conv2d | nn.Identity,
        input_scales: Sequence[float] = (1.0,),
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.aspp = aspp
        self.decoder = decoder
        self.classifier = classifier
        self.input_scales = tuple(input_scales)

    @property
    def class_layers(self) -> tuple[nn.Conv2d, ...]:
        """The layers that give the scores of classes: one, or one for each summed branch."""
        ends = self.aspp.branches if isinstance(self.aspp, SummedASPP) else [self.classifier]
        layers = [end[-1] if isinstance(end, nn.Sequential) else end for end in ends]
        return tuple(layer for layer in layers if isinstance(layer, nn.Conv2d))

    def forward(self, image: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            image: float, (N, 3, H, W), RGB in [0, 1].

        Returns:
            Logits, float, (N, classes, H, W).
        """
        return functools.reduce(torch.maximum, [self._logits(image, scale) for scale in self.input_scales])

    def _logits(self, image: Tensor, scale: float) -> Tensor:
        scaled = image
        if scale != 1:
            # The ratio of the rounded sizes is what converters know, too.
            scaled = functional.interpolate(
                image, scale_factor=scale, mode="bilinear", align_corners=False, recompute_scale_factor=True
            )
        low_level, x = self.backbone(scaled)
        x = self.aspp(x)
        if self.decoder is not None:
            x = self.decoder(low_level, x)
        return functional.interpolate(self.classifier(x), size=image.shape[2:], mode="bilinear", align_corners=False)


class Deployed(nn.Module):
    """A network with its last activation inside, as every deployed file has it.

    One class: sigmoid, the probability of a person. Several: softmax over the channels.
    """

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__()
        self.network = network
        self.num_classes = num_classes

    def forward(self, image: Tensor) -> Tensor:  # (N, 3, H, W) -> (N, classes, H, W), probabilities
        logits = self.network(image)
        return torch.sigmoid(logits) if self.num_classes == 1 else torch.softmax(logits, dim=1)


def build_network(spec: NetworkSpec) -> DeepLab:
    """Build the network that a specification describes, with fresh weights."""
    backbone = _build_backbone(spec)
    activation = _RECTIFIERS[spec.head_rectifier]
    # The rates follow the resolution (Chen et al. 2017, section 3.3).
    stated = _STATED_STRIDE[spec.aspp_fusion]
    rates = [max(1, rate * stated // spec.output_stride) for rate in spec.atrous_rates]
    if spec.aspp_fusion is Fusion.SUMMED:
        hidden = spec.aspp_channels if spec.aspp_hidden else None
        scores = SummedASPP(backbone.channels, hidden, rates, spec.num_classes, activation=activation)
        return DeepLab(backbone, scores, None, nn.Identity(), spec.input_scales)
    aspp = ASPP(
        backbone.channels,
        spec.aspp_channels,
        rates,
        separable=spec.aspp_separable,
        image_pooling=spec.image_pooling,
        refine=spec.aspp_refine,
        activation=activation,
    )
    decoder = None
    channels = spec.aspp_channels
    if spec.decoder:
        decoder = Decoder(
            backbone.low_level_channels,
            spec.aspp_channels,
            skip_channels=spec.skip_channels,
            channels=spec.decoder_channels,
            separable=spec.decoder_separable,
            activation=activation,
        )
        channels = spec.decoder_channels
    return DeepLab(backbone, aspp, decoder, nn.Conv2d(channels, spec.num_classes, 1), spec.input_scales)


def at_output_stride(network: DeepLab, spec: NetworkSpec, output_stride: int) -> DeepLab:
    """The same weights at another output stride, with all rates scaled: train at 16, evaluate at 8.

    Args:
        network: of ``spec``; left as it is.
        spec: its layers.
        output_stride: 8, 16 or 32.

    Returns:
        A network of its own, with a copy of the weights, on the same device and in the same mode.

    Raises:
        SpecError: there is no such output stride.
    """
    other = build_network(replace(spec, output_stride=output_stride))
    other.load_state_dict(network.state_dict())
    return other.to(next(network.parameters()).device).train(network.training)


def _build_backbone(spec: NetworkSpec) -> DenseFeatures:
    stride, grid, padding, width = spec.output_stride, spec.multi_grid, spec.padding, spec.width_multiplier

    def residual(units: Sequence[int]) -> DenseFeatures:
        return resnet.ResNet(units, output_stride=stride, multi_grid=grid, padding=padding, width_multiplier=width)

    def aligned_xception(entry: Sequence[xception.EntryBlock], middle: int) -> DenseFeatures:
        return xception.Xception(
            entry, middle, output_stride=stride, multi_grid=grid, padding=padding, width_multiplier=width
        )

    match spec.backbone:
        case Backbone.MOBILENET_V2:
            return MobileNetV2(
                width_multiplier=width,
                channel_divisor=spec.channel_divisor,
                output_stride=stride,
                padding=padding,
                last_bottleneck=spec.last_bottleneck,
            )
        case Backbone.MOBILENET_V3_LARGE:
            return MobileNetV3Large(output_stride=stride, padding=padding, width_multiplier=width)
        case Backbone.RESNET_50:
            return residual(resnet.UNITS_50)
        case Backbone.RESNET_101:
            return residual(resnet.UNITS_101)
        case Backbone.VGG_16:
            return VGG16(output_stride=stride, padding=padding, width_multiplier=width)
        case Backbone.XCEPTION_41:
            return aligned_xception(xception.ENTRY, xception.MIDDLE_41)
        case Backbone.XCEPTION_65:
            return aligned_xception(xception.ENTRY, xception.MIDDLE_65)
        case Backbone.XCEPTION_71:
            return aligned_xception(xception.ENTRY_71, xception.MIDDLE_65)
