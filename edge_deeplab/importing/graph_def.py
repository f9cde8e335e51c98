"""TensorFlow's GraphDef, as far as a frozen graph needs it: nodes, what they read, constants, a few attributes.

Field numbers are those of tensorflow/core/framework: graph.proto, node_def.proto, attr_value.proto, tensor.proto,
tensor_shape.proto and types.proto.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.importing.protobuf import Field, bytes_of, fields, signed, text, varints

_GRAPH_NODE = 1
_NODE_NAME, _NODE_OP, _NODE_INPUT, _NODE_ATTRIBUTE = 1, 2, 3, 5
_ENTRY_KEY, _ENTRY_VALUE = 1, 2  # of a map
_VALUE_LIST, _VALUE_TEXT, _VALUE_INTEGER, _VALUE_FLOAT, _VALUE_BOOL, _VALUE_TENSOR = 1, 2, 3, 4, 5, 8
_LIST_INTEGERS = 3
_TENSOR_TYPE, _TENSOR_SHAPE, _TENSOR_CONTENT, _TENSOR_FLOATS, _TENSOR_INTEGERS = 1, 2, 4, 5, 7
_SHAPE_SIZE, _SIZE_SIZE = 2, 1
_DTYPES: Mapping[int, np.dtype[Any]] = {1: np.dtype("<f4"), 3: np.dtype("<i4")}  # DT_FLOAT, DT_INT32
_PASS_THROUGH = frozenset({"Identity", "CheckNumerics", "StopGradient"})


@dataclass(frozen=True)
class Node:
    """An operation.

    Attributes:
        name: unique in its graph.
        op: TensorFlow's word: "Conv2D".
        inputs: names of the nodes whose values it reads, without the number of the output; control inputs left out.
        attributes: name to its value as it is encoded.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, memoryview]

    def text(self, name: str) -> str:
        """An attribute that is a word ("SAME"); empty if there is none."""
        return next((text(value) for number, value in self.fields_of(name) if number == _VALUE_TEXT), "")

    def integers(self, name: str) -> tuple[int, ...]:
        """An attribute that is a list of integers; empty if there is none."""
        lists = [bytes_of(value) for number, value in self.fields_of(name) if number == _VALUE_LIST]
        entries = [value for part in lists for number, value in fields(part) if number == _LIST_INTEGERS]
        return tuple(value for entry in entries for value in varints(entry))

    def real(self, name: str) -> float:
        """An attribute that is a number; 0 if there is none."""
        values = [value for number, value in self.fields_of(name) if number == _VALUE_FLOAT]
        return float(np.frombuffer(bytes_of(values[-1]), "<f4")[0]) if values else 0.0

    def flag(self, name: str) -> bool:
        """An attribute that is true or false; False if there is none."""
        return any(value == 1 for number, value in self.fields_of(name) if number == _VALUE_BOOL)

    def fields_of(self, name: str) -> Iterator[tuple[int, Field]]:
        """The fields of an attribute's AttrValue; none if there is no such attribute."""
        return fields(self.attributes.get(name, memoryview(b"")))


@dataclass(frozen=True)
class Graph:
    """A graph.

    Attributes:
        source: the file, for error messages.
        nodes: by name, in the file's order.
    """

    source: str
    nodes: Mapping[str, Node]

    def producer(self, name: str) -> Node:
        """The node that computes what is called ``name``, behind those that only pass it on.

        Raises:
            ModelFileError: there is none.
        """
        for _ in range(len(self.nodes)):  # a graph in a circle does not keep anybody
            node = self.nodes.get(name)
            if node is None:
                raise ModelFileError(f"{self.source}: there is no node {name!r}, which another one reads: {_FRESH}")
            if node.op not in _PASS_THROUGH or not node.inputs:
                return node
            name = node.inputs[0]
        raise ModelFileError(f"{self.source}: the node {name!r} reads itself: {_FRESH}")

    def constant(self, name: str) -> NDArray[np.generic]:
        """The value of a constant: float32 or int32, of its shape, a copy.

        Raises:
            ModelFileError: it is computed (then the graph is not frozen), of another type, or damaged.
        """
        node = self.producer(name)
        if node.op != "Const":
            raise ModelFileError(
                f"{self.source}: {name} comes from a {node.op} ({node.name}), and a frozen graph has a constant there: "
                "freeze it with its checkpoint, as research/deeplab's export_model.py does"
            )
        try:
            return _tensor(node)
        except ValueError as error:
            raise ModelFileError(f"{self.source}: the constant {node.name!r} is damaged ({error}): {_FRESH}") from error

    def reals(self, name: str) -> NDArray[np.float32]:
        """As :meth:`constant`, where floats are wanted. Raises: ModelFileError: also for integers, and not finite."""
        values = self.constant(name)
        if values.dtype != np.float32 or not np.isfinite(values).all():
            raise ModelFileError(f"{self.source}: {name} is not made of finite float32 numbers: {_FRESH}")
        return values.astype(np.float32)


