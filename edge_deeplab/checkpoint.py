"""Checkpoints: a safetensors file with the weights, and the model's specification in its header.

Nothing is unpickled, so a checkpoint from a stranger can do no more harm than a picture.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import CheckpointError, MissingExtraError, SpecError
from edge_deeplab.files import sha256, write_bytes
from edge_deeplab.spec import ModelSpec

_KEY = "edge_deeplab"
_STORED = {"F16": "float16", "F32": "float32", "I64": "int64"}  # safetensors' words for what a checkpoint holds


@dataclass(frozen=True)
class Checkpoint:
    """Weights and what they belong to.

    Attributes:
        spec: the model.
        weights: state-dict name to float32 (or int64) array.
        sha256: hash of the file.
        notes: what the training run wrote about itself (recipe, metrics, seed).
    """

    spec: ModelSpec
    weights: Mapping[str, NDArray[Any]]
    sha256: str
    notes: Mapping[str, Any] = field(default_factory=dict)


def save_checkpoint(
    path: Path,
    spec: ModelSpec,
    weights: Mapping[str, NDArray[Any]],
    *,
    notes: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write a checkpoint, whole or not at all; the same arguments give the same bytes.

    Args:
        path: where to, ending in ``.safetensors``.
        spec: the model.
        weights: state-dict name to array.
        notes: plain JSON to keep with it.
        half: store float32 weights as float16 (half the size; read back as float32). Vectors stay as they are: biases
            and statistics are few, and what they lose would shift whole maps.

    Raises:
        OutputError: the place cannot be written to.
        MissingExtraError: safetensors is not installed.
    """
    save = _safetensors().save
    stored = {
        # Not np.ascontiguousarray: it turns the counters of BatchNorm, which are 0-dimensional, into vectors.
        name: np.asarray(value, dtype=_stored_type(value, half=half), order="C")
        for name, value in sorted(weights.items())
    }
    header = {_KEY: json.dumps({"spec": spec.to_dict(), "notes": dict(notes or {})}, sort_keys=True)}
    # Not save_file: on a full disk it raises an error of its own instead of the system's.
    write_bytes(path, save(stored, metadata=header))


def _stored_type(value: NDArray[Any], *, half: bool) -> np.dtype[Any]:
    halved = half and value.dtype == np.float32 and value.ndim > 1
    return np.dtype(np.float16) if halved else value.dtype


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; float16 weights come back as float32.

    Raises:
        CheckpointError: missing, truncated, or not a checkpoint of edge-deeplab.
        MissingExtraError: safetensors is not installed.
    """
    safetensors = _safetensors()
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        spec = ModelSpec.from_dict(header["spec"])
    except KeyError as error:
        raise CheckpointError(
            f"{path} is a safetensors file, but edge-deeplab did not write it (no specification in its header)"
        ) from error
    except SpecError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a checkpoint, or is truncated ({error}): get a fresh copy") from error
    return Checkpoint(
        spec=spec,
        weights={
            name: value.astype(np.float32) if value.dtype == np.float16 else value for name, value in weights.items()
        },
        sha256=sha256(path),
        notes=header.get("notes", {}),
    )


def stored_tensors(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name of each tensor in a checkpoint to its element type as it is stored ("float16") and its shape.

    Raises:
        CheckpointError: missing, or truncated.
        MissingExtraError: safetensors is not installed.
    """
    safetensors = _safetensors()
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            views = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118
            return {
                name: (_STORED.get(view.get_dtype(), view.get_dtype().lower()), tuple(view.get_shape()))
                for name, view in views.items()
            }
    except (safetensors.SafetensorError, OSError) as error:
        raise CheckpointError(f"{path} is not a checkpoint, or is truncated ({error}): get a fresh copy") from error


class _Safetensors:
    """The three names that are used of safetensors, imported when they are needed."""

    def __init__(self) -> None:
        from safetensors import SafetensorError, safe_open
        from safetensors.numpy import save

        self.SafetensorError, self.safe_open, self.save = SafetensorError, safe_open, save


def _safetensors() -> _Safetensors:
    try:
        return _Safetensors()
    except ImportError as error:
        raise MissingExtraError("safetensors", "train", "a checkpoint") from error
