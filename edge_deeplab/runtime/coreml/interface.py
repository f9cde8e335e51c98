"""What a package takes and gives, as its description says: one picture in, one map of probabilities out."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.contract import check_probabilities
from edge_deeplab.runtime.coreml.protobuf import messages

_PREFERRED_OUTPUTS = ("probability", "mask")  # where a package has several
_WHITE = 255  # of a grayscale image with eight bits


@dataclass(frozen=True)
class ImageInput:
    """A picture of 8 bits a channel.

    Attributes:
        name: in the program.
        height: rows.
        width: columns.
        blue_first: the program wants BGR.
    """

    name: str
    height: int
    width: int
    blue_first: bool

    def planes(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 (height, width, 3) -> float32 (1, 3, height, width), 0..255, in the program's order of channels.

        Scale and bias of the picture are operators of the program.
        """
        channels = pixels[:, :, ::-1] if self.blue_first else pixels
        return channels.transpose(2, 0, 1)[None].astype(np.float32, order="C")


@dataclass(frozen=True)
class MapOutput:
    """A map for each class.

    Attributes:
        name: in the program.
        channels: classes.
        height: rows.
        width: columns.
        image: it is a grayscale picture of 0..255, and not an array of probabilities.
    """

    name: str
    channels: int
    height: int
    width: int
    image: bool

    def probabilities(self, values: NDArray[Any], path: Path) -> NDArray[np.float32]:
        """(1, channels, height, width) as the program gives it -> float32 (height, width, channels) in [0, 1].

        A grayscale picture has 256 steps: the program's numbers are rounded to them, and cut off at 0 and 255.

        Raises:
            ModelFileError: values that are no probabilities.
        """
        maps = values[0].transpose(1, 2, 0).astype(np.float32, order="C", copy=True)
        if self.image:
            maps = np.rint(maps).clip(0, _WHITE) / np.float32(_WHITE)
        return check_probabilities(maps, path)


def read_input(model: Any, path: Path) -> ImageInput:
    """The only input of a ``Model`` message, which must be an image in colour of one size.

    Raises:
        ModelFileError: it is something else.
    """
    features = model.description.input
    if len(features) == 1 and features[0].type.WhichOneof("Type") == "imageType":
        (feature,) = features
        image, colors = feature.type.imageType, messages().FeatureTypes_pb2.ImageFeatureType
        if image.WhichOneof("SizeFlexibility") is None and image.colorSpace in (colors.RGB, colors.BGR):
            return ImageInput(feature.name, image.height, image.width, image.colorSpace == colors.BGR)
    raise ModelFileError(
        f"{path} is no segmentation model for this: it takes {_described(features)}, and must take one image in colour "
        "of one size: convert it with inputs=[ImageType(...)]"
    )


def read_output(model: Any, path: Path) -> MapOutput:
    """The output of a ``Model`` message that is the mask: the only one, or "probability", or "mask".

    Raises:
        ModelFileError: none of them, or it is neither an array (1, classes, rows, columns) nor a grayscale image.
    """
    features = list(model.description.output)
    chosen = features if len(features) == 1 else [each for each in features if each.name in _PREFERRED_OUTPUTS]
    if len(chosen) == 1:
        (feature,) = chosen
        match feature.type.WhichOneof("Type"):
            case "imageType":
                image, colors = feature.type.imageType, messages().FeatureTypes_pb2.ImageFeatureType
                if image.colorSpace == colors.GRAYSCALE:
                    return MapOutput(feature.name, 1, image.height, image.width, image=True)
            case "multiArrayType":
                shape = tuple(map(int, feature.type.multiArrayType.shape))
                if len(shape) == 4 and shape[0] == 1:
                    return MapOutput(feature.name, *shape[1:], image=False)
    raise ModelFileError(
        f"{path} is no segmentation model for this: it gives {_described(features)}, and must give one array of "
        "1 x classes x rows x columns or one grayscale image of 8 bits (among several, one of the name "
        f"{' or '.join(_PREFERRED_OUTPUTS)})"
    )


def _described(features: Any) -> str:
    return ", ".join(map(_one_described, features)) or "nothing"


def _one_described(feature: Any) -> str:
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":
        image = feature.type.imageType
        colors = messages().FeatureTypes_pb2.ImageFeatureType.ColorSpace
        size = "of several sizes" if image.WhichOneof("SizeFlexibility") else f"{image.height}x{image.width}"
        return f"{feature.name} (image {colors.Name(image.colorSpace)} {size})"
    if kind == "multiArrayType":
        return f"{feature.name} (array {'x'.join(map(str, feature.type.multiArrayType.shape)) or 'of any shape'})"
    return f"{feature.name} ({kind or 'of no type'})"