_FRESH = "get a fresh copy"


def read_graph(content: bytes, source: str) -> Graph:
    """Read a GraphDef.

    Args:
        content: the file.
        source: its name, for error messages.

    Raises:
        ModelFileError: it is truncated, or something else.
    """
    try:
        nodes = [_node(bytes_of(value)) for number, value in fields(memoryview(content)) if number == _GRAPH_NODE]
    except ValueError as error:  # UnicodeDecodeError is one
        raise ModelFileError(
            f"{source} is not a frozen TensorFlow graph, or is truncated ({error}): give a frozen_inference_graph.pb"
        ) from error
    if not nodes:
        raise ModelFileError(f"{source} has no graph in it: give a frozen_inference_graph.pb")
    return Graph(source, {node.name: node for node in nodes})


def _node(message: memoryview) -> Node:
    name = op = ""
    inputs: list[str] = []
    attributes: dict[str, memoryview] = {}
    for number, value in fields(message):
        if number == _NODE_NAME:
            name = text(value)
        elif number == _NODE_OP:
            op = text(value)
        elif number == _NODE_INPUT:
            inputs.append(text(value))
        elif number == _NODE_ATTRIBUTE:
            entry = dict(fields(bytes_of(value)))
            attributes[text(entry.get(_ENTRY_KEY, _EMPTY))] = bytes_of(entry.get(_ENTRY_VALUE, _EMPTY))
    if not name or not op:
        raise ValueError("a node has no name, or no operation")
    data = tuple(entry.partition(":")[0] for entry in inputs if not entry.startswith("^"))
    return Node(name, op, data, attributes)


_EMPTY = memoryview(b"")


def _tensor(node: Node) -> NDArray[np.generic]:
    message = next((bytes_of(value) for number, value in node.fields_of("value") if number == _VALUE_TENSOR), _EMPTY)
    dtype: np.dtype[Any] | None = None
    shape: tuple[int, ...] = ()
    content = _EMPTY
    listed: list[float] = []
    for number, value in fields(message):
        if number == _TENSOR_TYPE:
            dtype = _DTYPES.get(signed(varints(value)[0]))
        elif number == _TENSOR_SHAPE:
            shape = _shape(bytes_of(value))
        elif number == _TENSOR_CONTENT:
            content = bytes_of(value)
        elif number == _TENSOR_FLOATS:
            listed.extend(np.frombuffer(bytes_of(value), "<f4").tolist())
        elif number == _TENSOR_INTEGERS:
            listed.extend(varints(value))
    if dtype is None:
        raise ValueError("it is neither float32 nor int32")
    count = math.prod(shape)
    if not content:
        # Fewer numbers than elements: the last one fills the rest (tensor.proto).
        values = np.array(listed[:count], dtype)
        if not listed or len(listed) > count:
            raise ValueError(f"{len(listed)} numbers for {count} elements")
        filled: NDArray[np.generic] = np.concatenate([values, np.full(count - len(values), values[-1], dtype)])
        return filled.reshape(shape)
    if len(content) != count * dtype.itemsize:
        raise ValueError(f"{len(content)} bytes for {count} elements")
    return np.frombuffer(content, dtype).reshape(shape).copy()


def _shape(message: memoryview) -> tuple[int, ...]:
    sizes = []
    for number, value in fields(message):
        if number == _SHAPE_SIZE:
            size = next((signed(varints(part)[0]) for place, part in fields(bytes_of(value)) if place == _SIZE_SIZE), 0)
            if size < 0:
                raise ValueError("its shape is not known")
            sizes.append(size)
    return tuple(sizes)
