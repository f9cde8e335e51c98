"""PyTorch to TFLite in floating point, by way of ONNX and a SavedModel."""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from converters.check import check_against_checkpoint
from converters.onnx import export
from converters.tflite_dynamic import restore_depthwise
from converters.tflite_dynamic_check import check_layers
from converters.tflite_float16 import halve_weights
from converters.worker import run_worker
from edge_deeplab.artifact import Artifact
from edge_deeplab.errors import MissingExtraError
from edge_deeplab.files import atomic_path, sha256
from edge_deeplab.models.loading import load_network
from edge_deeplab.quantization.graph import quantization_graph
from edge_deeplab.runtime.tflite_session import TfliteSession
from edge_deeplab.runtime.versions import versions
from edge_deeplab.spec import Format, IoType, Precision, Target

FLOAT_PRECISIONS = (Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC)
TOOLS = ("torch", "onnx", "onnxscript", "onnx2tf", "tensorflow", "tf-keras", "ai-edge-litert")

_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "-1",  # a converter has no use for a GPU, and TensorFlow would take all of its memory
    "TF_CPP_MIN_LOG_LEVEL": "2",
    "TF_ENABLE_ONEDNN_OPTS": "0",  # other rounding on other machines, while constants are folded
    "PYTHONHASHSEED": "0",  # the order of sets may show in the names of tensors
}
_TIMEOUT = 900.0  # seconds; 20 are usual on two cores


def convert(checkpoint: Path, out: Path, precision: Precision, *, flatbuffer: bytes | None = None) -> Artifact:
    """Convert a checkpoint to a TFLite file with float input and output: NHWC, RGB in [0, 1] in, probabilities out.

    Args:
        checkpoint: the .safetensors file.
        out: the .tflite file to write; replaced only by one that agrees with PyTorch.
        precision: FLOAT32; FLOAT16: the weights of dense convolutions are stored in half precision;
            DYNAMIC: int8 weights in dense convolutions, activations quantized while it runs (slower than float32 on
            a CPU, but a third of the size).
        flatbuffer: what :func:`flatbuffers` gave for this checkpoint and precision; None: made here. For several
            targets of one checkpoint, so that TensorFlow starts once.

    Returns:
        The artifact; its sidecar is not written yet.

    Raises:
        CheckpointError: as :func:`edge_deeplab.models.loading.load_network`.
        ConversionError: a converter failed, or its file gives other probabilities than PyTorch.
        OutputError: the place cannot be written to.
        MissingExtraError: a package of the extra "convert" is not installed.
    """
    network, loaded = load_network(checkpoint)
    if flatbuffer is None:
        flatbuffer = flatbuffers(export(network, loaded.spec), [precision])[precision]
    target = Target(Format.TFLITE, precision)
    with atomic_path(out) as temporary:
        temporary.write_bytes(flatbuffer)
        with TfliteSession(temporary, classes=loaded.spec.classes) as session:
            check_against_checkpoint(session, checkpoint, target)
        if precision is Precision.DYNAMIC:
            check_layers(flatbuffer, quantization_graph(network, loaded.spec.network.num_classes))
        digest = sha256(temporary)
    return Artifact(
        path=out,
        spec=loaded.spec,
        target=target,
        io=IoType.FLOAT32,
        sha256=digest,
        checkpoint_sha256=loaded.sha256,
        tools=versions(*TOOLS),
    )


def flatbuffers(onnx: bytes, precisions: Collection[Precision]) -> Mapping[Precision, bytes]:
    """Convert an exported network to TFLite in several precisions by one run of TensorFlow, in a process of its own.

    Args:
        onnx: what :func:`converters.onnx.export` gave.
        precisions: some of FLOAT_PRECISIONS.

    Returns:
        The content of a .tflite file for each; not yet compared with anything. The same ONNX and versions give the
        same bytes.

    Raises:
        ConversionError: TensorFlow or onnx2tf failed; the message says where its log is kept.
        MissingExtraError: a package of the extra "convert" is not installed.
    """
    for package in ("tensorflow", "onnx2tf", "tf_keras"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(package, "convert", "conversion to TFLite")
    # The float16 file is made of the float32 one, and the dynamic one takes its depthwise filters from it.
    by_tensorflow = sorted({Precision.FLOAT32, *precisions} - {Precision.FLOAT16})
    with tempfile.TemporaryDirectory(prefix="edge-deeplab-") as name:
        folder = Path(name)
        source = folder / "network.onnx"
        source.write_bytes(onnx)
        run_worker(
            "converters.tensorflow_worker",
            [str(source), str(folder), *by_tensorflow],
            folder=folder,
            environment=_ENVIRONMENT,
            timeout=_TIMEOUT,
        )
        made = {precision: (folder / f"{precision}.tflite").read_bytes() for precision in by_tensorflow}
    return {precision: _finished(precision, made) for precision in precisions}


def _finished(precision: Precision, made: Mapping[Precision, bytes]) -> bytes:
    match precision:
        case Precision.FLOAT16:
            return halve_weights(made[Precision.FLOAT32])
        case Precision.DYNAMIC:
            return restore_depthwise(made[Precision.DYNAMIC], made[Precision.FLOAT32])
        case _:
            return made[precision]


def float32_flatbuffer(checkpoint: Path) -> bytes:
    """The float32 TFLite file of a checkpoint, of which the int8 file is made.

    Raises:
        CheckpointError, ConversionError, MissingExtraError: as :func:`convert`.
    """
    network, loaded = load_network(checkpoint)
    return flatbuffers(export(network, loaded.spec), [Precision.FLOAT32])[Precision.FLOAT32]
