"""Conversion of one checkpoint to many files: what the commands ``convert`` and ``release`` share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edge_deeplab.artifact import Artifact
    from edge_deeplab.checkpoint import Checkpoint
    from edge_deeplab.models.deeplab import DeepLab
    from edge_deeplab.quantization.ranges import QuantRanges
    from edge_deeplab.spec import IoType, Target

REQUIRED = ("torch", "safetensors", "onnx", "onnxscript", "onnxruntime", "tensorflow", "jinja2")
"""Packages that converting and comparing take, by their import names."""


def convert_files(
    checkpoint: Path,
    network: DeepLab,
    loaded: Checkpoint,
    outputs: Sequence[tuple[Target, IoType]],
    out: Path,
    ranges: QuantRanges | None,
) -> list[Artifact]:
    """Write the file and the sidecar of each target into ``out``: PyTorch exports once and TensorFlow starts once.

    ``outputs`` are the targets, each with the element type of its input and output, which only int8 TFLite files heed.
    ``ranges`` may be None where no target is int8.
    """
    from rich.console import Console

    from converters import onnx, onnx_qdq, tflite, tflite_int8
    from edge_deeplab.spec import Format, Precision

    console = Console(stderr=True)
    with console.status("PyTorch exports to ONNX"):
        exported = onnx.export(network, loaded.spec)
    # The int8 file is made of the float32 one.
    precisions = {
        Precision.FLOAT32 if target.precision is Precision.INT8 else target.precision
        for target, _ in outputs
        if target.format is Format.TFLITE
    }
    flatbuffers: Mapping[Precision, bytes] = {}
    if precisions:
        with console.status("TensorFlow converts in a process of its own (half a minute)"):
            flatbuffers = tflite.flatbuffers(exported, sorted(precisions))
    artifacts = []
    for target, io in outputs:
        path = out / file_name(checkpoint, target, io)
        with console.status(f"writing and checking {path.name}"):
            match target.format, target.precision:
                case Format.ONNX, Precision.INT8:
                    assert ranges is not None
                    artifact = onnx_qdq.convert(checkpoint, path, ranges, exported=exported)
                case Format.ONNX, _:
                    artifact = onnx.convert(checkpoint, path, exported=exported)
                case Format.TFLITE, Precision.INT8:
                    assert ranges is not None
                    artifact = tflite_int8.convert(checkpoint, path, ranges, flatbuffers[Precision.FLOAT32], io)
                case Format.TFLITE, precision:
                    artifact = tflite.convert(checkpoint, path, precision, flatbuffer=flatbuffers[precision])
        artifact.write_sidecar()
        artifacts.append(artifact)
    return artifacts


def variants(target: Target) -> tuple[IoType, ...]:
    """The element types of input and output that a target's file can have, the one that most clients take first."""
    from edge_deeplab.spec import Format, IoType, Precision

    several = target.format is Format.TFLITE and target.precision is Precision.INT8
    return (IoType.UINT8, IoType.INT8, IoType.FLOAT32) if several else (IoType.UINT8,)


def parse_targets(names: Sequence[str]) -> tuple[Target, ...]:
    """Read ``--target``'s words, of which "all" means every target; in the order of ``Target.all()``.

    Raises:
        SpecError: no such target.
    """
    from edge_deeplab.spec import Target

    wanted = {target for name in names for target in (Target.all() if name == "all" else (Target.parse(name),))}
    return tuple(target for target in Target.all() if target in wanted)


def file_name(checkpoint: Path, target: Target, io: IoType) -> str:
    """``portrait.onnx``, ``portrait-qdq.onnx``, ``portrait-float16.tflite``, ``portrait-int8-float-io.tflite``."""
    from edge_deeplab.spec import Format, IoType, Precision

    if target.format is Format.ONNX:
        return f"{checkpoint.stem}{'-qdq' if target.precision is Precision.INT8 else ''}{target.suffix}"
    variant = f"-{io}-io" if target.precision is Precision.INT8 and io is not IoType.UINT8 else ""
    return f"{checkpoint.stem}-{target.precision}{variant}{target.suffix}"
