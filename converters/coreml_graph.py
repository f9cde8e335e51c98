"""A written package as a graph that can be followed: who writes a tensor, who reads it, and which are constants."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edge_deeplab.runtime.coreml.package import load_model, model_file
from edge_deeplab.runtime.coreml.program import Operation, Reference, read_program


@dataclass(frozen=True)
class Graph:
    """A package, read back.

    Attributes:
        specification: the protobuf message ``CoreML.Specification.Model``.
        opset: "CoreML5", ...
        operations: in order, without plain constants.
        constants: name to value of plain constants.
        outputs: names of the tensors that the program gives.
    """

    specification: Any
    opset: str
    operations: tuple[Operation, ...]
    constants: Mapping[str, Any]
    outputs: tuple[str, ...]
    _writers: Mapping[str, Operation] = field(default_factory=dict)
    _readers: Mapping[str, list[Operation]] = field(default_factory=dict)

    def writer(self, tensor: str) -> Operation | None:
        """The operator that computes a tensor; None for inputs and plain constants."""
        return self._writers.get(tensor)

    def readers(self, tensor: str) -> list[Operation]:
        """The operators that read a tensor."""
        return self._readers.get(tensor, [])

    def argument(self, operation: Operation, parameter: str) -> str | None:
        """The name of the tensor that an operator takes as a parameter; None where it takes none, or several."""
        given = operation.arguments.get(parameter)
        return given.name if isinstance(given, Reference) else None

    def constant(self, operation: Operation, parameter: str) -> Any:
        """The constant that an operator takes as a parameter, in itself or by name; None where there is none."""
        given = operation.arguments.get(parameter)
        return self.constants.get(given.name) if isinstance(given, Reference) else given


def read_graph(package: Path) -> Graph:
    """Read a package.

    Raises:
        ModelFileError: as :func:`edge_deeplab.runtime.coreml.program.read_program`.
        MissingExtraError: coremltools is not installed.
    """
    place = model_file(package)
    model = load_model(place)
    program = read_program(model.mlProgram, place)
    constants = {
        name: operation.arguments["val"]
        for operation in program.operations
        if operation.type == "const"
        for name, _ in operation.outputs
    }
    operations = tuple(operation for operation in program.operations if operation.type != "const")
    readers: dict[str, list[Operation]] = {}
    for operation in operations:
        for name in dict.fromkeys(operation.references()):
            readers.setdefault(name, []).append(operation)
    (function,) = model.mlProgram.functions.values()
    return Graph(
        specification=model,
        opset=function.opset,
        operations=operations,
        constants=constants,
        outputs=program.outputs,
        _writers={name: operation for operation in operations for name, _ in operation.outputs},
        _readers=readers,
    )
