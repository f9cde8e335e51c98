"""Metadata are written behind the network's back: its numbers are the same before and after."""

from __future__ import annotations

from dataclasses import replace

from ai_edge_litert import schema_py_generated as schema

from edge_deeplab.errors import ConversionError
from edge_deeplab.runtime.tflite_file import TfliteGraph, inspect_flatbuffer


def check_numbers(before: bytes, after: bytes) -> None:
    """See that two files are the same network: tensors, operators with their options, bytes of weights.

    Args:
        before: a .tflite file.
        after: another.

    Raises:
        ConversionError: they are not.
    """
    first, second = (inspect_flatbuffer(content, "the file") for content in (before, after))
    if _bare(first) != _bare(second):
        raise ConversionError("the graph changed while metadata were written: report this")
    if _weights(before, first) != _weights(after, second):
        raise ConversionError("weights changed while metadata were written: report this")


def _bare(graph: TfliteGraph) -> TfliteGraph:
    """The graph without the places of its buffers, which may be numbered anew."""
    index = {tensor.index: replace(tensor, buffer=0) for tensor in graph.tensors}
    return replace(
        graph,
        inputs=tuple(index[tensor.index] for tensor in graph.inputs),
        outputs=tuple(index[tensor.index] for tensor in graph.outputs),
        operators=tuple(
            replace(
                operator,
                inputs=tuple(index[tensor.index] for tensor in operator.inputs),
                outputs=tuple(index[tensor.index] for tensor in operator.outputs),
            )
            for operator in graph.operators
        ),
        tensors=tuple(index.values()),
    )


def _weights(content: bytes, graph: TfliteGraph) -> list[bytes]:
    """The stored bytes of each constant tensor, in the graph's order."""
    model = schema.Model.GetRootAs(content, 0)
    return [model.Buffers(tensor.buffer).DataAsNumpy().tobytes() for tensor in graph.tensors if tensor.constant]
