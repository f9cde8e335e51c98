"""The shipped int8 network with other ends and other metadata: files that a client should refuse, and four for it.

No converter is needed for them: operators are put before the input of the uint8 file or taken from behind its output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from converters.tflite_metadata import add_metadata, described
from converters.tflite_schema import new_buffer, op_index, op_name, read_model, write_model
from edge_deeplab.artifact import load_artifact
from edge_deeplab.runtime.tflite_file import read_bytes
from edge_deeplab.runtime.tflite_metadata import Activation, TfliteMetadata
from edge_deeplab.weights.card import Card

Edit = Callable[[Any], None]
"""A change of a ``ModelT``."""


@dataclass(frozen=True)
class Variant:
    """A file.

    Attributes:
        name: what is special about it.
        content: its bytes.
    """

    name: str
    content: bytes


def variants(model: Path, card: Card) -> Iterator[Variant]:
    """The files, each with metadata.

    Args:
        model: an int8 .tflite file of ours with uint8 input and output, one class, and its sidecar.
        card: its model's.
    """
    artifact = load_artifact(model)
    content, metadata = read_bytes(model), described(artifact, card)

    def made(name: str, *edits: Edit, **changed: Any) -> Variant:
        edited = read_model(content)
        for edit in edits:
            edit(edited)
        said: TfliteMetadata = replace(metadata, **changed)
        return Variant(name, add_metadata(write_model(edited), said, artifact))

    yield made("uint8 input")
    yield made("float32 input", float_input)
    yield made("logits, activation SIGMOID", logits, activation=Activation.SIGMOID)
    yield made("int8 output", int8_output)
    yield made("int8 input", int8_input)
    yield made("float32 input, no normalization", float_input, mean=(), deviation=())
    yield made("float32 input, per-channel normalization", float_input, mean=(0.0, 1.0, 2.0), deviation=(255.0,) * 3)
    yield made("logits, activation NONE", logits)
    yield made("logits, activation SOFTMAX", logits, activation=Activation.SOFTMAX)
    yield made("probabilities, activation SIGMOID", activation=Activation.SIGMOID)
    yield made("probabilities, activation SOFTMAX", activation=Activation.SOFTMAX)
    yield made("two labels for one channel", labels=("background", "person"))
    yield made("an empty file of labels", labels=())
    yield made("batch 2", batch_of_two)
    yield made("dynamic size", dynamic_size)
    yield made("NCHW input", channels_first)


def int8_input(model: Any) -> None:
    """The network's own int8 input, without the QUANTIZE that takes uint8."""
    graph = model.subgraphs[0]
    first, *others = graph.operators
    assert op_name(model, first) == "QUANTIZE"
    graph.operators, graph.inputs = others, np.array(first.outputs)


def int8_output(model: Any) -> None:
    """The network's own int8 output, without the QUANTIZE that gives uint8."""
    graph = model.subgraphs[0]
    *others, last = graph.operators
    assert op_name(model, last) == "QUANTIZE"
    graph.operators, graph.outputs = others, np.array(last.inputs)


def float_input(model: Any) -> None:
    """A float32 input in [0, 1], which a QUANTIZE turns into the bytes."""
    graph = model.subgraphs[0]
    old = int(graph.inputs[0])
    new = _tensor(graph, "FLOAT32", list(graph.tensors[old].shape))
    _prepend(model, "QUANTIZE", [new], old, new)


def channels_first(model: Any) -> None:
    """1 x 3 x height x width, which a TRANSPOSE turns into the layout of TFLite."""
    graph = model.subgraphs[0]
    old = int(graph.inputs[0])
    batch, rows, columns, channels = (int(size) for size in graph.tensors[old].shape)
    new = _tensor(graph, "UINT8", [batch, channels, rows, columns])
    graph.tensors[new].quantization = graph.tensors[old].quantization
    order = _tensor(graph, "INT32", [4])
    graph.tensors[order].buffer = new_buffer(model, np.array([0, 2, 3, 1], np.int32))
    _prepend(model, "TRANSPOSE", [new, order], old, new)


def logits(model: Any) -> None:
    """What stands before the sigmoid, as float32."""
    graph = model.subgraphs[0]
    *kept, sigmoid, quantize = graph.operators
    assert [op_name(model, operator) for operator in (sigmoid, quantize)] == ["LOGISTIC", "QUANTIZE"]
    source = int(sigmoid.inputs[0])
    new = _tensor(graph, "FLOAT32", list(graph.tensors[source].shape))
    graph.operators = [*kept, _operator(model, "DEQUANTIZE", 2, [source], new)]
    graph.outputs = np.array([new], np.int32)


def batch_of_two(model: Any) -> None:
    """Two pictures at once, said of every computed tensor that has a batch."""
    for tensor in model.subgraphs[0].tensors:
        if tensor.shape is not None and len(tensor.shape) == 4 and model.buffers[tensor.buffer].data is None:
            tensor.shape = np.array([2, *tensor.shape[1:]], np.int32)


def dynamic_size(model: Any) -> None:
    """Rows and columns that are only known when the file is run."""
    tensor = model.subgraphs[0].tensors[int(model.subgraphs[0].inputs[0])]
    tensor.shape, tensor.shapeSignature = np.array([1, 1, 1, 3], np.int32), np.array([1, -1, -1, 3], np.int32)


def _tensor(graph: Any, type_: str, shape: list[int]) -> int:
    tensor = schema.TensorT()
    tensor.name, tensor.type = f"new_{len(graph.tensors)}", getattr(schema.TensorType, type_)
    tensor.shape = np.array(shape, np.int32)
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _operator(model: Any, name: str, version: int, inputs: list[int], output: int) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = op_index(model, name, version)
    operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([output], np.int32)
    return operator


def _prepend(model: Any, name: str, inputs: list[int], output: int, image: int) -> None:
    graph = model.subgraphs[0]
    graph.operators = [_operator(model, name, 1, inputs, output), *graph.operators]
    graph.inputs = np.array([image], np.int32)
