"""A .mlpackage: a folder whose Manifest.json says where the model's protobuf lies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.coreml.protobuf import messages

_CURE = "copy the whole package again, or convert the model again"


def model_file(package: Path) -> Path:
    """Where the protobuf of a package lies.

    Raises:
        ModelFileError: not a package, without a manifest, or with one that points nowhere.
    """
    if not package.is_dir():
        raise ModelFileError(f"{package} is no Core ML package, which is a folder: {_CURE}")
    manifest = package / "Manifest.json"
    try:
        values = json.loads(manifest.read_text())
        item = values["itemInfoEntries"][values["rootModelIdentifier"]]["path"]
        path: Path = package / "Data" / item
    except FileNotFoundError as error:
        raise ModelFileError(f"{package} has no Manifest.json, so that it is no Core ML package: {_CURE}") from error
    except OSError as error:
        raise ModelFileError(f"{manifest} cannot be read: {error.strerror}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{manifest} is no manifest of a Core ML package: {_CURE}") from error
    if not path.resolve().is_relative_to(package.resolve()):
        raise ModelFileError(f"{manifest} points to {item}, outside the package: {_CURE}")
    return path


def load_model(path: Path) -> Any:
    """Read a package's protobuf.

    Args:
        path: where it lies, see :func:`model_file`.

    Returns:
        A ``Model`` message of Core ML's Model.proto that holds an ML Program.

    Raises:
        ModelFileError: missing, truncated, or no ML Program.
        MissingExtraError: coremltools is not installed.
    """
    model = messages().Model_pb2.Model()
    from google.protobuf.message import DecodeError

    try:
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read ({error.strerror}): {_CURE}") from error
    except DecodeError as error:
        raise ModelFileError(f"{path} is no Core ML model, or is truncated: {_CURE}") from error
    kind = model.WhichOneof("Type")
    if kind is None:
        raise ModelFileError(f"{path} holds no model, or is truncated: {_CURE}")
    if kind != "mlProgram":
        raise ModelFileError(
            f"{path} holds a model of the kind {kind}, and only ML Programs are supported: convert the model with "
            'convert_to="mlprogram"'
        )
    return model
