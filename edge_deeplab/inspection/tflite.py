"""What is inside a .tflite file, ours or anybody's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any

from edge_deeplab.errors import ModelFileError
from edge_deeplab.inspection.describe import summarize
from edge_deeplab.inspection.graph import (
    Arithmetic,
    Graph,
    Node,
    Value,
    affine_parameters,
    derived_from_constants,
    multiply_adds,
    product_multiply_adds,
)
from edge_deeplab.inspection.litert import ask_litert
from edge_deeplab.inspection.summary import ModelSummary
from edge_deeplab.runtime.tflite_file import Operator, Tensor, TfliteGraph, TfliteModel, inspect_model, read_bytes
from edge_deeplab.runtime.tflite_metadata import TfliteMetadata, metadata_in

_FLEX = "Flex"  # how the names of TensorFlow's own operators begin, which only LiteRT's Flex delegate executes
_CONVERSIONS = frozenset({"QUANTIZE", "DEQUANTIZE", "CAST"})
_SMALL_INTEGERS = frozenset({"INT4", "INT8", "UINT8", "INT16"})

# Where the output channels stand in the weights (the second input): CONV_2D has them as OHWI, CONV_3D as DHWIO,
# DEPTHWISE_CONV_2D as 1HWO, FULLY_CONNECTED as OI.
_OUTPUT_CHANNELS = {"CONV_2D": 0, "CONV_3D": 4, "DEPTHWISE_CONV_2D": 3, "FULLY_CONNECTED": 0}
# Transposed convolutions: places of the weights (OHWI) and of the picture among the inputs. The second is MediaPipe's
# own operator (transpose_conv_bias.cc), which XNNPACK knows.
_TRANSPOSED = {"TRANSPOSE_CONV": (1, 2), "Convolution2DTransposeBias": (1, 0)}
_RECURRENT = frozenset(
    {
        "BIDIRECTIONAL_SEQUENCE_LSTM",
        "BIDIRECTIONAL_SEQUENCE_RNN",
        "LSTM",
        "RNN",
        "SVDF",
        "UNIDIRECTIONAL_SEQUENCE_LSTM",
        "UNIDIRECTIONAL_SEQUENCE_RNN",
    }
)


def summarize_tflite(path: Path) -> ModelSummary:
    """Look into a .tflite file.

    Raises:
        ModelFileError: missing, not a TFLite file, truncated or damaged.
    """
    content = read_bytes(path)
    # First, because its verifier finds any wrong offset, of which the generated reader notices only some.
    execution = ask_litert(path)
    model = inspect_model(content, str(path))
    main, *others = model.graphs
    facts: dict[str, Any] = {}
    if model.description:
        facts["description"] = model.description
    if main.signature_inputs or main.signature_outputs:
        facts["signature"] = f"{', '.join(main.signature_inputs)} -> {', '.join(main.signature_outputs)}"
    custom = sorted({operator.name for graph in model.graphs for operator in graph.operators if operator.custom})
    if custom:
        facts["custom operators"] = [
            f"{name} (TensorFlow's own)" if name.startswith(_FLEX) else name for name in custom
        ]
    notes = []
    try:
        facts |= _metadata_facts(metadata_in(content, path.name) or TfliteMetadata())
    except ModelFileError as error:
        notes.append(str(error))
    if others:
        count = sum(len(graph.operators) for graph in others)
        notes.append(f"{len(others)} further subgraphs with {count} operators are in the table, each counted once")
    return summarize(
        path, "TFLite", tflite_graph(model), picture_layout="NHWC", facts=facts, notes=notes, execution=execution
    )


def _metadata_facts(metadata: TfliteMetadata) -> dict[str, Any]:
    """What TFLite's metadata say, as far as they say it; their own description is the one that counts."""
    numbers = [f"{number:g}" for number in (*metadata.mean, *metadata.deviation)]
    facts = {
        "name": f"{metadata.name} {metadata.version}".strip(),
        "description": metadata.description,
        "author": metadata.author,
        "license": metadata.license,
        "normalization": f"mean and deviation, in bytes: {', '.join(numbers)}" if numbers else "",
        "labels": list(metadata.labels),
        "activation": "" if metadata.activation is None else f"{metadata.activation.name.lower()} is left to the app",
    }
    return {name: fact for name, fact in facts.items() if fact}


def tflite_graph(model: TfliteModel) -> Graph:
    """A file in the common terms; the operators of further subgraphs (bodies of IF and WHILE) stand behind the main's.

    Inputs and outputs are those of the main graph.
    """
    starts = list(accumulate((len(graph.tensors) for graph in model.graphs), initial=0))
    nodes = tuple(node for graph, start in zip(model.graphs, starts, strict=False) for node in _nodes(graph, start))
    main = model.graphs[0]
    return Graph(
        values=_values([tensor for graph in model.graphs for tensor in graph.tensors]),
        inputs=tuple(tensor.index for tensor in main.inputs),
        outputs=tuple(tensor.index for tensor in main.outputs),
        nodes=nodes,
    )


def _values(tensors: Sequence[Tensor]) -> tuple[Value, ...]:
    counted: set[int] = set()
    values = []
    for tensor in tensors:
        values.append(
            Value(
                name=tensor.name,
                type=tensor.type.lower(),
                shape=tensor.shape,
                constant=tensor.constant,
                stored=0 if tensor.buffer in counted else tensor.stored,
                parameters=affine_parameters(tensor.scales, tensor.zero_points, tensor.quantized_dimension)
                if tensor.scales
                else None,
            )
        )
        counted.add(tensor.buffer)
    return tuple(values)


def _nodes(graph: TfliteGraph, start: int) -> Iterator[Node]:
    constants = {tensor.index for tensor in graph.tensors if tensor.constant}
    derived = derived_from_constants(
        [([t.index for t in op.inputs], [t.index for t in op.outputs]) for op in graph.operators], constants
    )
    for operator in graph.operators:
        yield Node(
            operator=operator.name,
            inputs=tuple(start + tensor.index for tensor in operator.inputs),
            outputs=tuple(start + tensor.index for tensor in operator.outputs),
            arithmetic=_arithmetic(operator, derived),
            multiply_adds=_multiply_adds(operator),
            custom=operator.custom,
        )


def _arithmetic(operator: Operator, derived: set[int]) -> Arithmetic:
    activations = [tensor for tensor in (*operator.inputs, *operator.outputs) if tensor.index not in derived]
    if operator.name in _CONVERSIONS:
        return Arithmetic.CONVERSION
    if any(tensor.is_float for tensor in activations):
        weights = [tensor for tensor in operator.inputs if tensor.constant and tensor.scales]
        return Arithmetic.HYBRID if any(t.type in _SMALL_INTEGERS for t in weights) else Arithmetic.FLOAT
    if any(tensor.type in _SMALL_INTEGERS and tensor.scales for tensor in activations):
        return Arithmetic.INTEGER
    return Arithmetic.OTHER


def _multiply_adds(operator: Operator) -> int | None:
    shapes = [tensor.shape for tensor in operator.inputs]
    if operator.name in _OUTPUT_CHANNELS:
        return multiply_adds(operator.outputs[0].shape, shapes[1], _OUTPUT_CHANNELS[operator.name])
    if operator.name in _TRANSPOSED:
        weights, picture = (shapes[place] for place in _TRANSPOSED[operator.name])
        return multiply_adds(picture, weights, 3)
    if operator.name == "BATCH_MATMUL":
        return product_multiply_adds(shapes[0], operator.outputs[0].shape)
    return None if operator.custom or operator.name in _RECURRENT else 0
