"""Checkpoints: a safetensors file with the weights, and the model's specification in its header.

Nothing is unpickled, so a checkpoint from a stranger can do no more harm than a picture.

A weight is stored as float32, as float16, or, where it is made of them, as int8 integers: then the tensor
``NAME.scales`` lies beside the tensor ``NAME``. All three are read as float32.
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
_STORED = {"F16": "float16", "F32": "float32", "I64": "int64", "I8": "int8"}  # safetensors' words for what is stored
_SCALES = ".scales"


@dataclass(frozen=True)
class IntegerWeight:
    """A weight that is made of int8 integers and one scale for each output channel: w = scale * integer.

    The integers are symmetric, as in a TFLite file (Krishnamoorthi 2018, arXiv 1806.08342, section 2.1).

    Attributes:
        integers: int8, (output channels, ...), in [-127, 127].
        scales: float32, (output channels,), positive.

    Raises:
        CheckpointError: on creation, when one of them is of another type or shape, or has another value.
    """

    integers: NDArray[np.int8]
    scales: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.integers.dtype != np.int8 or self.scales.dtype != np.float32:
            raise CheckpointError(
                f"integers are {self.integers.dtype} and scales {self.scales.dtype}: they must be int8 and float32"
            )
        if self.scales.shape != self.integers.shape[:1] or self.scales.ndim != 1:
            raise CheckpointError(
                f"scales of shape {self.scales.shape} do not go with integers of shape {self.integers.shape}: "
                "there must be one for each output channel"
            )
        if not (np.isfinite(self.scales).all() and (self.scales > 0).all()):
            raise CheckpointError("a scale is not a positive number: quantize the network again")
        if (self.integers == np.iinfo(np.int8).min).any():
            raise CheckpointError("an integer is -128: weights keep to [-127, 127]; quantize the network again")

    def array(self) -> NDArray[np.float32]:
        """The weight as float32, the shape of the integers: each product is rounded once."""
        along = self.scales.reshape(-1, *[1] * (self.integers.ndim - 1))
        return self.integers.astype(np.float32) * along


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
    weights: Mapping[str, NDArray[Any] | IntegerWeight],
    *,
    notes: Mapping[str, Any] | None = None,
    half: bool = False,
) -> None:
    """Write a checkpoint, whole or not at all; the same arguments give the same bytes.

    Args:
        path: where to, ending in ``.safetensors``.
        spec: the model.
        weights: state-dict name to array, or to the integers that it is made of, which are stored as they are.
        notes: plain JSON to keep with it.
        half: store float32 weights as float16 (half the size; read back as float32). Vectors stay as they are: biases
            and statistics are few, and what they lose would shift whole maps.

    Raises:
        OutputError: the place cannot be written to.
        MissingExtraError: safetensors is not installed.
    """
    save = _safetensors().save
    stored: dict[str, NDArray[Any]] = {}
    for name, value in sorted(weights.items()):
        if isinstance(value, IntegerWeight):
            stored[name], stored[name + _SCALES] = _contiguous(value.integers), _contiguous(value.scales)
        else:
            stored[name] = _contiguous(value, half=half)
    header = {_KEY: json.dumps({"spec": spec.to_dict(), "notes": dict(notes or {})}, sort_keys=True)}
    # Not save_file: on a full disk it raises an error of its own instead of the system's.
    write_bytes(path, save(stored, metadata=header))


def _contiguous(value: NDArray[Any], *, half: bool = False) -> NDArray[Any]:
    halved = half and value.dtype == np.float32 and value.ndim > 1
    # Not np.ascontiguousarray: it turns the counters of BatchNorm, which are 0-dimensional, into vectors.
    return np.asarray(value, dtype=np.float16 if halved else value.dtype, order="C")


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint; float16 weights and those stored as integers come back as float32.

    Raises:
        CheckpointError: missing, truncated, or not a checkpoint of edge-deeplab; or integers without scales, or with
            scales that are not positive or not one for each output channel.
        MissingExtraError: safetensors is not installed.
    """
    safetensors = _safetensors()
    if not path.is_file():
        raise CheckpointError(f"there is no checkpoint {path}")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        spec = ModelSpec.from_dict(header["spec"])
    except KeyError as error:
        raise CheckpointError(
            f"{path} is a safetensors file, but edge-deeplab did not write it (no specification in its header)"
        ) from error
    except SpecError as error:
        raise CheckpointError(f"{path}: {error}") from error
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path} is not a checkpoint, or is truncated ({error}): get a fresh copy") from error
    try:
        weights = _weights(stored)
    except CheckpointError as error:
        raise CheckpointError(f"{path}: {error}") from error
    return Checkpoint(spec=spec, weights=weights, sha256=sha256(path), notes=header.get("notes", {}))


def _weights(stored: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Tensors as they are stored to weights, each float32 (or int64)."""
    scales = {name + _SCALES for name, value in stored.items() if value.dtype == np.int8}
    return {name: _weight(name, stored) for name in stored if name not in scales}


def _weight(name: str, stored: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    value = stored[name]
    if value.dtype == np.float16:
        return value.astype(np.float32)
    if value.dtype != np.int8:
        return value
    if name + _SCALES not in stored:
        raise CheckpointError(f"{name} is stored as integers, without their scales: get a fresh copy")
    try:
        return IntegerWeight(value, stored[name + _SCALES]).array()
    except CheckpointError as error:
        raise CheckpointError(f"{name}: {error}") from error


def stored_tensors(path: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Name of each tensor in a checkpoint to its element type as it is stored ("float16", "int8") and its shape; the
    scales of integers are tensors too.

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
