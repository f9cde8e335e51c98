"""What a .tflite file says, read straight from the flatbuffer: no interpreter, nothing is run."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edge_deeplab.errors import ModelFileError

_IDENTIFIER = b"TFL3"
_FLOATS = frozenset({"FLOAT16", "FLOAT32", "FLOAT64", "BFLOAT16"})


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        name: its name in the file.
        type: the schema's word: "FLOAT32", "INT8", "UINT8", "INT32", ...
        shape: its sizes.
        constant: its values lie in the file (weights, biases, sizes) instead of being computed.
        scales: quantization scales, one or one for each channel; empty for a tensor that is not quantized.
        zero_points: as many zero points.
        quantized_dimension: the axis of the channels where there are several scales.
    """

    name: str
    type: str
    shape: tuple[int, ...]
    constant: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    quantized_dimension: int

    @property
    def is_float(self) -> bool:
        """Its elements are floating-point numbers."""
        return self.type in _FLOATS


@dataclass(frozen=True)
class Operator:
    """A node of the graph, with its tensors (an optional input that is left out does not appear)."""

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


@dataclass(frozen=True)
class TfliteGraph:
    """The only subgraph of a file, its operators in the order of execution."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    signature_inputs: tuple[str, ...]
    signature_outputs: tuple[str, ...]


def read_bytes(path: Path) -> bytes:
    """The content of a file that begins as a TFLite file does.

    Raises:
        ModelFileError: missing, unreadable, or something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
    if content[4:8] != _IDENTIFIER:
        raise ModelFileError(f"{path} is not a TFLite file: give the .tflite that edge-deeplab convert wrote")
    return content


def inspect_tflite(path: Path) -> TfliteGraph:
    """Read the graph of a file.

    Raises:
        ModelFileError: not a TFLite file, truncated, or with more than one subgraph.
    """
    return inspect_flatbuffer(read_bytes(path), str(path))


def inspect_flatbuffer(content: bytes, name: str) -> TfliteGraph:
    """As :func:`inspect_tflite`, for bytes; ``name`` is for the error message."""
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        (subgraph,) = model.subgraphs
        tensors = [_tensor(tensor, model) for tensor in subgraph.tensors]
        operators = tuple(
            Operator(
                name=_operator_name(model.operatorCodes[operator.opcodeIndex]),
                inputs=tuple(tensors[index] for index in operator.inputs if index >= 0),
                outputs=tuple(tensors[index] for index in operator.outputs),
            )
            for operator in subgraph.operators
        )
        signature = model.signatureDefs[0] if model.signatureDefs else None
        return TfliteGraph(
            inputs=tuple(tensors[index] for index in subgraph.inputs),
            outputs=tuple(tensors[index] for index in subgraph.outputs),
            operators=operators,
            signature_inputs=_names(signature.inputs if signature else None),
            signature_outputs=_names(signature.outputs if signature else None),
        )
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, KeyError) as error:
        raise ModelFileError(
            f"{name} is a truncated TFLite file, or has several subgraphs: convert the model again"
        ) from error


def _names(maps: Any) -> tuple[str, ...]:
    return tuple(entry.name.decode() for entry in maps or ())


def _operator_name(code: Any) -> str:
    # Codes up to 127 used to have one byte; the greater of the two fields is the right one (schema v3a).
    builtin = max(code.builtinCode, code.deprecatedBuiltinCode)
    if builtin == schema.BuiltinOperator.CUSTOM:
        return str(code.customCode.decode())
    return _OPERATORS[builtin]


def _tensor(tensor: Any, model: Any) -> Tensor:
    quantization = tensor.quantization
    scales = quantization.scale if quantization is not None else None
    zero_points = quantization.zeroPoint if quantization is not None else None
    data = model.buffers[tensor.buffer].data
    return Tensor(
        name=tensor.name.decode(),
        type=_TYPES[tensor.type],
        shape=tuple(int(size) for size in (tensor.shape if tensor.shape is not None else ())),
        constant=data is not None and len(data) > 0,
        scales=tuple(float(scale) for scale in (scales if scales is not None else ())),
        zero_points=tuple(int(point) for point in (zero_points if zero_points is not None else ())),
        quantized_dimension=int(quantization.quantizedDimension) if quantization is not None else 0,
    )


def _words(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_TYPES = _words(schema.TensorType)
_OPERATORS = _words(schema.BuiltinOperator)
