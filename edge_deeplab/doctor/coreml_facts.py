"""What is read of a .mlpackage before it is judged: its description, and the types of what its program computes.

Not the reader that executes a program (runtime/coreml): that one refuses what is to be reported here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_deeplab.artifact import sidecar_path
from edge_deeplab.doctor.facts import Alignment, Resize
from edge_deeplab.runtime.coreml.package import load_model, model_file
from edge_deeplab.runtime.coreml.tensor_types import ELEMENT_TYPES, ElementType

_STORED = "constexpr_"  # how the names of operators begin that only unpack weights
_SAMPLING = {
    "UNALIGN_CORNERS": Alignment.HALF_PIXEL,
    "STRICT_ALIGN_CORNERS": Alignment.ALIGN_CORNERS,
    "ALIGN_CORNERS": Alignment.ALIGN_CORNERS,
    "DEFAULT": Alignment.ASYMMETRIC,
}


@dataclass(frozen=True)
class Feature:
    """An input or output, as the description has it.

    Attributes:
        name: in the program.
        image: it is a picture, and not an array.
        shape: of an array, its sizes; of a picture, height and width.
        flexible: the app may choose among several sizes.
        half: an array of float16.
    """

    name: str
    image: bool
    shape: tuple[int, ...]
    flexible: bool
    half: bool


@dataclass(frozen=True)
class Operation:
    """An operator of the program, without those that only hold constants.

    Attributes:
        type: MIL's name of it.
        output: the name of its first result.
        element: its type of elements.
        reads: the names of the values that it takes.
    """

    type: str
    output: str
    element: ElementType | None
    reads: frozenset[str]


@dataclass(frozen=True)
class CoremlFacts:
    """A package, as its protobuf has it.

    Attributes:
        specification: version of the format, which a system must know.
        inputs: what it takes.
        outputs: what it gives.
        operations: of all functions, in the order of execution.
        resizes: every bilinear resize.
        half_pixel_promised: a sidecar of this project lies beside it.
    """

    specification: int
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    operations: tuple[Operation, ...]
    resizes: tuple[Resize, ...]
    half_pixel_promised: bool


def read_coreml_facts(path: Path) -> CoremlFacts:
    """Read a .mlpackage.

    Raises:
        ModelFileError: not a package, without a manifest, truncated, or no ML Program.
        MissingExtraError: coremltools is not installed.
    """
    model = load_model(model_file(path))
    messages = [
        operation
        for function in model.mlProgram.functions.values()
        for block in function.block_specializations.values()
        for operation in block.operations
    ]
    constants = {
        message.outputs[0].name: _constant(message)
        for message in messages
        if message.type == "const" and message.outputs
    }
    return CoremlFacts(
        specification=int(model.specificationVersion),
        inputs=tuple(map(_feature, model.description.input)),
        outputs=tuple(map(_feature, model.description.output)),
        operations=tuple(
            Operation(message.type, message.outputs[0].name, _element(message.outputs[0].type), _reads(message))
            for message in messages
            if message.outputs and message.type != "const" and not message.type.startswith(_STORED)
        ),
        resizes=tuple(_resizes(messages, constants)),
        half_pixel_promised=sidecar_path(path).exists(),
    )


def _feature(message: Any) -> Feature:
    if message.type.WhichOneof("Type") == "imageType":
        image = message.type.imageType
        flexible = image.WhichOneof("SizeFlexibility") is not None
        return Feature(message.name, True, (int(image.height), int(image.width)), flexible, half=False)
    array = message.type.multiArrayType
    flexible = array.WhichOneof("ShapeFlexibility") is not None
    half = array.dataType == array.FLOAT16
    return Feature(message.name, False, tuple(map(int, array.shape)), flexible, half)


def _element(message: Any) -> ElementType | None:
    return ELEMENT_TYPES.get(message.tensorType.dataType)


def _reads(message: Any) -> frozenset[str]:
    given = [argument for parameter in message.inputs.values() for argument in parameter.arguments]
    return frozenset(argument.name for argument in given if argument.WhichOneof("binding") == "name")


def _resizes(messages: list[Any], constants: Mapping[str, bool | str | None]) -> Iterator[Resize]:
    for message in messages:
        if message.type == "upsample_bilinear":
            aligned = _setting(message, "align_corners", constants)
            alignment = Alignment.HALF_PIXEL if aligned is False else Alignment.ALIGN_CORNERS  # True is MIL's default
        elif message.type == "resize_bilinear":
            alignment = _SAMPLING.get(str(_setting(message, "sampling_mode", constants)), Alignment.ASYMMETRIC)
        else:
            continue
        yield Resize(message.outputs[0].name, alignment)


def _setting(message: Any, name: str, constants: Mapping[str, bool | str | None]) -> bool | str | None:
    arguments = message.inputs[name].arguments if name in message.inputs else ()
    for argument in arguments:
        if argument.WhichOneof("binding") == "name":
            return constants.get(argument.name)
        return _value(argument.value)
    return None


def _constant(message: Any) -> bool | str | None:
    return _value(message.attributes["val"]) if "val" in message.attributes else None


def _value(message: Any) -> bool | str | None:
    """A single truth value or text; None for anything else."""
    tensor = message.immediateValue.tensor
    kind = tensor.WhichOneof("value")
    if kind not in ("bools", "strings") or len(values := getattr(tensor, kind).values) != 1:
        return None
    return bool(values[0]) if kind == "bools" else str(values[0])
