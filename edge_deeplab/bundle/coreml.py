"""What a Core ML package says of its two ends."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

from edge_deeplab.bundle.contract import Activation, Client, ColourOrder, Element, Layout, Tensor
from edge_deeplab.bundle.ends import Ends
from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.coreml.interface import MapOutput, read_input, read_output
from edge_deeplab.runtime.coreml.package import load_model, model_file
from edge_deeplab.runtime.coreml.program import Program, read_program
from edge_deeplab.runtime.coreml.protobuf import messages
from edge_deeplab.runtime.foreign.hints import trace_back

_BYTE = 1 / 255  # the real number of one step of a picture
_ACTIVATIONS = {"sigmoid": Activation.SIGMOID, "softmax": Activation.SOFTMAX}
# A grey image is the probability times 255; the others only change the type.
_PASSING = frozenset({"cast", "dequantize", "mul", "quantize"})

SYSTEMS = {6: "iOS15", 7: "iOS16", 8: "iOS17", 9: "iOS18"}
"""The oldest system for each version of the file format (``specificationVersion`` in coremltools' ``ct.target``)."""


def coreml_ends(path: Path) -> Ends:
    """Read the two ends of a package.

    Raises:
        ModelFileError: damaged, or not of the contract: an image in, one map of float32 or grey pixels out, behind an
            activation.
        MissingExtraError: coremltools, whose protobuf classes are used, is not installed.
    """
    file = model_file(path)
    model = load_model(file)
    picture, mask = read_input(model, path), read_output(model, path)
    source = Tensor(picture.name, Element.IMAGE, (picture.height, picture.width, 3), Layout.HWC, _BYTE, 0)
    order = ColourOrder.BGR if picture.blue_first else ColourOrder.RGB
    producer = _producer(read_program(model.mlProgram, file), mask.name)
    version = int(model.specificationVersion)
    if producer not in _ACTIVATIONS or version not in SYSTEMS:
        raise ModelFileError(
            f"{path} is of version {version} and its last operator is {producer}: a bundle's files are of version "
            f"{min(SYSTEMS)} to {max(SYSTEMS)}, and end with {' or '.join(_ACTIVATIONS)}"
        )
    (feature,) = (each for each in model.description.output if each.name == mask.name)
    types = messages().FeatureTypes_pb2.ArrayFeatureType
    if not mask.image and feature.type.multiArrayType.dataType != types.FLOAT32:
        raise ModelFileError(f"{path} gives an array that is not of float32: convert the model again")
    return Ends(source, order, _output(mask), _ACTIVATIONS[producer], (Client.COREML,), SYSTEMS[version])


def _output(mask: MapOutput) -> Tensor:
    if mask.image:
        return Tensor(mask.name, Element.IMAGE, (mask.height, mask.width), Layout.HW, _BYTE, 0)
    shape = (1, mask.channels, mask.height, mask.width)
    return Tensor(mask.name, Element.FLOAT32, shape, Layout.NCHW, None, None)


def _producer(program: Program, output: str) -> str | None:
    """The operator that computes the output's numbers."""
    makers = {name: operation for operation in program.operations for name, _ in operation.outputs}
    computed = {name: maker for name, maker in makers.items() if maker.type != "const"}
    made_by: dict[Hashable, tuple[str, Hashable]] = {
        name: (maker.type, next((source for source in maker.references() if source in computed), None))
        for name, maker in computed.items()
    }
    traced = trace_back(output, made_by, _PASSING)
    return computed[traced].type if isinstance(traced, str) and traced in computed else None
