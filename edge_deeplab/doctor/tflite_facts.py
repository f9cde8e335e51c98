"""What is read of a .tflite file before it is judged."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edge_deeplab.artifact import sidecar_path
from edge_deeplab.doctor.facts import Alignment, Resize
from edge_deeplab.errors import ModelFileError
from edge_deeplab.inspection.graph import Graph, derived_from_constants
from edge_deeplab.inspection.litert import ask_litert
from edge_deeplab.inspection.summary import Execution
from edge_deeplab.inspection.tflite import tflite_graph
from edge_deeplab.runtime.foreign.hints import Hints
from edge_deeplab.runtime.foreign.tflite_hints import tflite_hints
from edge_deeplab.runtime.tflite_file import Operator, Tensor, TfliteGraph, TfliteModel, inspect_model, read_bytes
from edge_deeplab.runtime.tflite_metadata import TfliteMetadata, metadata_in

_RESIZE = "RESIZE_BILINEAR"


@dataclass(frozen=True)
class TfliteFacts:
    """A file, as its readers see it.

    Attributes:
        model: its tensors and operators.
        graph: the same in the terms that every format shares.
        hints: what its output is, and its metadata in the terms of files from elsewhere; empty where there is damage.
        metadata: what they say; empty where there are none, or there is damage.
        damage: why metadata or zero points cannot be read; "" if they can.
        execution: what LiteRT does with it on this machine.
        half_pixel_promised: a sidecar of this project lies beside it.
    """

    model: TfliteModel
    graph: Graph
    hints: Hints
    metadata: TfliteMetadata
    damage: str
    execution: Execution
    half_pixel_promised: bool

    @property
    def main(self) -> TfliteGraph:
        """The subgraph that is executed."""
        return self.model.graphs[0]

    @property
    def resizes(self) -> tuple[Resize, ...]:
        """Every RESIZE_BILINEAR of the main graph."""
        operators = [operator for operator in self.main.operators if operator.name == _RESIZE]
        return tuple(Resize(operator.outputs[0].name, _alignment(operator)) for operator in operators)

    @property
    def computing(self) -> tuple[Operator, ...]:
        """The operators of the main graph that depend on its input; the others only unpack constants."""
        fixed = self.fixed
        return tuple(
            operator
            for operator in self.main.operators
            if not fixed.issuperset(tensor.index for tensor in operator.outputs)
        )

    @property
    def fixed(self) -> frozenset[int]:
        """Places of the main graph's tensors that depend on constants alone."""
        constants = {tensor.index for tensor in self.main.tensors if tensor.constant}
        edges = [([t.index for t in op.inputs], [t.index for t in op.outputs]) for op in self.main.operators]
        return frozenset(derived_from_constants(edges, constants))

    @property
    def free_sizes(self) -> tuple[Tensor, ...]:
        """The inputs and outputs with a size that is known only when the model runs."""
        return tuple(tensor for tensor in (*self.main.inputs, *self.main.outputs) if tensor.dynamic)


def read_tflite_facts(path: Path) -> TfliteFacts:
    """Read a .tflite file, and let LiteRT prepare it in a process of its own.

    Raises:
        ModelFileError: missing, not a TFLite file, truncated or damaged.
    """
    content = read_bytes(path)
    execution = ask_litert(path)  # first: its verifier finds any wrong offset
    model = inspect_model(content, str(path))
    try:
        hints, damage = tflite_hints(content, path.name), ""
        metadata = metadata_in(content, path.name) or TfliteMetadata()
    except ModelFileError as error:
        hints, metadata, damage = Hints(), TfliteMetadata(), str(error)
    return TfliteFacts(
        model=model,
        graph=tflite_graph(model),
        hints=hints,
        metadata=metadata,
        damage=damage,
        execution=execution,
        half_pixel_promised=sidecar_path(path).exists(),
    )


def _alignment(operator: Operator) -> Alignment:
    if operator.options.get("alignCorners"):
        return Alignment.ALIGN_CORNERS
    return Alignment.HALF_PIXEL if operator.options.get("halfPixelCenters") else Alignment.ASYMMETRIC
