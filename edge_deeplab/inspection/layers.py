"""The operators of a graph as a person wants to see them: without what only prepares constants, each with its cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from edge_deeplab.inspection.graph import Graph, Node, Value, derived_from_constants


@dataclass(frozen=True)
class Layer:
    """An operator that works on the model's input.

    Attributes:
        place: in the graph's list of operators.
        node: the operator.
        inputs: what it reads that depends on the model's input.
        constants: what it reads that does not: weights, biases, sizes.
        outputs: what it gives.
        stored: bytes in the file of what its constants are, or are computed from; what several operators share counts
            for the first of them only.
        share: of all multiply-adds, in [0, 1]; None where its own are not known.
    """

    place: int
    node: Node
    inputs: tuple[Value, ...]
    constants: tuple[Value, ...]
    outputs: tuple[Value, ...]
    stored: int
    share: float | None


def layers(graph: Graph) -> tuple[Layer, ...]:
    """The operators that work on the model's input, in the order of execution."""
    fixed = constant_places(graph)
    total = sum(node.multiply_adds or 0 for node in graph.nodes)
    makers = {index: node for node in graph.nodes for index in node.outputs}
    counted: set[int] = set()
    found = []
    for place, node in enumerate(graph.nodes):
        if fixed.issuperset(node.outputs):
            continue
        sources = _sources(node, makers, fixed) - counted
        counted |= sources
        found.append(
            Layer(
                place=place,
                node=node,
                inputs=tuple(graph.values[index] for index in node.inputs if index not in fixed),
                constants=tuple(graph.values[index] for index in node.inputs if index in fixed),
                outputs=tuple(graph.values[index] for index in node.outputs),
                stored=sum(graph.values[index].stored for index in sources),
                share=None if node.multiply_adds is None else node.multiply_adds / total if total else 0.0,
            )
        )
    return tuple(found)


def constant_places(graph: Graph) -> set[int]:
    """Places of the values that lie in the file, or are computed from such ones alone (float16 weights, unpacked)."""
    stored = {place for place, value in enumerate(graph.values) if value.constant}
    return derived_from_constants([(node.inputs, node.outputs) for node in graph.nodes], stored)


def _sources(node: Node, makers: Mapping[int, Node], fixed: set[int]) -> set[int]:
    """Places of the constants that an operator reads, seen through the operators that unpack them."""
    found: set[int] = set()
    waiting = [index for index in node.inputs if index in fixed]
    while waiting:
        index = waiting.pop()
        if index in makers:
            waiting += makers[index].inputs
        else:
            found.add(index)
    return found
