"""DeepLabV3 and V3+: backbone, ASPP, decoder, classifier."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from edge_deeplab.models.aspp import ASPP
from edge_deeplab.models.backbones.mobilenet_v2 import MobileNetV2
from edge_deeplab.models.decoder import Decoder
from edge_deeplab.spec import Backbone, NetworkSpec


class DeepLab(nn.Module):
    """An encoder with ASPP, V3+'s decoder unless it is None, and logits at the input's size.

    Attributes:
        backbone: (N, 3, H, W) -> features at stride 4 and at the output stride.
        aspp: features -> features.
        decoder: low-level features and ASPP features -> features at stride 4, or None (V3).
        classifier: 1x1 convolution to the logits.
    """

    def __init__(self, backbone: MobileNetV2, aspp: ASPP, decoder: Decoder | None, classifier: nn.Conv2d) -> None:
        super().__init__()
        self.backbone = backbone
        self.aspp = aspp
        self.decoder = decoder
        self.classifier = classifier

    def forward(self, image: Tensor) -> Tensor:
        """Segment a batch.

        Args:
            image: float, (N, 3, H, W), RGB in [0, 1].

        Returns:
            Logits, float, (N, classes, H, W).
        """
        low_level, x = self.backbone(image)
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
    match spec.backbone:
        case Backbone.MOBILENET_V2:
            backbone = MobileNetV2(
                width_multiplier=spec.width_multiplier,
                channel_divisor=spec.channel_divisor,
                output_stride=spec.output_stride,
            )
    # The rates are stated for output stride 16 and follow the resolution (Chen et al. 2017, section 3.3).
    rates = [max(1, rate * 16 // spec.output_stride) for rate in spec.atrous_rates]
    aspp = ASPP(
        backbone.channels,
        spec.aspp_channels,
        rates,
        separable=spec.aspp_separable,
        image_pooling=spec.image_pooling,
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
        )
        channels = spec.decoder_channels
    return DeepLab(backbone, aspp, decoder, nn.Conv2d(channels, spec.num_classes, 1))


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
