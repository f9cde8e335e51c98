"""A written .mlpackage, read back as a stranger would read it: its protobuf and its weight file, nothing else.

Of coremltools only the generated protobuf classes are taken, without the package around them, which takes seconds to
import, talks, and would read the file with the code that wrote it.
"""

from __future__ import annotations

import importlib
import struct
import sys
import types
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import MissingExtraError, ModelFileError

_DATA = Path("Data/com.apple.CoreML")
_ALIAS = "converters._coreml_proto"

# MIL.proto's DataType, for what our programs hold.
_TYPES: Mapping[str, Any] = {
    "BOOL": np.bool_,
    "FLOAT16": np.float16,
    "FLOAT32": np.float32,
    "INT8": np.int8,
    "UINT8": np.uint8,
    "INT32": np.int32,
    "UINT32": np.uint32,
}
# MILBlob's StorageFormat.hpp: in front of each entry of weight.bin lie a mark, the element type, the number of bytes,
# and where they begin.
_BLOB_ENTRY = struct.Struct("<IIQQ")
_BLOB_MARK = 0xDEADBEEF


@dataclass(frozen=True)
class Operator:
    """One operator of a program.

    Attributes:
        kind: "conv", "constexpr_affine_dequantize", ...
        outputs: names of the tensors that it writes.
        inputs: parameter to the names of the tensors that it reads.
        constants: parameter to value, of those that are kept in the operator itself.
    """

    kind: str
    outputs: tuple[str, ...]
    inputs: Mapping[str, tuple[str, ...]]
    constants: Mapping[str, Any]


@dataclass(frozen=True)
class Program:
    """A package.

    Attributes:
        specification: the protobuf message ``CoreML.Specification.Model``.
        opset: "CoreML5", ...
        operators: in order, without plain constants.
        constants: name to value (an array, or a str), of plain constants.
        outputs: names of the tensors that the program gives.
    """

    specification: Any
    opset: str
    operators: tuple[Operator, ...]
    constants: Mapping[str, Any]
    outputs: tuple[str, ...]

    def writer(self, tensor: str) -> Operator | None:
        """The operator that writes a tensor; None for inputs and plain constants."""
        return next((operator for operator in self.operators if tensor in operator.outputs), None)

    def readers(self, tensor: str) -> list[Operator]:
        """The operators that read a tensor."""
        return [
            operator for operator in self.operators if any(tensor in names for names in operator.inputs.values())
        ]


def read_program(package: Path) -> Program:
    """Read a package.

    Raises:
        ModelFileError: a part is missing or truncated, it holds no ML Program, or more than one function or block.
        MissingExtraError: coremltools is not installed.
    """
    messages = _messages()
    from google.protobuf.message import DecodeError

    specification = messages.Model()
    try:
        specification.ParseFromString((package / _DATA / "model.mlmodel").read_bytes())
        blob = (package / _DATA / "weights" / "weight.bin").read_bytes()
    except OSError as error:
        raise ModelFileError(f"{package} lacks {error.filename}: convert again") from error
    except DecodeError as error:
        raise ModelFileError(f"the program in {package} is truncated or damaged: convert again") from error
    if specification.WhichOneof("Type") != "mlProgram":
        raise ModelFileError(f"{package} holds no ML Program, but {specification.WhichOneof('Type')}: convert again")
    functions = list(specification.mlProgram.functions.values())
    blocks = [block for function in functions for block in function.block_specializations.values()]
    if len(functions) != 1 or len(blocks) != 1:
        raise ModelFileError(f"{package} has {len(functions)} functions and {len(blocks)} blocks instead of one of each")
    operators, constants = [], {}
    for message in blocks[0].operations:
        values = {name: _value(value, blob) for name, value in message.attributes.items()}
        if message.type == "const":
            constants[message.outputs[0].name] = values["val"]
            continue
        operators.append(
            Operator(
                message.type,
                tuple(output.name for output in message.outputs),
                {
                    name: tuple(entry.name for entry in argument.arguments if entry.name)
                    for name, argument in message.inputs.items()
                },
                values,
            )
        )
    return Program(specification, functions[0].opset, tuple(operators), constants, tuple(blocks[0].outputs))


def _messages() -> Any:
    """The generated module ``Model_pb2``, from where coremltools is installed."""
    if _ALIAS not in sys.modules:
        found = find_spec("coremltools")
        if found is None or not found.submodule_search_locations:
            raise MissingExtraError("coremltools", "convert", "reading a Core ML package")
        package = types.ModuleType(_ALIAS)
        package.__path__ = [str(Path(next(iter(found.submodule_search_locations))) / "proto")]
        sys.modules[_ALIAS] = package
    return importlib.import_module(f"{_ALIAS}.Model_pb2")


def _value(value: Any, blob: bytes) -> Any:
    """An array of the type and shape that the program states; a str for text."""
    kind = value.type.tensorType
    name = _data_type(kind.dataType)
    if name == "STRING":
        return value.immediateValue.tensor.strings.values[0]
    shape = tuple(int(dimension.constant.size) for dimension in kind.dimensions)
    if name not in _TYPES:
        raise ModelFileError(f"the package holds a constant of type {name}, which is not known here")
    dtype = np.dtype(_TYPES[name])
    if value.WhichOneof("value") == "blobFileValue":
        data = _blob_entry(blob, value.blobFileValue.offset)
    else:
        tensor = value.immediateValue.tensor
        stored = getattr(tensor, tensor.WhichOneof("value")).values
        data = stored if isinstance(stored, bytes) else np.array(stored, dtype).tobytes()
    if len(data) != dtype.itemsize * int(np.prod(shape)):
        raise ModelFileError(f"a constant of {len(data)} bytes cannot have shape {shape} of {name}: convert again")
    values: NDArray[Any] = np.frombuffer(data, dtype).reshape(shape)
    return values


def _blob_entry(blob: bytes, offset: int) -> bytes:
    if offset + _BLOB_ENTRY.size > len(blob):
        raise ModelFileError("the weight file of the package is truncated: convert again")
    mark, _, length, start = _BLOB_ENTRY.unpack_from(blob, offset)
    if mark != _BLOB_MARK or start + length > len(blob):
        raise ModelFileError("the weight file of the package is truncated or damaged: convert again")
    return blob[start : start + length]


def _data_type(number: int) -> str:
    name: str = importlib.import_module(f"{_ALIAS}.MIL_pb2").DataType.Name(number)
    return name
