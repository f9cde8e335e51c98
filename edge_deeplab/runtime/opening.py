"""One way to open any model file."""

from __future__ import annotations

from pathlib import Path

from edge_deeplab.artifact import load_artifact, sidecar_path
from edge_deeplab.errors import MissingExtraError, ModelFileError
from edge_deeplab.runtime.session import Session


def open_session(path: Path, *, threads: int | None = None) -> Session:
    """Open a checkpoint (.safetensors), an ONNX file (.onnx) or a TFLite file (.tflite).

    The classes come from the checkpoint, or from the sidecar beside the file; a file from elsewhere has none, and is
    taken for a person model where it has one channel.

    Args:
        path: the file.
        threads: to run with; None: what suits the runtime.

    Raises:
        ModelFileError: missing, of an unknown kind, truncated, not of the contract, or its sidecar belongs to
            another file.
        CheckpointError: a checkpoint that cannot be used.
        MissingExtraError: the runtime is not installed.
    """
    if not path.is_file():
        raise ModelFileError(f"there is no model file {path}")
    # Each runtime is imported when it is asked for: the light use has only one of them.
    match path.suffix.lower():
        case ".tflite":
            from edge_deeplab.runtime.tflite_session import TfliteSession

            return TfliteSession(path, threads=threads, classes=_sidecar_classes(path))
        case ".onnx":
            from edge_deeplab.runtime.onnx_session import OnnxSession

            return OnnxSession(path, threads=threads, classes=_sidecar_classes(path))
        case ".safetensors":
            try:
                from edge_deeplab.runtime.torch_session import TorchSession
            except ImportError as error:
                raise MissingExtraError("torch", "train", f"running {path.name}") from error
            return TorchSession(path, threads=threads)
        case _:
            raise ModelFileError(f"{path} is of no known kind: give a .tflite, a .onnx or a checkpoint (.safetensors)")


def _sidecar_classes(path: Path) -> tuple[str, ...] | None:
    return load_artifact(path).spec.classes if sidecar_path(path).exists() else None
