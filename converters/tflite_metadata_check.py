"""Metadata are written behind the network's back: its numbers are the same before and after."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.errors import ConversionError
from edge_deeplab.image import resize_area
from edge_deeplab.runtime.litert import open_interpreter
from edge_deeplab.runtime.native_log import without_info_lines
from edge_deeplab.runtime.tflite_file import TfliteGraph, inspect_flatbuffer
from edge_deeplab.spec import ModelSpec


def check_numbers(before: bytes, after: bytes, spec: ModelSpec) -> None:
    """See that two files are the same network: the same tensors and bytes of weights, the same answer to a photo.

    Args:
        before: a .tflite file.
        after: another.
        spec: the network.

    Raises:
        ConversionError: they are not.
    """
    first, second = (inspect_flatbuffer(content, "the file") for content in (before, after))
    if _bare(first) != _bare(second):
        raise ConversionError("the graph changed while metadata were written: report this")
    if _weights(before, first) != _weights(after, second):
        raise ConversionError("weights changed while metadata were written: report this")
    pixels = resize_area(bundled_portrait(), spec.height, spec.width)
    if not np.array_equal(_answer(before, pixels), _answer(after, pixels)):
        raise ConversionError("the file answers otherwise since metadata were written: report this")


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


def _answer(content: bytes, pixels: NDArray[np.uint8]) -> NDArray[Any]:
    """What LiteRT makes of a picture: the output as it stands."""
    with without_info_lines():
        interpreter = open_interpreter(Path("the file"), content, threads=1)
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    values = pixels if source["dtype"] == np.uint8 else pixels.astype(source["dtype"]) / source["dtype"](255)
    interpreter.set_tensor(source["index"], values[None])
    interpreter.invoke()
    answer: NDArray[Any] = interpreter.get_tensor(target["index"])
    return answer
