"""The vocabulary that travels between the stages: what a network is, and what it is converted to.

Frozen, comparable, without a single heavy import; every artifact's sidecar and every checkpoint
carries a :class:`ModelSpec`, so that no later stage needs to be told again.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from edge_deeplab.errors import SpecError

PERSON = "person"

_LEAST_SIDE = 32  # of a network's input: one position at the largest output stride
_LEAST = f"{_LEAST_SIDE}x{_LEAST_SIDE}"
# A zero too many, in a setting or in the header of a downloaded checkpoint, must not take all memory.
_WIDEST = 8192  # channels: twice the widest layer of the papers, VGG-16's fc6
_LARGEST_WIDTH = 8.0
_LARGEST_SIDE = 8192  # pixels
_MOST_BRANCHES = 16  # atrous rates, input scales: over twice the six scales that the papers evaluate at
_MOST_CLASSES = 255  # a mask holds a pixel's class in 8 bits, and 255 is "ignore"


class Backbone(StrEnum):
    """The feature extractor below the DeepLab head.

    VGG_16: with holes (V1 and V2). RESNET_*: bottlenecks with atrous blocks (V2, V3). XCEPTION_*: modified Aligned
    Xception (V3+). MOBILENET_V3_LARGE: as in torchvision's DeepLab; its hard-swish has no int8 form here.
    """

    MOBILENET_V2 = "mobilenet_v2"
    MOBILENET_V3_LARGE = "mobilenet_v3_large"
    RESNET_50 = "resnet_50"
    RESNET_101 = "resnet_101"
    VGG_16 = "vgg_16"
    XCEPTION_41 = "xception_41"
    XCEPTION_65 = "xception_65"
    XCEPTION_71 = "xception_71"


class Fusion(StrEnum):
    """How the branches of atrous spatial pyramid pooling come together.

    CONCATENATED: features, concatenated and projected (V3; Chen et al. 2017, section 3.3). SUMMED: each branch gives
    class scores, and these are added (V2; Chen et al. 2016, arXiv 1606.00915, section 3.2). V1's large field of view is
    one such branch.
    """

    CONCATENATED = "concatenated"
    SUMMED = "summed"


class Padding(StrEnum):
    """Where a strided convolution gets its border from.

    SYMMETRIC: as much on both sides, as PyTorch and the authors' ResNet and Xception do. SAME: TensorFlow's rule, which
    pads an input of even size on its right and lower side only. They agree for inputs of odd size, such as 513.
    """

    SYMMETRIC = "symmetric"
    SAME = "same"


class Rectifier(StrEnum):
    """The activation behind a convolution: max(x, 0), or min(max(x, 0), 6)."""

    RELU = "relu"
    RELU6 = "relu6"


class Format(StrEnum):
    """The file format of an artifact."""

    ONNX = "onnx"
    TFLITE = "tflite"
    COREML = "coreml"


class Precision(StrEnum):
    """The arithmetic of an artifact.

    INT8 says that weights are int8; whether activations are, too, depends on the format, and
    :attr:`Target.integer_activations` tells. PALETTIZED6, PALETTIZED4: weights are indices of 6 or 4 bits into a table.
    W8A8 is Core ML's word for weights and activations in int8.
    """

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    DYNAMIC = "dynamic"
    INT8 = "int8"
    PALETTIZED6 = "palettized6"
    PALETTIZED4 = "palettized4"
    W8A8 = "w8a8"


class IoType(StrEnum):
    """The element type of an artifact's input and output.

    FLOAT32: RGB in [0, 1] in, probability in [0, 1] out. UINT8: RGB 0..255 in, probability * 256
    (saturated at 255) out. INT8: the same numbers minus 128. IMAGE: an RGB image in, a grey one with
    probability * 255 out; where a Core ML file gives a multi-array instead, it is FLOAT32.
    """

    FLOAT32 = "float"
    UINT8 = "uint8"
    INT8 = "int8"
    IMAGE = "image"


@dataclass(frozen=True)
class Target:
    """A format and a precision: what ``--target`` names."""

    format: Format
    precision: Precision

    def __str__(self) -> str:
        if self.format is Format.ONNX:
            return "onnx-qdq" if self.precision is Precision.INT8 else "onnx"
        return f"{self.format}-{self.precision}"

    @property
    def suffix(self) -> str:
        """The file name's ending, with the dot. A Core ML package is a folder of that name."""
        return ".mlpackage" if self.format is Format.COREML else f".{self.format}"

    @property
    def integer_activations(self) -> bool:
        """Activations are int8, so that it is made of quantization ranges. Core ML's "int8" is about weights only."""
        return self.precision is Precision.W8A8 or (
            self.precision is Precision.INT8 and self.format is not Format.COREML
        )

    @property
    def quantized(self) -> bool:
        """Weights, or weights and activations, have few values: some loss is its price, and not a fault."""
        return self.precision not in (Precision.FLOAT32, Precision.FLOAT16)

    @staticmethod
    def all() -> tuple[Target, ...]:
        """Every target that can be converted to, in the order in which ``--target all`` goes."""
        return _TARGETS

    @staticmethod
    def named(text: str) -> tuple[Target, ...]:
        """The targets behind a word of the command line: ``all``, ``coreml`` (all of that format), or a target's name.

        Raises:
            SpecError: as :meth:`parse`.
        """
        match text:
            case "all":
                return _TARGETS
            case Format.COREML:
                return tuple(target for target in _TARGETS if target.format is Format.COREML)
            case _:
                return (Target.parse(text),)

    @staticmethod
    def parse(text: str) -> Target:
        """Read ``onnx``, ``onnx-qdq``, ``tflite-float32``, ``tflite-int8``, ...

        Raises:
            SpecError: no such target; the message lists those that exist.
        """
        for target in _TARGETS:
            if str(target) == text:
                return target
        raise SpecError(f"there is no target {text!r}: choose from {', '.join(map(str, _TARGETS))}")


