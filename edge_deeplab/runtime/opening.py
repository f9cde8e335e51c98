"""One way to open any model file."""

from __future__ import annotations

import platform
from pathlib import Path

from edge_deeplab.artifact import load_artifact, sidecar_path
from edge_deeplab.errors import MissingExtraError, ModelFileError
from edge_deeplab.runtime.coreml.compute_units import ComputeUnits
from edge_deeplab.runtime.foreign.adaptation import Overrides
from edge_deeplab.runtime.multi_scale import MultiScale
from edge_deeplab.runtime.session import Session


def open_session(
    path: Path,
    *,
    threads: int | None = None,
    compute_units: ComputeUnits = ComputeUnits.ALL,
    imitate_float16: bool = False,
) -> Session:
    """Open a checkpoint (.safetensors), an ONNX or TFLite file (.onnx, .tflite), or a Core ML package (.mlpackage).

    The classes come from the checkpoint, or from the sidecar beside the file; a file from elsewhere has none, and is
    taken for a person model where it has one channel. A Core ML package is run by Core ML on macOS, and by the
    reference executor elsewhere.

    Args:
        path: the file; a folder for a Core ML package.
        threads: to run with; None: what suits the runtime. The Core ML runtimes choose for themselves.
        compute_units: which processors Core ML may use; only a Core ML package on macOS heeds it.
        imitate_float16: run a Core ML package by the reference executor, on macOS too, with float16 values rounded.

    Raises:
        ModelFileError: missing, of an unknown kind, truncated, not of the contract, or its sidecar belongs to
            another file.
        CheckpointError: a checkpoint that cannot be used.
        MissingExtraError: the runtime is not installed.
    """
    suffix = path.suffix.lower()
    if not (path.exists() if suffix == ".mlpackage" else path.is_file()):
        raise ModelFileError(f"there is no model file {path}")
    # Each runtime is imported when it is asked for: the light use has only one of them.
    match suffix:
        case ".tflite":
            from edge_deeplab.runtime.tflite_session import TfliteSession

            return TfliteSession(path, threads=threads, classes=_sidecar_classes(path))
        case ".onnx":
            from edge_deeplab.runtime.onnx_session import OnnxSession

            return OnnxSession(path, threads=threads, classes=_sidecar_classes(path))
        case ".mlpackage":
            if platform.system() == "Darwin" and not imitate_float16:
                from edge_deeplab.runtime.coreml.system_session import CoremlSession

                return CoremlSession(path, compute_units=compute_units, classes=_sidecar_classes(path))
            from edge_deeplab.runtime.coreml.reference_session import CoremlReferenceSession

            return CoremlReferenceSession(path, imitate_float16=imitate_float16, classes=_sidecar_classes(path))
        case ".safetensors":
            try:
                from edge_deeplab.runtime.torch_session import TorchSession
            except ImportError as error:
                raise MissingExtraError("torch", "train", f"running {path.name}") from error
            return TorchSession(path, threads=threads)
        case _:
            raise ModelFileError(
                f"{path} is of no known kind: give a .tflite, a .onnx, a .mlpackage or a checkpoint (.safetensors)"
            )


def open_any_session(path: Path, *, threads: int | None = None, overrides: Overrides | None = None) -> Session:
    """As :func:`open_session`, but a TFLite or ONNX file without a sidecar may be anybody's segmentation model.

    Such a file is opened as a :class:`~edge_deeplab.runtime.foreign.session.ForeignSession`, which tells how it is fed
    and read, and what of that is guessed. A file of this project is held to the contract of :func:`open_session`.

    Args:
        path: the file.
        threads: to run with; None: what suits the runtime.
        overrides: what is known of a file from elsewhere.

    Raises:
        ModelFileError: as :func:`open_session` and ``ForeignSession``, or ``overrides`` are given for a file that
            needs none.
        CheckpointError: a checkpoint that cannot be used.
        MissingExtraError: the runtime is not installed.
    """
    if from_elsewhere(path):
        from edge_deeplab.runtime.foreign.session import ForeignSession

        return ForeignSession(path, threads=threads, overrides=overrides)
    session = open_session(path, threads=threads)
    if overrides not in (None, Overrides()):
        session.close()
        raise ModelFileError(
            f"{path} says itself how it is fed and read: what is told of its input, output or person is for models "
            "from elsewhere"
        )
    return session


def open_multi_scale(path: Path, settings: MultiScale, *, threads: int | None = None) -> Session:
    """Open a checkpoint for the papers' way of evaluating.

    Args:
        path: the checkpoint (.safetensors); other files have one size.
        settings: what is averaged.
        threads: to run with; None: what suits the runtime.

    Raises:
        ModelFileError: missing, or no checkpoint.
        CheckpointError: a checkpoint that cannot be used.
        SpecError: there is no such output stride.
        MissingExtraError: torch is not installed.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}")
    if path.suffix.lower() != ".safetensors":
        raise ModelFileError(
            f"{path} runs at the one size and output stride that it was converted with: for other scales, mirrored "
            "inputs or another output stride give its checkpoint (.safetensors)"
        )
    try:
        from edge_deeplab.runtime.multi_scale_session import MultiScaleSession
    except ImportError as error:
        raise MissingExtraError("torch", "train", f"running {path.name}") from error
    return MultiScaleSession(path, settings, threads=threads)


def from_elsewhere(path: Path) -> bool:
    """Whether :func:`open_any_session` takes a file for anybody's: TFLite or ONNX, without a sidecar."""
    from edge_deeplab.runtime.foreign.session import FOREIGN_SUFFIXES

    return path.suffix.lower() in FOREIGN_SUFFIXES and path.is_file() and not sidecar_path(path).exists()


def _sidecar_classes(path: Path) -> tuple[str, ...] | None:
    return load_artifact(path).spec.classes if sidecar_path(path).exists() else None
