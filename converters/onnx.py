"""PyTorch to ONNX: the network as it is deployed, with the same bytes for the same checkpoint."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from converters.check import check_against_checkpoint
from edge_deeplab.artifact import Artifact
from edge_deeplab.checkpoint import load_checkpoint
from edge_deeplab.errors import ConversionError, MissingExtraError
from edge_deeplab.files import atomic_path, sha256
from edge_deeplab.models.deeplab import DeepLab, Deployed
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.fold import fold_batchnorm
from edge_deeplab.runtime.onnx_classes import KEY, classes_text
from edge_deeplab.runtime.onnx_session import OnnxSession
from edge_deeplab.runtime.versions import versions
from edge_deeplab.spec import Format, IoType, ModelSpec, Precision, Target

if TYPE_CHECKING:
    from onnx import ModelProto

INPUT, OUTPUT = "image", "probability"
TARGET = Target(Format.ONNX, Precision.FLOAT32)
TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime")

_OPSET = 18  # the newest that onnx2tf 1.29 knows every operator of


def convert(checkpoint: Path, out: Path, *, exported: bytes | None = None) -> Artifact:
    """Convert a checkpoint to an ONNX file: float32, NCHW, RGB in [0, 1] in, probabilities out, static shape.

    Args:
        checkpoint: the .safetensors file.
        out: the .onnx file to write; replaced only by one that agrees with PyTorch.
        exported: what :func:`export` gave for this checkpoint; None: made here.

    Returns:
        The artifact; its sidecar is not written yet.

    Raises:
        CheckpointError: as :func:`edge_deeplab.models.loading.load_network`.
        ConversionError: the exporter failed, or its file gives other probabilities than PyTorch.
        OutputError: the place cannot be written to.
        MissingExtraError: onnx is not installed.
    """
    if exported is None:
        network, loaded = load_network(checkpoint)
        exported = export(network, loaded.spec)
    else:
        loaded = load_checkpoint(checkpoint)
    with atomic_path(out) as temporary:
        temporary.write_bytes(exported)
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


def export(network: DeepLab, spec: ModelSpec) -> bytes:
    """Export a network with BatchNorm folded and the last activation inside.

    Returns:
        An ONNX model, opset 18, with input "image" (1, 3, height, width) and output "probability"
        (1, classes, height, width), and the classes' names in its metadata. The same network gives the same bytes,
        wherever its code lies.

    Raises:
        ConversionError: the exporter failed, or its graph is not valid.
        MissingExtraError: onnx or onnxscript is not installed.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  (the exporter's)
    except ImportError as error:
        raise MissingExtraError(error.name or "onnx", "convert", "conversion") from error
    import torch

    deployed = Deployed(fold_batchnorm(network), spec.network.num_classes).eval()
    image = torch.zeros(1, 3, spec.height, spec.width)
    with _quiet():
        try:
            program = torch.onnx.export(
                deployed,
                (image,),
                dynamo=True,
                opset_version=_OPSET,
                input_names=[INPUT],
                output_names=[OUTPUT],
                verbose=False,
            )
            assert program is not None
            model = program.model_proto
            _strip(model)
            model.metadata_props.add(key=KEY, value=classes_text(spec.classes))
            onnx.checker.check_model(model, full_check=True)
        except Exception as error:  # torch's exporter has its own tree, onnx's checker another
            reason = " ".join(str(error).split())[:300]
            raise ConversionError(f"the network cannot be exported to ONNX: {reason}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _strip(model: ModelProto) -> None:
    """Take out what speaks of this machine: stack traces, source paths, the producer's build."""
    graph = model.graph
    model.producer_version = model.producer_version.partition("+")[0]
    for described in (model, graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        described.doc_string = ""
        del described.metadata_props[:]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """The exporter talks on standard output, through logging and by warnings, about its own deprecations."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
