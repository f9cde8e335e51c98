"""An ML Program in plain types: a list of operators, each with its constants and the names of what it takes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.coreml.tensor_types import ELEMENT_TYPES, TensorType
from edge_deeplab.runtime.coreml.weight_file import WeightFile

Constant = NDArray[Any] | str | bool | int
"""A number or truth value of an integer type, a string, or an array: a zero-dimensional one for a single float."""

_MODEL_FOLDER = "@model_path/"
_FUNCTION = "main"


@dataclass(frozen=True)
class Reference:
    """A value that another operator, or the caller, gives."""

    name: str


Argument = Constant | Reference | tuple[Constant | Reference, ...]


@dataclass(frozen=True)
class Operation:
    """One operator of the program.

    Attributes:
        type: the operator's name in MIL ("conv").
        arguments: what it takes, by MIL's name of the parameter; a tuple where the program gives several values to one
            parameter (those of a concatenation).
        outputs: name and type of each of its results.
    """

    type: str
    arguments: Mapping[str, Argument]
    outputs: tuple[tuple[str, TensorType], ...]

    def references(self) -> Iterator[str]:
        """The names of the values that it takes from others."""
        for argument in self.arguments.values():
            for part in argument if isinstance(argument, tuple) else (argument,):
                if isinstance(part, Reference):
                    yield part.name


@dataclass(frozen=True)
class Program:
    """The only function of an ML Program.

    Attributes:
        inputs: types by name.
        operations: in the order of execution; a ``const`` is one of them.
        outputs: the names of its results.
    """

    inputs: Mapping[str, TensorType]
    operations: tuple[Operation, ...]
    outputs: tuple[str, ...]


def read_program(message: Any, path: Path) -> Program:
    """Read the program out of a model's protobuf, and its weights out of the files that it names.

    Args:
        message: the ``MILSpec.Program`` message.
        path: of the protobuf file: weights lie beside it.

    Raises:
        ModelFileError: several functions or blocks, a type that cannot be read, a weight file that is missing or
            damaged.
    """
    function = _only_function(message, path)
    block = _only_block(function, path)
    with ExitStack() as stack:
        reader = _Reader(path, stack)
        return Program(
            inputs={value.name: reader.tensor_type(value.type, value.name) for value in function.inputs},
            operations=tuple(reader.operation(operation) for operation in block.operations),
            outputs=tuple(block.outputs),
        )


def _only_function(message: Any, path: Path) -> Any:
    names = sorted(message.functions)
    if names != [_FUNCTION]:
        raise ModelFileError(
            f"{path} has the functions {', '.join(names) or '(none)'}, and must have {_FUNCTION!r} alone: save each "
            "function as a package of its own"
        )
    return message.functions[_FUNCTION]


def _only_block(function: Any, path: Path) -> Any:
    blocks = function.block_specializations
    if len(blocks) != 1 or function.opset not in blocks:
        raise ModelFileError(
            f"{path} has {len(blocks)} versions of its program ({', '.join(sorted(blocks)) or 'none'}) and asks for "
            f"{function.opset or 'none'}: convert the model for one deployment target"
        )
    return blocks[function.opset]


class _Reader:
    """Turns protobuf messages into plain types; keeps the weight files open meanwhile."""

    def __init__(self, path: Path, stack: ExitStack) -> None:
        self._path = path
        self._stack = stack
        self._files: dict[str, WeightFile] = {}

    def operation(self, message: Any) -> Operation:
        name = message.outputs[0].name if message.outputs else message.type
        arguments: dict[str, Argument] = {}
        for parameter, given in message.inputs.items():
            parts = tuple(
                Reference(part.name) if part.WhichOneof("binding") == "name" else self.constant(part.value, name)
                for part in given.arguments
            )
            arguments[parameter] = parts[0] if len(parts) == 1 else parts
        for parameter, value in message.attributes.items():
            if parameter != "name":
                arguments[parameter] = self.constant(value, name)
        outputs = tuple((output.name, self.tensor_type(output.type, output.name)) for output in message.outputs)
        return Operation(message.type, arguments, outputs)

    def tensor_type(self, message: Any, name: str) -> TensorType:
        if message.WhichOneof("type") != "tensorType":
            raise self._unreadable(name, f"is a {message.WhichOneof('type')} and no tensor")
        tensor = message.tensorType
        element = ELEMENT_TYPES.get(tensor.dataType)
        if element is None:
            raise self._unreadable(name, f"has elements of the unknown type {tensor.dataType}")
        if any(dimension.WhichOneof("dimension") != "constant" for dimension in tensor.dimensions):
            raise self._unreadable(name, "has no static shape")
        return TensorType(element, tuple(int(dimension.constant.size) for dimension in tensor.dimensions))

    def constant(self, message: Any, name: str) -> Constant:
        wanted = self.tensor_type(message.type, name)
        if message.WhichOneof("value") == "blobFileValue":
            blob = message.blobFileValue
            return _scalar(self._weights(blob.fileName).read(blob.offset, wanted))
        tensor = message.immediateValue.tensor
        kind = tensor.WhichOneof("value")
        if kind is None:
            raise self._unreadable(name, "has a constant that is no tensor")
        values = getattr(tensor, kind).values
        if kind == "strings":
            if len(values) != 1:
                raise self._unreadable(name, f"has {len(values)} strings where one is meant")
            return str(values[0])
        given = len(values)
        if given != (wanted.nbytes if kind == "bytes" else wanted.size):
            raise self._unreadable(name, f"has a constant of {given} {kind} where {wanted} is declared")
        if kind == "bytes":
            return _scalar(wanted.decode(values))
        return _scalar(np.array(values, wanted.element.dtype).reshape(wanted.shape))

    def _weights(self, name: str) -> WeightFile:
        if name not in self._files:
            folder = self._path.parent
            path = folder / name.removeprefix(_MODEL_FOLDER)
            if not path.resolve().is_relative_to(folder.resolve()):
                raise ModelFileError(f"{self._path} names a weight file outside its package, {name}: convert it again")
            self._files[name] = self._stack.enter_context(WeightFile(path))
        return self._files[name]

    def _unreadable(self, name: str, reason: str) -> ModelFileError:
        return ModelFileError(f"{self._path} cannot be read: {name!r} {reason}; convert the model again")


def _scalar(values: NDArray[Any]) -> Constant:
    """A zero-dimensional integer or truth value as Python's own; everything else as it is."""
    if values.ndim == 0 and values.dtype.kind in "biu":
        scalar: int | bool = values.item()
        return scalar
    return values
