"""The hints in an ONNX file."""

from __future__ import annotations

from collections.abc import Hashable
from pathlib import Path

from edge_deeplab.inspection.onnx import load_onnx
from edge_deeplab.runtime.foreign.hints import Hints, trace_back
from edge_deeplab.runtime.onnx_classes import classes_in

_MOVING = frozenset({"Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose", "Unsqueeze"})
_RESIZING = frozenset({"Resize", "Upsample"})
_CASTING = frozenset({"Cast", "DequantizeLinear", "QuantizeLinear"})
_PASSING = _MOVING | _RESIZING | _CASTING
_ARGMAX = "ArgMax"
_STANDARD_DOMAINS = ("", "ai.onnx")


def onnx_hints(path: Path) -> Hints:
    """Read the hints of an ONNX file.

    Raises:
        ModelFileError: missing, not an ONNX file, or truncated.
        MissingExtraError: onnx is not installed.
    """
    model = load_onnx(path)
    graph, labels = model.graph, classes_in({entry.key: entry.value for entry in model.metadata_props})
    nodes = {name: node for node in graph.node for name in node.output}
    constants = {tensor.name for tensor in graph.initializer}
    made_by: dict[Hashable, tuple[str, Hashable]] = {
        output: (node.op_type, next((name for name in node.input if name and name not in constants), None))
        for output, node in nodes.items()
    }
    traced = trace_back(graph.output[0].name, made_by, _PASSING) if graph.output else None
    node = nodes.get(traced) if isinstance(traced, str) else None
    if node is None:
        return Hints(labels=labels)
    chosen_from = None
    if node.op_type == _ARGMAX:
        shapes = {value.name: value.type.tensor_type.shape.dim for value in (*graph.value_info, *graph.input)}
        axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
        sizes = shapes.get(node.input[0], ())
        chosen_from = sizes[axis].dim_value or None if -len(sizes) <= axis < len(sizes) else None
    custom = node.domain not in _STANDARD_DOMAINS
    return Hints(producer=node.op_type, custom=custom, chosen_from=chosen_from, labels=labels)
