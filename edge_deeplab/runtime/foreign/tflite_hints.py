"""The hints in a TFLite file."""

from __future__ import annotations

import math
from collections.abc import Hashable

import numpy as np

from edge_deeplab.errors import ModelFileError, SpecError
from edge_deeplab.runtime.foreign.adaptation import InputRange
from edge_deeplab.runtime.foreign.hints import Hints, trace_back
from edge_deeplab.runtime.tflite_file import Operator, Tensor, TfliteGraph, damaged, inspect_model
from edge_deeplab.runtime.tflite_metadata import TfliteMetadata, metadata_in

_MOVING = frozenset({"EXPAND_DIMS", "RESHAPE", "SLICE", "SQUEEZE", "STRIDED_SLICE", "TRANSPOSE"})
_RESIZING = frozenset({"RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"})
_CASTING = frozenset({"CAST", "DEQUANTIZE", "QUANTIZE"})
_PASSING = _MOVING | _RESIZING | _CASTING
_ARGMAX = "ARG_MAX"
_INTEGERS = {"UINT8": np.uint8, "INT8": np.int8}


def tflite_hints(content: bytes, name: str) -> Hints:
    """Read the hints of a TFLite file.

    Args:
        content: the file.
        name: its name, for error messages.

    Raises:
        ModelFileError: truncated or damaged.
    """
    graph = inspect_model(content, name).graphs[0]
    for tensor in (*graph.inputs, *graph.outputs):
        if not _has_zero_points(tensor):  # LiteRT crashes on one that the type does not have
            raise damaged(name)
    node = producer(graph, graph.outputs[0]) if graph.outputs else None
    metadata = metadata_in(content, name) or TfliteMetadata()
    return Hints(
        producer=None if node is None else node.name,
        custom=node is not None and node.custom,
        chosen_from=_chosen_from(node),
        labels=metadata.labels,
        input_range=_input_range(metadata, name),
    )


def producer(graph: TfliteGraph, output: Tensor) -> Operator | None:
    """The operator that computes the numbers of an output, seen through those that only move, stretch or cast them.

    Returns:
        None where there is none: the output is the input, or a constant.
    """
    operators: dict[int, Operator] = {tensor.index: node for node in graph.operators for tensor in node.outputs}
    made_by: dict[Hashable, tuple[str, Hashable]] = {
        index: (node.name, _data(node)) for index, node in operators.items()
    }
    traced = trace_back(output.index, made_by, _PASSING)
    return operators.get(traced) if isinstance(traced, int) else None


def _data(node: Operator) -> int | None:
    return next((tensor.index for tensor in node.inputs if not tensor.constant), None)


def _has_zero_points(tensor: Tensor) -> bool:
    if tensor.type not in _INTEGERS:
        return True
    limits = np.iinfo(_INTEGERS[tensor.type])
    return all(limits.min <= point <= limits.max for point in tensor.zero_points)


def _chosen_from(node: Operator | None) -> int | None:
    if node is None or node.name != _ARGMAX:
        return None
    pixels = math.prod(node.outputs[0].shape)
    return math.prod(node.inputs[0].shape) // pixels if pixels else None


def _input_range(metadata: TfliteMetadata, name: str) -> InputRange | None:
    mean, deviation = metadata.mean, metadata.deviation
    if not mean and not deviation:
        return None
    if len(mean) == len(deviation) == 1:
        mean, deviation = mean * 3, deviation * 3
    if len(mean) != 3 or len(deviation) != 3:
        raise ModelFileError(f"{name} has metadata with {len(mean)} means and {len(deviation)} deviations for RGB")
    try:
        return InputRange.normalized((mean[0], mean[1], mean[2]), (deviation[0], deviation[1], deviation[2]))
    except SpecError as error:
        raise ModelFileError(f"{name} has metadata that cannot be: {error}") from error
