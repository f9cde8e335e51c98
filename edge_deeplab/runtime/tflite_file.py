"""What a .tflite file says, read straight from the flatbuffer: no interpreter, nothing is run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from edge_deeplab.errors import ModelFileError

IDENTIFIER = b"TFL3"  # bytes 4 to 8 of every file
_FLOATS = frozenset({"FLOAT16", "FLOAT32", "FLOAT64", "BFLOAT16"})


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph.

    Attributes:
        index: its place in the graph's list of tensors.
        name: its name in the file.
        type: the schema's word: "FLOAT32", "INT8", "UINT8", "INT32", ...
        shape: its sizes; 1 stands for one that is only known when the file is run.
        dynamic: some of its sizes are only known when the file is run.
        constant: its values lie in the file (weights, biases, sizes) instead of being computed.
        scales: quantization scales, one or one for each channel; empty for a tensor that is not quantized.
        zero_points: as many zero points.
        quantized_dimension: the axis of the channels where there are several scales.
        buffer: which of the file's buffers holds its values; several constant tensors may share one.
        stored: bytes in that buffer; 0 for a tensor that is computed.
    """

    index: int
    name: str
    type: str
    shape: tuple[int, ...]
    dynamic: bool
    constant: bool
    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    quantized_dimension: int
    buffer: int
    stored: int

    @property
    def is_float(self) -> bool:
        """Its elements are floating-point numbers."""
        return self.type in _FLOATS


@dataclass(frozen=True)
class Operator:
    """A node of the graph, with its tensors (an optional input that is left out does not appear).

    Attributes:
        name: the schema's word ("CONV_2D"), or a custom operator's own name.
        custom: it is none of TFLite's own operators, so that the runtime must be given it.
        version: of its settings and types of elements, as TFLite counts them for each operator.
        inputs: what it reads.
        outputs: what it computes.
        activation: the schema's word for what is applied to it at the end ("RELU6"); "NONE" if there is nothing.
        options: its settings by the schema's names ("strideW", "alignCorners"), as far as they are numbers; empty for
            an operator that has none.
    """

    name: str
    custom: bool
    version: int
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    activation: str
    options: Mapping[str, float]


@dataclass(frozen=True)
class TfliteGraph:
    """A subgraph of a file: its operators in the order of execution, and all of its tensors."""

    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    tensors: tuple[Tensor, ...]
    signature_inputs: tuple[str, ...]
    signature_outputs: tuple[str, ...]


@dataclass(frozen=True)
class TfliteModel:
    """A whole file.

    Attributes:
        description: what its writer says about it.
        graphs: the subgraphs; the first is executed, the others are bodies of IF, WHILE and CALL, or of further
            signatures.
    """

    description: str
    graphs: tuple[TfliteGraph, ...]


