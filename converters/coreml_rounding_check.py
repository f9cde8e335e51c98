"""The quantize and dequantize pairs of a written package: those of the ranges, and nothing in float between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from converters.coreml_graph import Graph
from converters.coreml_recipe import INPUT
from edge_deeplab.errors import ConversionError
from edge_deeplab.quantization.affine import Affine
from edge_deeplab.quantization.graph import QuantizationGraph
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.coreml.program import Operation

_RECTIFIERS = frozenset({"clip", "relu", "relu6"})


def check_rounding(
    graph: Graph,
    network: QuantizationGraph,
    ranges: QuantRanges | None,
    pixels: str,
    convolutions: Sequence[Operation],
) -> None:
    """Compare the pairs of a package with the points of the network.

    Args:
        graph: the package.
        network: the float network.
        ranges: its ranges; None: there must be no pairs.
        pixels: the tensor of pixels in [0, 1].
        convolutions: of the package, in the order of the network's.

    Raises:
        ConversionError: a point without a pair, a pair with other numbers or at another place than the ranges say, or
            an operator that reads or writes floats between the first pair and the last.
    """
    quantizing = [operation for operation in graph.operations if operation.type == "quantize"]
    points = () if ranges is None else network.points
    if len(quantizing) != len(points):
        raise ConversionError(
            f"the package quantizes {len(quantizing)} tensors instead of {len(points)}: convert again"
        )
    if ranges is None:
        return
    before: dict[str, str] = {}  # the tensor that a pair reads to its point
    behind: dict[str, str] = {}  # the tensor that a pair writes to its point
    for operation, point in zip(quantizing, points, strict=True):
        source, result = _check_pair(graph, operation, point.name, ranges.activation(point.name).affine)
        before[source] = behind[result] = point.name
    if before.get(pixels) != points[0].name:
        raise ConversionError("the package does not round its pixels first: convert again")
    for operation, layer in zip(convolutions, network.convolutions, strict=True):
        reads = behind.get(graph.argument(operation, "x") or "")
        writes = before.get(_rectified(graph, operation))
        if (reads, writes) != (layer.input, layer.output):
            raise ConversionError(
                f"{layer.name} reads {reads} and writes {writes} in the package instead of {layer.input} and "
                f"{layer.output}"
            )
    _check_between(graph, before, behind, points[-1].name)


def _check_pair(graph: Graph, quantize: Operation, point: str, affine: Affine) -> tuple[str, str]:
    """One pair with the numbers of a point; the tensor that it reads, and the one that it writes."""
    readers = graph.readers(quantize.outputs[0][0])
    source = graph.argument(quantize, "input")
    if [reader.type for reader in readers] != ["dequantize"] or source is None:
        raise ConversionError(f"{point} is not rounded by one pair in the package: convert again")
    for half in (quantize, readers[0]):
        scale, zero_point = graph.constant(half, "scale"), graph.constant(half, "zero_point")
        # coremltools leaves out a zero point of 0.
        numbers = (None if scale is None else float(scale), 0 if zero_point is None else int(zero_point))
        if numbers != (affine.scale, affine.zero_point) or scale.dtype != np.float32 or scale.shape != ():
            raise ConversionError(
                f"{point} was written with scale and zero point {numbers}, not {affine.scale} and {affine.zero_point}"
            )
    if quantize.outputs[0][1].element.name != "INT8":
        raise ConversionError(f"{point} is rounded to {quantize.outputs[0][1]} instead of int8")
    return source, readers[0].outputs[0][0]


def _rectified(graph: Graph, operation: Operation) -> str:
    """The tensor that an operator writes, or that a rectifier writes which alone reads it."""
    tensor = operation.outputs[0][0]
    readers = graph.readers(tensor)
    return readers[0].outputs[0][0] if len(readers) == 1 and readers[0].type in _RECTIFIERS else tensor


def _check_between(graph: Graph, before: Mapping[str, str], behind: Mapping[str, str], last: str) -> None:
    """No float island: what computes reads tensors that were rounded, and writes one that will be."""
    for operation in graph.operations:
        if operation.type in {"quantize", "dequantize", *_RECTIFIERS} or operation.type.startswith("constexpr_"):
            continue
        read = [name for name in operation.references() if name not in graph.constants and not _stored(graph, name)]
        # The scaling of the pixels before the first pair, and that of a grey image behind the last.
        if operation.type == "mul" and (read == [INPUT] or [behind.get(name) for name in read] == [last]):
            continue
        if not all(name in behind for name in read) or _rectified(graph, operation) not in before:
            raise ConversionError(
                f"the operator {operation.type} ({operation.outputs[0][0]}) computes in float in the package"
            )


def _stored(graph: Graph, tensor: str) -> bool:
    writer = graph.writer(tensor)
    return writer is not None and writer.type.startswith("constexpr_")
