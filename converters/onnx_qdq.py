"""PyTorch ranges into an ONNX file with QuantizeLinear/DequantizeLinear pairs: the numbers of the int8 TFLite file."""

from __future__ import annotations

from pathlib import Path

from converters.check import check_against_checkpoint
from converters.onnx import TOOLS, export
from converters.onnx_match import match
from converters.onnx_qdq_check import check_execution, check_kernel_types, check_numbers
from converters.onnx_qdq_write import quantize_model
from converters.probe import probe_pixels
from edge_deeplab.artifact import Artifact
from edge_deeplab.files import atomic_path, sha256
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.quantization.ranges import QuantRanges
from edge_deeplab.runtime.onnx_session import OnnxSession
from edge_deeplab.runtime.versions import versions
from edge_deeplab.spec import Format, IoType, Precision, Target

TARGET = Target(Format.ONNX, Precision.INT8)


def convert(checkpoint: Path, out: Path, ranges: QuantRanges, *, exported: bytes | None = None) -> Artifact:
    """Write the QDQ file of a checkpoint, and prove that it holds what the ranges say.

    Args:
        checkpoint: the checkpoint that the ranges were made of.
        out: where to, ending in ``.onnx``. Nothing is written unless every check passes.
        ranges: of this checkpoint.
        exported: what :func:`converters.onnx.export` gave for this checkpoint; None: made here.

    Returns:
        The artifact: float RGB in [0, 1] in, NCHW, float probabilities out. Its sidecar is not written yet.

    Raises:
        CheckpointError: as :func:`edge_deeplab.models.loading.load_network`.
        RangesError: the ranges are another checkpoint's, or lack a point.
        ConversionError: a tensor of the float32 file cannot be told, or what was written is not what the ranges say, or
            does not compute it.
        OutputError: the place cannot be written to.
        MissingExtraError: onnx is not installed.
    """
    network, loaded = load_network(checkpoint)
    ranges.require_checkpoint(loaded.sha256)
    graph = quantization_graph(network, loaded.spec.network.num_classes)
    graph.require(ranges)
    if exported is None:
        exported = export(network, loaded.spec)
    pixels = probe_pixels(loaded.spec.height, loaded.spec.width)
    matched = match(graph, ranges, exported, pixels)
    with atomic_path(out) as temporary:
        temporary.write_bytes(quantize_model(exported, graph, ranges, matched))
        written = temporary.read_bytes()
        check_numbers(written, graph, ranges, matched)
        check_kernel_types(written, graph)
        check_execution(written, graph, ranges, matched, pixels)
        with OnnxSession(temporary, classes=loaded.spec.classes) as session:
            check_against_checkpoint(session, checkpoint, TARGET)
        digest = sha256(temporary)
    return Artifact(
        path=out,
        spec=loaded.spec,
        target=TARGET,
        io=IoType.FLOAT32,
        sha256=digest,
        checkpoint_sha256=loaded.sha256,
        tools=versions(*TOOLS),
    )
