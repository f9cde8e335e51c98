"""Runs a program operator by operator, in the order in which it is written."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.coreml.float16 import round_to_float16
from edge_deeplab.runtime.coreml.kernels import KERNELS, Kernel
from edge_deeplab.runtime.coreml.operators.unsupported import UnsupportedError
from edge_deeplab.runtime.coreml.program import Argument, Operation, Program, Reference
from edge_deeplab.runtime.coreml.tensor_types import ElementType, TensorType

_CONST = "const"


@dataclass(frozen=True)
class _Step:
    """An operator that is ready to run, and the values that nobody needs after it."""

    operation: Operation
    kernel: Kernel
    dead: tuple[str, ...]


class Executor:
    """A program whose operators are known and whose constants are unpacked.

    Arithmetic: floats are float32, whatever the program declares; integers are what it declares. With
    ``imitate_float16``, every value that the program declares as float16 (weights, biases and activations alike) is
    rounded to float16, to the nearest and in a tie to the even one, as soon as its operator has given it; beyond 65504
    it becomes infinite. Inside an operator sums still run in float32: that is what a processor with a float32
    accumulator does, and neither what one with a float16 accumulator does, nor what fused operators do, nor any
    neural engine's own formats and tables.
    """

    def __init__(self, program: Program, path: Path, *, imitate_float16: bool) -> None:
        """Look up the operators, and evaluate everything that depends on constants alone.

        Args:
            program: what to run.
            path: where it comes from, for the error messages.
            imitate_float16: see above.

        Raises:
            ModelFileError: an operator that is not supported, or used in an unsupported way.
        """
        self._path = path
        self._program = program
        self._imitate_float16 = imitate_float16
        self._constants: dict[str, Any] = {}
        self._steps: list[_Step] = []
        for operation in program.operations:
            self._check(operation)
        last_use = self._last_use()
        for place, operation in enumerate(program.operations):
            ((name, declared),) = operation.outputs
            if operation.type == _CONST:
                self._constants[name] = self._finish(operation.arguments["val"], declared, operation)
            elif all(reference in self._constants for reference in operation.references()):
                self._constants[name] = self._apply(KERNELS[operation.type], operation, self._constants)
            else:
                dead = tuple(value for value, user in last_use.items() if user == place)
                self._steps.append(_Step(operation, KERNELS[operation.type], dead))

    def run(self, inputs: Mapping[str, NDArray[np.float32]]) -> dict[str, Any]:
        """Run the program once.

        Args:
            inputs: an array of the declared shape for each input.

        Returns:
            An array for each output.

        Raises:
            ModelFileError: an operator is used in an unsupported way, or gives another shape than the program declares:
                both show for any input, so that one run on zeros finds them.
        """
        values: dict[str, Any] = {**self._constants}
        for name, array in inputs.items():
            values[name] = self._rounded(array, self._program.inputs[name])
        for step in self._steps:
            ((name, _),) = step.operation.outputs
            values[name] = self._apply(step.kernel, step.operation, values)
            for dead in step.dead:
                del values[dead]
        return {name: values[name] for name in self._program.outputs}

    def _check(self, operation: Operation) -> None:
        """Refuse an operator that is not there, or that has other parameters than are known."""
        if operation.type == _CONST:
            return
        kernel = KERNELS.get(operation.type)
        if kernel is None:
            raise self._refusal(operation, "is not supported by the reference executor")
        if len(operation.outputs) != 1:
            raise self._refusal(operation, f"has {len(operation.outputs)} outputs, and one is supported")
        try:
            inspect.signature(kernel).bind(**operation.arguments)
        except TypeError as error:
            raise self._refusal(operation, f"is used in an unsupported way ({error})") from error

    def _last_use(self) -> dict[str, int]:
        """For each computed value that is no result of the program: the place of the operator that needs it last."""
        users: dict[str, int] = {}
        produced: set[str] = set()
        for place, operation in enumerate(self._program.operations):
            users |= {name: place for name in operation.references() if name in produced}
            if operation.type != _CONST and any(operation.references()):
                produced.add(operation.outputs[0][0])
        return {name: place for name, place in users.items() if name not in self._program.outputs}

    def _apply(self, kernel: Kernel, operation: Operation, values: Mapping[str, Any]) -> Any:
        ((_, declared),) = operation.outputs
        try:
            arguments = {key: _resolve(argument, values) for key, argument in operation.arguments.items()}
        except KeyError as error:
            raise self._refusal(operation, f"needs {error.args[0]!r}, which nothing gives before it") from error
        try:
            # What overflows becomes infinite, as on a phone; the session sees it in the probabilities.
            with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
                result = kernel(**arguments)
        except UnsupportedError as error:
            raise self._refusal(operation, f"is used in an unsupported way: {error}") from error
        except (ValueError, IndexError, TypeError) as error:
            raise self._refusal(operation, f"does not fit what it is given ({error})") from error
        return self._finish(result, declared, operation)

    def _finish(self, value: Any, declared: TensorType, operation: Operation) -> Any:
        """A value as the other operators want it: of the declared shape, and float32 for any float."""
        if np.shape(value) != declared.shape:
            found = "x".join(map(str, np.shape(value))) or "scalar"
            raise self._refusal(operation, f"gives {found} where the program declares {declared}")
        return self._rounded(value, declared)

    def _rounded(self, value: Any, declared: TensorType) -> Any:
        if declared.element is ElementType.FLOAT16 and self._imitate_float16:
            return round_to_float16(np.asarray(value))
        return np.asarray(value, np.float32) if declared.element.floating else value

    def _refusal(self, operation: Operation, reason: str) -> ModelFileError:
        name = operation.outputs[0][0] if operation.outputs else "none"
        return ModelFileError(
            f"{self._path} cannot be executed: its operator {operation.type} (output {name!r}) {reason}; convert the "
            "model again, or run it on macOS"
        )


def _resolve(argument: Argument, values: Mapping[str, Any]) -> Any:
    """An argument's value: constants as they are (float32 for any float), references looked up."""
    match argument:
        case Reference(name):
            return values[name]
        case tuple():
            return [_resolve(part, values) for part in argument]
        case np.ndarray() if argument.dtype.kind == "f":
            return np.asarray(argument, np.float32)
        case _:
            return argument
