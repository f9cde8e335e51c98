"""What an app must know of the files in a bundle, as data: ``contract.json``, and golden pairs to test oneself with.

A number ``stored`` in a tensor stands for the real number ``(stored - zero_point) * scale``; of a float tensor, for
itself. Black is the real number 0 and white is 1 on the way in; on the way out it is a probability.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.files import write_json
from edge_deeplab.weights.reading import read, require_sha256

VERSION = 1
"""Of the format. It rises when a field changes its name or its meaning."""

CONTRACT = "contract.json"


class Element(StrEnum):
    """The type of a tensor's elements. IMAGE: a picture of 8 bits a channel, which the runtime itself turns into
    numbers (Core ML's ImageType)."""

    FLOAT32 = "float32"
    UINT8 = "uint8"
    INT8 = "int8"
    IMAGE = "image"


class Layout(StrEnum):
    """What each axis of a shape is: N the batch (1), H rows, W columns, C channels."""

    NHWC = "NHWC"
    NCHW = "NCHW"
    HWC = "HWC"
    HW = "HW"


class ColourOrder(StrEnum):
    """Which channel comes first."""

    RGB = "RGB"
    BGR = "BGR"


class Activation(StrEnum):
    """The last operator before the output, which is inside of the file: an app must not apply it again."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"


class Client(StrEnum):
    """Who runs a file: LiteRT's interpreter, MediaPipe Tasks' ImageSegmenter, or Core ML by way of Vision."""

    LITERT = "litert"
    MEDIAPIPE = "mediapipe"
    COREML = "coreml"


class Filter(StrEnum):
    """How a picture is resampled. AREA: the mean of the pixels that fall into one. BILINEAR: of the four nearest."""

    AREA = "area"
    BILINEAR = "bilinear"


@dataclass(frozen=True)
class Tensor:
    """An input or output as a client meets it.

    Attributes:
        name: that of the signature (TFLite) or of the feature (Core ML).
        type: of its elements.
        shape: its sizes, in the order of ``layout``.
        layout: what its axes are.
        scale: the real number of one step; None for a float tensor. Of an image: 1/255, which the file applies itself.
        zero_point: the stored number of the real number 0; None for a float tensor.

    Raises:
        SpecError: shape and layout do not fit, a batch that is not 1, a scale that is not above 0, or one of a float
            tensor.
    """

    name: str
    type: Element
    shape: tuple[int, ...]
    layout: Layout
    scale: float | None
    zero_point: int | None

    def __post_init__(self) -> None:
        if len(self.shape) != len(self.layout) or min(self.shape) < 1:
            raise SpecError(f"the shape of {self.name} is {list(self.shape)}, which is no {self.layout}")
        if "N" in self.layout and self.shape[0] != 1:
            raise SpecError(f"{self.name} has a batch of {self.shape[0]}: a bundle's files take one picture")
        if (self.scale is None, self.zero_point is None) != (self.type is Element.FLOAT32,) * 2:
            raise SpecError(f"{self.name} is {self.type}: scale and zero point belong to all types but float32")
        if self.scale is not None and self.scale <= 0:
            raise SpecError(f"the scale of {self.name} is {self.scale}: it must be above 0")

    @property
    def height(self) -> int:
        """Rows."""
        return self.shape[self.layout.index("H")]

    @property
    def width(self) -> int:
        """Columns."""
        return self.shape[self.layout.index("W")]

    @property
    def channels(self) -> int:
        """Channels; 1 where the layout has none."""
        return self.shape[self.layout.index("C")] if "C" in self.layout else 1


@dataclass(frozen=True)
class Resize:
    """How a picture gets from one size to another: stretched, both axes for themselves, without borders.

    Attributes:
        shrink: the filter of an axis that becomes shorter.
        grow: of one that becomes longer.
        pixel_centres: at half pixels (the corners of the pictures meet, not the centres of their corner pixels); always
            true, and here because the other rule (align_corners) is as common.

    Raises:
        SpecError: ``pixel_centres`` is false.
    """

    shrink: Filter
    grow: Filter
    pixel_centres: bool

    def __post_init__(self) -> None:
        if not self.pixel_centres:
            raise SpecError("pixel_centres is false: every resize of this project has half-pixel centres")


@dataclass(frozen=True)
class Input:
    """The picture that goes in.

    Attributes:
        tensor: where to.
        colour_order: of its channels.
        black: the real number of a byte 0.
        white: the real number of a byte 255; a byte between them lies between them in proportion.
        resize: from the app's picture, turned upright, to the tensor's size.

    Raises:
        SpecError: not three channels.
    """

    tensor: Tensor
    colour_order: ColourOrder
    black: float
    white: float
    resize: Resize

    def __post_init__(self) -> None:
        if self.tensor.channels != 3:
            raise SpecError(f"{self.tensor.name} has {self.tensor.channels} channels, and a picture has 3")


@dataclass(frozen=True)
class Output:
    """The probabilities that come out.

    Attributes:
        tensor: where from.
        activation: inside of the file, see :class:`Activation`.
        labels: the name of each channel; one name alone is told from the background, which has no channel.
        person: the index of the channel that is a person's probability.
        threshold: a pixel is a person where its probability is at least this.
        resize: from the tensor's size to the app's picture.

    Raises:
        SpecError: not one label for each channel, ``person`` names no channel, or a threshold outside of (0, 1).
    """

    tensor: Tensor
    activation: Activation
    labels: tuple[str, ...]
    person: int
    threshold: float
    resize: Resize

    def __post_init__(self) -> None:
        if len(self.labels) != self.tensor.channels:
            raise SpecError(f"{self.tensor.name} has {self.tensor.channels} channels and {len(self.labels)} labels")
        if not 0 <= self.person < len(self.labels):
            raise SpecError(f"person is {self.person}, and there are {len(self.labels)} labels")
        if not 0 < self.threshold < 1:
            raise SpecError(f"threshold is {self.threshold}: it lies between 0 and 1")


@dataclass(frozen=True)
class Tolerance:
    """How far a client's probabilities may be from a golden mask, over all of its pixels.

    Attributes:
        mean_error: the mean difference from mask / 255; at most this.
        mask_agreement: the part of the pixels that are on the same side of the threshold; at least this.

    Raises:
        SpecError: a number outside of [0, 1].
    """

    mean_error: float
    mask_agreement: float

    def __post_init__(self) -> None:
        for name in ("mean_error", "mask_agreement"):
            if not 0 <= getattr(self, name) <= 1:
                raise SpecError(f"{name} is {getattr(self, name)}: it lies in [0, 1]")


@dataclass(frozen=True)
class Model:
    """A model file of the bundle.

    Attributes:
        path: relative to the bundle; a folder for a Core ML package.
        sha256: of its content; of a folder, of the list that ``sha256sum`` gives for the sorted files in it.
        bytes: its size.
        target: format and precision, in the words of ``edge-deeplab convert --target``.
        checkpoint_sha256: what it was converted from.
        clients: those that take it as it is, and for which the bundle has source code.
        system: the oldest system that runs it ("iOS16"); None where the file does not say.
        input: what goes in.
        output: what comes out.
        tolerance: against a golden mask, when fed with the golden picture's ``input``.
        runtime: who executed it for the golden masks.

    Raises:
        SpecError: a path that leads out of the bundle, or a hash that is none.
    """

    path: str
    sha256: str
    bytes: int
    target: str
    checkpoint_sha256: str
    clients: tuple[Client, ...]
    system: str | None
    input: Input
    output: Output
    tolerance: Tolerance
    runtime: str

    def __post_init__(self) -> None:
        _require_inside(self.path)
        for name in ("sha256", "checkpoint_sha256"):
            require_sha256(f"{name} of {self.path}", getattr(self, name))


@dataclass(frozen=True)
class Golden:
    """A picture and what the files make of it.

    Attributes:
        name: of the picture.
        picture: its path: PNG, RGB, of any size, upright.
        input: path of the same picture at the size of the models' input: PNG, RGB.
        masks: to each model's path that of its mask: PNG, grey, at the size of the model's output, the byte is
            probability * 255, rounded.

    Raises:
        SpecError: a path that leads out of the bundle.
    """

    name: str
    picture: str
    input: str
    masks: Mapping[str, str]

    def __post_init__(self) -> None:
        for path in (self.picture, self.input, *self.masks.values()):
            _require_inside(path)


@dataclass(frozen=True)
class Contract:
    """All of ``contract.json``.

    Attributes:
        version: of the format, see VERSION.
        made_by: program and version.
        models: the files.
        goldens: pictures with masks.
        own_resize: as a model's ``tolerance``, when an app feeds a golden ``picture`` through its own resize.

    Raises:
        SpecError: another version, no models, one twice, or a golden picture without a mask for each.
    """

    version: int
    made_by: str
    models: tuple[Model, ...]
    goldens: tuple[Golden, ...]
    own_resize: Tolerance

    def __post_init__(self) -> None:
        if self.version != VERSION:
            raise SpecError(f"version is {self.version}, and {VERSION} is what this edge-deeplab reads")
        paths = [model.path for model in self.models]
        if not paths or len(set(paths)) != len(paths):
            raise SpecError(f"models must be different files, at least one: {', '.join(paths) or 'there is none'}")
        for golden in self.goldens:
            if set(golden.masks) != set(paths):
                raise SpecError(f"the golden picture {golden.name} must have one mask for each model")

    def write(self, folder: Path) -> None:
        """Write the JSON into the bundle. Raises: OutputError."""
        write_json(folder / CONTRACT, dataclasses.asdict(self))


def load_contract(folder: Path) -> Contract:
    """Read a bundle's contract, and see that every field is there, of its type and in its range.

    Whether the files are those of the contract is for SHA256SUMS to say.

    Raises:
        ModelFileError: missing, not JSON, or with a field that is unknown, missing or wrong: the message names it.
    """
    path = folder / CONTRACT
    try:
        contract: Contract = read(Contract, json.loads(path.read_text()))
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}): make the bundle again") from error
    except (ValueError, RecursionError) as error:  # SpecError is a ValueError, as are those of JSON and UTF-8
        raise ModelFileError(f"{path} is not a contract of this version ({error}): make the bundle again") from error
    return contract


def _require_inside(path: str) -> None:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path:
        raise SpecError(f"{path!r} leads out of the bundle: paths are relative to it")