_TARGETS = (
    Target(Format.ONNX, Precision.FLOAT32),
    Target(Format.TFLITE, Precision.FLOAT32),
    Target(Format.TFLITE, Precision.FLOAT16),
    Target(Format.TFLITE, Precision.DYNAMIC),
    Target(Format.TFLITE, Precision.INT8),
    Target(Format.ONNX, Precision.INT8),
    Target(Format.COREML, Precision.FLOAT32),
    Target(Format.COREML, Precision.FLOAT16),
    Target(Format.COREML, Precision.INT8),
    Target(Format.COREML, Precision.PALETTIZED6),
    Target(Format.COREML, Precision.PALETTIZED4),
    Target(Format.COREML, Precision.W8A8),
)


@dataclass(frozen=True)
class NetworkSpec:
    """The settings of a DeepLab network, in the papers' words.

    Attributes:
        backbone: the feature extractor.
        width_multiplier: factor on the backbone's channels: MobileNetV2's alpha (Sandler et al. 2018, section 4,
            "Trade-off hyper parameters"). The papers have the other backbones at 1 only.
        channel_divisor: the backbone's channels are rounded to multiples of it. 8 as in the authors' code; their
            DeepLabs of width 0.5 have 4: 12 channels at stride 4 instead of 16.
        last_bottleneck: MobileNetV2's last bottleneck, which takes 160 channels to 320 (Sandler et al. 2018, table 2).
            Without it the head reads the 160: a quarter of the weights less, which are there to tell a thousand
            classes apart (Howard et al. 2019, arXiv 1905.02244, section 6.4, halve those channels in MobileNetV3).
        output_stride: input size over the size of the last feature map: 8, 16 or 32 (Chen et al. 2017,
            "Rethinking Atrous Convolution", section 3.1).
        aspp_channels: channels of each ASPP branch and of the projection behind their concatenation
            (256 in the paper).
        atrous_rates: rates of the 3x3 branches at output stride 16; doubled at 8 and halved at 32
            (Chen et al. 2017, section 3.3). Empty: only the 1x1 branch (the MobileNetV2 paper, section 6.3).
            Where the branches are summed, rates at output stride 8, where V1 and V2 state them: (12,) and
            (6, 12, 18, 24).
        aspp_separable: depthwise separable 3x3 branches (Chen et al. 2018, section 3.1) instead of dense ones.
        image_pooling: the global average branch (ParseNet's, taken over by Chen et al. 2017, section 3.3).
        decoder: V3+'s decoder (Chen et al. 2018); without it the logits are resized straight up (V3).
        decoder_channels: channels of the decoder's two 3x3 convolutions (256 in the paper).
        decoder_separable: depthwise separable convolutions in the decoder.
        skip_channels: channels of the 1x1 projection of the stride-4 features (48: Chen et al. 2018, table 1).
        num_classes: channels of the logits; 1 means person against background with a sigmoid.
        padding: of strided convolutions and pooling.
        head_rectifier: of ASPP and decoder. The backbone has that of its paper: ReLU6 for MobileNetV2, else ReLU.
        multi_grid: unit rates of the last block's three units, times the block's own rate: (1, 2, 4) gives 2, 4, 8 at
            output stride 16 (Chen et al. 2017, section 3.2.1). ResNet and Xception only. Empty: plain atrous
            convolution; the unit that lost its stride keeps the rate of what comes before it.
        aspp_fusion: how the branches come together.
        aspp_hidden: summed branches have a 1x1 convolution (VGG's fc7) between their 3x3 (fc6), both of
            ``aspp_channels``, and the class scores (V1, and V2 figure 7b); without it the 3x3 gives the scores itself
            (V2's ResNet-101).
        aspp_refine: a dense 3x3 behind the projection, in place of a decoder (torchvision's DeepLabV3).
        input_scales: the network runs at each of these scales of its input with the same weights, and takes the
            largest score at each position (V2, section 4.1: 0.5, 0.75, 1; at both training and test time).
    """

    backbone: Backbone = Backbone.MOBILENET_V2
    width_multiplier: float = 1.0
    channel_divisor: int = 8
    output_stride: int = 16
    aspp_channels: int = 256
    atrous_rates: tuple[int, ...] = (6, 12, 18)
    aspp_separable: bool = True
    image_pooling: bool = True
    decoder: bool = True
    decoder_channels: int = 256
    decoder_separable: bool = True
    skip_channels: int = 48
    num_classes: int = 1
    padding: Padding = Padding.SYMMETRIC
    head_rectifier: Rectifier = Rectifier.RELU6
    multi_grid: tuple[int, ...] = ()
    aspp_fusion: Fusion = Fusion.CONCATENATED
    aspp_hidden: bool = False
    aspp_refine: bool = False
    input_scales: tuple[float, ...] = (1.0,)
    last_bottleneck: bool = True

    @property
    def backbone_words(self) -> str:
        """ "mobilenet_v2 0.5"; "resnet_50": where the paper has one width, it is named only if it is another.

        "mobilenet_v2 1.0 without its last bottleneck".
        """
        only = self.backbone is not Backbone.MOBILENET_V2 and self.width_multiplier == 1
        name = str(self.backbone) if only else f"{self.backbone} {self.width_multiplier}"
        return name if self.last_bottleneck else f"{name} without its last bottleneck"

    def __post_init__(self) -> None:
        if self.output_stride not in (8, 16, 32):
            raise SpecError(f"output stride {self.output_stride} does not exist: choose 8, 16 or 32")
        if not 0 < self.width_multiplier < math.inf:
            raise SpecError(f"width multiplier {self.width_multiplier} is not positive and finite: try 1.0 or 0.5")
        if self.width_multiplier > _LARGEST_WIDTH:
            raise SpecError(f"width multiplier {self.width_multiplier} is too large: use at most {_LARGEST_WIDTH:g}")
        for name in ("channel_divisor", "aspp_channels", "decoder_channels", "skip_channels", "num_classes"):
            most = _MOST_CLASSES if name == "num_classes" else _WIDEST
            if not 1 <= getattr(self, name) <= most:
                raise SpecError(f"{name} is {getattr(self, name)}: it must be at least 1 and at most {most}")
        if any(rate < 1 for rate in self.atrous_rates):
            raise SpecError(f"atrous rates {self.atrous_rates} must be at least 1")
        for name in ("atrous_rates", "input_scales"):
            if len(getattr(self, name)) > _MOST_BRANCHES:
                raise SpecError(f"{name} has {len(getattr(self, name))} entries: use at most {_MOST_BRANCHES}")
        if not self.input_scales or not all(0 < scale < math.inf for scale in self.input_scales):
            raise SpecError(f"input scales {self.input_scales} must be positive, and at least one: try 0.5, 0.75 and 1")
        self._check_backbone()
        self._check_head()

    def _check_backbone(self) -> None:
        if self.backbone is not Backbone.MOBILENET_V2 and self.channel_divisor != 8:
            raise SpecError(f"{self.backbone} has no channel divisor but 8: it belongs to {Backbone.MOBILENET_V2}")
        if self.backbone is not Backbone.MOBILENET_V2 and not self.last_bottleneck:
            raise SpecError(
                f"{self.backbone} keeps its last bottleneck: only {Backbone.MOBILENET_V2} can do without it"
            )
        if not self.multi_grid:
            return
        if self.backbone not in WITH_MULTI_GRID:
            raise SpecError(f"{self.backbone} has no multi-grid: it belongs to {', '.join(WITH_MULTI_GRID)}")
        if len(self.multi_grid) != 3 or min(self.multi_grid) < 1:
            raise SpecError(f"multi_grid {self.multi_grid} must be three rates of at least 1, such as (1, 2, 4)")

    def _check_head(self) -> None:
        if self.aspp_fusion is Fusion.SUMMED:
            if not self.atrous_rates:
                raise SpecError("summed branches need atrous rates: 12 for V1, 6, 12, 18 and 24 for V2")
            excluded = ("decoder", "image_pooling", "aspp_separable", "aspp_refine")
            if wrong := [name for name in excluded if getattr(self, name)]:
                raise SpecError(
                    f"{' and '.join(wrong)} cannot go with summed branches, which give class scores: switch off, or "
                    f"choose {Fusion.CONCATENATED} branches"
                )
        elif self.aspp_hidden:
            raise SpecError(f"aspp_hidden belongs to {Fusion.SUMMED} branches: concatenated ones have a projection")
        if self.aspp_refine and self.decoder:
            raise SpecError("aspp_refine stands in place of a decoder: choose one of them")


