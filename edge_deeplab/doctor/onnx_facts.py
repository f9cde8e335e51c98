"""What is read of an .onnx file before it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edge_deeplab.artifact import sidecar_path
from edge_deeplab.doctor.facts import Alignment, Resize
from edge_deeplab.errors import ModelFileError
from edge_deeplab.inspection.graph import Graph, Value
from edge_deeplab.inspection.onnx import load_onnx, onnx_graph
from edge_deeplab.runtime.foreign.hints import Hints
from edge_deeplab.runtime.foreign.onnx_hints import onnx_hints
from edge_deeplab.runtime.onnx_session import open_onnxruntime

if TYPE_CHECKING:
    from onnx import GraphProto, NodeProto

_ALIGNMENTS = {
    "half_pixel": Alignment.HALF_PIXEL,
    "half_pixel_symmetric": Alignment.HALF_PIXEL,
    "pytorch_half_pixel": Alignment.HALF_PIXEL,  # differs for an output of one pixel only
    "align_corners": Alignment.ALIGN_CORNERS,
    "asymmetric": Alignment.ASYMMETRIC,
}
_STANDARD_DOMAINS = ("", "ai.onnx")


@dataclass(frozen=True)
class OnnxFacts:
    """A file, as its readers see it.

    Attributes:
        graph: in the terms that every format shares.
        operators: kind and first output of each operator; "domain:kind" where it is none of ONNX's own.
        hints: what its output is.
        resizes: every Resize that is linear, and Upsample.
        problem: why onnxruntime does not open it on the CPU; "" if it does.
        half_pixel_promised: a sidecar of this project lies beside it.
    """

    graph: Graph
    operators: tuple[tuple[str, str], ...]
    hints: Hints
    resizes: tuple[Resize, ...]
    problem: str
    half_pixel_promised: bool

    @property
    def free_sizes(self) -> tuple[Value, ...]:
        """The inputs with a size that is known only when the model runs."""
        values = [self.graph.values[place] for place in self.graph.inputs]
        return tuple(
            value for value in values if value.shape is None or any(isinstance(size, str) for size in value.shape)
        )


def read_onnx_facts(path: Path) -> OnnxFacts:
    """Read an .onnx file, and let onnxruntime open it.

    Raises:
        ModelFileError: missing, not an ONNX file, or truncated.
        MissingExtraError: onnx or onnxruntime is not installed.
    """
    model = load_onnx(path)
    try:
        open_onnxruntime(path, threads=1)
        problem = ""
    except ModelFileError as error:
        problem = " ".join(str(error.__cause__ or error).split())[:200]
    nodes = [node for node in model.graph.node if node.op_type != "Constant"]
    return OnnxFacts(
        graph=onnx_graph(model),
        operators=tuple((_kind(node), node.output[0] if node.output else node.name) for node in nodes),
        hints=onnx_hints(path),
        resizes=tuple(_resizes(model.graph)),
        problem=problem,
        half_pixel_promised=sidecar_path(path).exists(),
    )


def _resizes(graph: GraphProto) -> list[Resize]:
    found = []
    for node in graph.node:
        mode = _text(node, "mode", "nearest")
        if node.op_type == "Resize" and mode != "nearest":
            way = _text(node, "coordinate_transformation_mode", "half_pixel")
            if way in _ALIGNMENTS:
                found.append(Resize(node.output[0], _ALIGNMENTS[way]))
        elif node.op_type == "Upsample" and mode != "nearest":  # before opset 10, as asymmetric
            found.append(Resize(node.output[0], Alignment.ASYMMETRIC))
    return found


def _kind(node: NodeProto) -> str:
    return str(node.op_type) if node.domain in _STANDARD_DOMAINS else f"{node.domain}:{node.op_type}"


def _text(node: NodeProto, name: str, default: str) -> str:
    return next((attribute.s.decode() for attribute in node.attribute if attribute.name == name), default)
