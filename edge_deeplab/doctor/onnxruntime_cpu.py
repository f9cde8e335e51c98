"""onnxruntime on the CPU: what it does with the file here."""

from __future__ import annotations

from collections.abc import Iterator

from edge_deeplab.doctor.finding import Client, Effect, Finding
from edge_deeplab.doctor.onnx_facts import OnnxFacts
from edge_deeplab.inspection.graph import Arithmetic


def opened(facts: OnnxFacts) -> Iterator[Finding]:
    """A file that onnxruntime does not open: seen by letting it."""
    if facts.problem:
        custom = tuple(sorted({node.operator for node in facts.graph.nodes if node.custom}))
        yield Finding(
            "execution",
            Client.ONNXRUNTIME,
            Effect.REFUSED,
            custom,
            facts.problem,
            "register the custom operators in the app" if custom else "export it again, with an opset that it knows",
        )


def float_islands(facts: OnnxFacts) -> Iterator[Finding]:
    """Float operators in a QDQ file.

    onnxruntime's guide on quantization: an operator runs in integers where it stands between DequantizeLinear and
    QuantizeLinear; the tests of edge_deeplab.inspection.onnx compare that with what it makes of files.
    """
    if not facts.graph.simulated:
        return
    islands = [node for node in facts.graph.nodes if node.arithmetic in (Arithmetic.FLOAT, Arithmetic.HYBRID)]
    if islands:
        yield Finding(
            "float-islands",
            Client.ONNXRUNTIME,
            Effect.SLOWER,
            tuple(facts.graph.values[node.outputs[0]].name for node in islands),
            f"{len(islands)} operators of a QDQ file compute in float: "
            f"{', '.join(sorted({node.operator for node in islands}))}",
            "quantize their inputs and outputs too",
        )


def free_size(facts: OnnxFacts) -> Iterator[Finding]:
    """A free size, which onnxruntime takes as it comes: the app must know what the network wants."""
    for value in facts.free_sizes:
        shape = "unknown" if value.shape is None else "x".join(map(str, value.shape))
        yield Finding(
            "free-size",
            Client.ONNXRUNTIME,
            Effect.LIMITED,
            (value.name,),
            f"the size is free, {shape}: the app must know the one that the network was trained for",
            "export it with a fixed size",
        )