def read_bytes(path: Path) -> bytes:
    """The content of a file that begins as a TFLite file does.

    Raises:
        ModelFileError: missing, unreadable, or something else.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
    if content[4:8] != IDENTIFIER:
        raise ModelFileError(
            f"{path} is not a TFLite file, or is empty: give a .tflite file, such as edge-deeplab convert writes"
        )
    return content


def inspect_tflite(path: Path) -> TfliteGraph:
    """Read the graph of a file.

    Raises:
        ModelFileError: not a TFLite file, truncated, or with more than one subgraph.
    """
    return inspect_flatbuffer(read_bytes(path), str(path))


def inspect_flatbuffer(content: bytes, name: str) -> TfliteGraph:
    """As :func:`inspect_tflite`, for bytes; ``name`` is for the error message."""
    graphs = inspect_model(content, name).graphs
    if len(graphs) != 1:
        raise ModelFileError(f"{name} has {len(graphs)} subgraphs, and must have one: convert the model again")
    return graphs[0]


def inspect_model(content: bytes, name: str) -> TfliteModel:
    """Read all that is in a file, ours or anybody's.

    Args:
        content: the bytes of the file.
        name: for the error message.

    Raises:
        ModelFileError: truncated or damaged.
    """
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        graphs = tuple(_graph(subgraph, place, model) for place, subgraph in enumerate(model.subgraphs))
        return TfliteModel(_text(model.description), (graphs[0], *graphs[1:]))  # a file without a graph is damaged
    except Exception as error:  # the generated reader raises whatever a wrong offset leads to
        raise damaged(name) from error


def damaged(name: str) -> ModelFileError:
    """The error on a file that begins as a TFLite file does and does not go on like one."""
    return ModelFileError(f"{name} is a truncated or damaged TFLite file: convert the model again, or get a fresh copy")


def builtin_code(code: Any) -> int:
    """The number of a ``OperatorCodeT`` in the schema's enumeration of operators.

    Codes up to 127 used to have one byte; the greater of the two fields is the right one (schema v3a).
    """
    return max(int(code.builtinCode), int(code.deprecatedBuiltinCode))


def operator_name(code: Any) -> str:
    """The name of a ``OperatorCodeT``: the schema's word ("CONV_2D"), or a custom operator's own name."""
    builtin = builtin_code(code)
    if builtin == schema.BuiltinOperator.CUSTOM:
        return _text(code.customCode)
    return _OPERATORS[builtin]


def _graph(subgraph: Any, place: int, model: Any) -> TfliteGraph:
    tensors = tuple(_tensor(index, tensor, model) for index, tensor in enumerate(subgraph.tensors))
    signatures = [entry for entry in model.signatureDefs or () if entry.subgraphIndex == place]
    return TfliteGraph(
        inputs=tuple(tensors[index] for index in subgraph.inputs),
        outputs=tuple(tensors[index] for index in subgraph.outputs),
        operators=tuple(_operator(operator, tensors, model) for operator in subgraph.operators),
        tensors=tensors,
        signature_inputs=_names(signatures[0].inputs if signatures else None),
        signature_outputs=_names(signatures[0].outputs if signatures else None),
    )


def _operator(operator: Any, tensors: Sequence[Tensor], model: Any) -> Operator:
    code = model.operatorCodes[operator.opcodeIndex]
    return Operator(
        name=operator_name(code),
        custom=builtin_code(code) == schema.BuiltinOperator.CUSTOM,
        version=int(code.version),
        # A missing vector stands for an empty one: operators without inputs exist (CALL_ONCE).
        inputs=tuple(tensors[index] for index in _vector(operator.inputs) if index >= 0),
        outputs=tuple(tensors[index] for index in _vector(operator.outputs)),
        activation=_ACTIVATIONS[getattr(operator.builtinOptions, "fusedActivationFunction", 0)],
        options=_options(operator.builtinOptions),
    )


def _options(options: Any) -> dict[str, float]:
    fields = {} if options is None else vars(options)
    return {name: value for name, value in fields.items() if isinstance(value, (int, float))}


def _names(maps: Any) -> tuple[str, ...]:
    return tuple(_text(entry.name) for entry in _vector(maps))


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode()


def _vector(values: Any) -> Any:
    return () if values is None else values


def _tensor(index: int, tensor: Any, model: Any) -> Tensor:
    quantization = tensor.quantization
    buffer = model.buffers[tensor.buffer]
    # Data of more than 2 GB lie behind the flatbuffer: then only their size is in it.
    stored = max(len(_vector(buffer.data)), int(buffer.size))
    return Tensor(
        index=index,
        name=_text(tensor.name),
        type=_TYPES[tensor.type],
        shape=tuple(int(size) for size in _vector(tensor.shape)),
        dynamic=any(int(size) < 0 for size in _vector(tensor.shapeSignature)),
        constant=stored > 0,
        scales=tuple(float(scale) for scale in _vector(quantization and quantization.scale)),
        zero_points=tuple(int(point) for point in _vector(quantization and quantization.zeroPoint)),
        quantized_dimension=int(quantization.quantizedDimension) if quantization is not None else 0,
        buffer=int(tensor.buffer),
        stored=stored,
    )


def _words(enumeration: type) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}


_TYPES = _words(schema.TensorType)
_ACTIVATIONS = _words(schema.ActivationFunctionType)
_OPERATORS = _words(schema.BuiltinOperator)