WITH_MULTI_GRID = (
    Backbone.RESNET_50,
    Backbone.RESNET_101,
    Backbone.XCEPTION_41,
    Backbone.XCEPTION_65,
    Backbone.XCEPTION_71,
)
"""The backbones that may have unit rates in their last block."""


def _integers(values: Iterable[Any]) -> tuple[int, ...]:
    return tuple(int(value) for value in values)


def _floats(values: Iterable[Any]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


_ADDED_SETTINGS: Mapping[str, Callable[[Any], Any]] = {
    "padding": Padding,
    "head_rectifier": Rectifier,
    "multi_grid": _integers,
    "aspp_fusion": Fusion,
    "input_scales": _floats,
}


@dataclass(frozen=True)
class ModelSpec:
    """A network together with the contract of its files.

    Attributes:
        network: the layers.
        height: rows of the network's input, in pixels. Frames are stretched to (height, width).
        width: columns of the network's input, in pixels.
        classes: one name for each output channel; ("person",) for the portrait models.
    """

    network: NetworkSpec = field(default_factory=NetworkSpec)
    height: int = 256
    width: int = 256
    classes: tuple[str, ...] = (PERSON,)

    def __post_init__(self) -> None:
        if len(self.classes) != self.network.num_classes:
            raise SpecError(
                f"{len(self.classes)} class names for {self.network.num_classes} output channels: give one name each"
            )
        if min(self.height, self.width) < _LEAST_SIDE:
            raise SpecError(f"input size {self.height}x{self.width} is too small: use at least {_LEAST}")
        smallest, largest = min(self.network.input_scales), max(self.network.input_scales)
        if max(self.height, self.width) * max(largest, 1) > _LARGEST_SIDE:
            raise SpecError(
                f"input size {self.height}x{self.width} at scale {largest:g} is too large: use at most {_LARGEST_SIDE} "
                "pixels a side"
            )
        if min(self.height, self.width) * smallest < _LEAST_SIDE:
            raise SpecError(
                f"input scale {smallest} makes less than {_LEAST} of {self.height}x{self.width}: "
                "use a larger one, or a larger input"
            )

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, the inverse of :meth:`from_dict`."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> ModelSpec:
        """Read what :meth:`to_dict` gave.

        Raises:
            SpecError: an unknown or missing setting, or one of the wrong type.
        """
        try:
            network = dict(values["network"])
            network["backbone"] = Backbone(network["backbone"])
            network["atrous_rates"] = _integers(network["atrous_rates"])
            # Files from before these settings do not have them: what they say is then what there was.
            for name, read in _ADDED_SETTINGS.items():
                if name in network:
                    network[name] = read(network[name])
            return ModelSpec(
                network=NetworkSpec(**network),
                height=int(values["height"]),
                width=int(values["width"]),
                classes=tuple(values["classes"]),
            )
        except SpecError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise SpecError(f"not a model specification of this version of edge-deeplab: {error!r}") from error
