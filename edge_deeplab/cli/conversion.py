"""Conversion of one checkpoint to many files: what the commands ``convert``, ``release`` and ``bundle`` share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from converters.coreml_recipe import DeploymentTarget, Recipe
    from edge_deeplab.artifact import Artifact
    from edge_deeplab.checkpoint import Checkpoint
    from edge_deeplab.models.deeplab import DeepLab
    from edge_deeplab.quantization.ranges import QuantRanges
    from edge_deeplab.spec import IoType, Target

REQUIRED = ("torch", "safetensors", "onnx", "onnxscript", "onnxruntime", "tensorflow", "coremltools", "jinja2")
"""Packages that converting and comparing take, by their import names."""


def convert_files(
    checkpoint: Path,
    network: DeepLab,
    loaded: Checkpoint,
    outputs: Sequence[tuple[Target, IoType]],
    out: Path,
    ranges: QuantRanges | None,
    deployment_target: DeploymentTarget | None = None,
) -> list[Artifact]:
    """Write the file and the sidecar of each target into ``out``: each foreign converter starts once.

    ``outputs`` are the targets, each with the element type of its input and output, which int8 TFLite files and Core ML
    packages heed. ``ranges`` may be None where no target has integer activations. ``deployment_target`` is of the Core
    ML packages; None: the oldest for each.
    """
    from edge_deeplab.spec import Format

    files = [(target, io) for target, io in outputs if target.format is not Format.COREML]
    recipes = coreml_recipes(outputs, deployment_target)
    artifacts = _convert_files(checkpoint, network, loaded, files, out, ranges) if files else []
    return artifacts + (_convert_packages(checkpoint, recipes, out, ranges) if recipes else [])


def coreml_recipes(
    outputs: Sequence[tuple[Target, IoType]], deployment_target: DeploymentTarget | None
) -> tuple[Recipe, ...]:
    """What the Core ML packages among the outputs shall be.

    Raises:
        SpecError: a system that is too old for a target, or a target that cannot give what it shall.
    """
    from converters.coreml_recipe import Recipe
    from edge_deeplab.spec import Format

    return tuple(
        Recipe.of(target.precision, deployment_target, io) for target, io in outputs if target.format is Format.COREML
    )


def _convert_packages(
    checkpoint: Path, recipes: Sequence[Recipe], out: Path, ranges: QuantRanges | None
) -> list[Artifact]:
    from rich.console import Console

    from converters import coreml

    console, artifacts = Console(stderr=True), []
    # The animation stops when the packages are there, and they stay until they are copied.
    with ExitStack() as stack:
        with console.status("coremltools converts in a process of its own (ten seconds, and three for each package)"):
            made = stack.enter_context(coreml.packages(checkpoint, recipes, ranges))
        for recipe in recipes:
            path = out / file_name(checkpoint, recipe.target, recipe.io)
            with console.status(f"writing and checking {path.name}"):
                artifact = coreml.convert(checkpoint, path, recipe, ranges, package=made[recipe])
            artifact.write_sidecar()
            artifacts.append(artifact)
    return artifacts


def _convert_files(
    checkpoint: Path,
    network: DeepLab,
    loaded: Checkpoint,
    outputs: Sequence[tuple[Target, IoType]],
    out: Path,
    ranges: QuantRanges | None,
) -> list[Artifact]:
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


def prepared_ranges(
    checkpoint: Path, loaded: Checkpoint, targets: Iterable[Target], file: Path | None
) -> QuantRanges | None:
    """The ranges that were named, or lie beside the checkpoint; None where no target is int8.

    They are not observed here as ``convert`` does: what is handed on was quantized with care, and looked at.

    Raises:
        RangesError: they are missing, cannot be read, or are of another checkpoint.
    """
    from edge_deeplab.errors import RangesError
    from edge_deeplab.quantization.ranges import load_ranges, ranges_path

    if not any(target.integer_activations for target in targets):
        return None
    beside = ranges_path(checkpoint)
    if file is None and not beside.is_file():
        raise RangesError(
            f"{beside} is missing, without which nothing can be handed on in int8: make it with edge-deeplab quantize, "
            "or name --ranges"
        )
    ranges = load_ranges(file or beside)
    ranges.require_checkpoint(loaded.sha256)
    return ranges


def variants(target: Target) -> tuple[IoType, ...]:
    """The element types of input and output that a target's file can have, the one that most clients take first."""
    from edge_deeplab.spec import Format, IoType, Precision

    if target.format is Format.COREML:
        return (IoType.FLOAT32,)
    several = target.format is Format.TFLITE and target.precision is Precision.INT8
    return (IoType.UINT8, IoType.INT8, IoType.FLOAT32) if several else (IoType.UINT8,)


def parse_targets(names: Sequence[str]) -> tuple[Target, ...]:
    """Read ``--target``'s words, see :meth:`edge_deeplab.spec.Target.named`; in the order of ``Target.all()``.

    Raises:
        SpecError: no such target.
    """
    from edge_deeplab.spec import Target

    wanted = {target for name in names for target in Target.named(name)}
    return tuple(target for target in Target.all() if target in wanted)


def file_name(checkpoint: Path, target: Target, io: IoType) -> str:
    """``portrait.onnx``, ``portrait-qdq.onnx``, ``portrait-float16.tflite``, ``portrait-int8-float-io.tflite``,
    ``portrait-w8a8.mlpackage``, ``portrait-w8a8-image.mlpackage``.
    """
    from edge_deeplab.spec import Format, IoType

    variant = ""
    match target.format:
        case Format.ONNX:
            return f"{checkpoint.stem}{'-qdq' if target.integer_activations else ''}{target.suffix}"
        case Format.TFLITE if target.integer_activations and io is not IoType.UINT8:
            variant = f"-{io}-io"
        case Format.COREML if io is IoType.IMAGE:
            variant = "-image"
    return f"{checkpoint.stem}-{target.precision}{variant}{target.suffix}"
