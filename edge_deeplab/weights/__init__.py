"""The model that comes with the package: the int8 file, the checkpoint it was made from, its ranges and its card."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from edge_deeplab.errors import ModelFileError

NAME = "portrait"


def shipped_model() -> Path:
    """The int8 TFLite file of the shipped portrait model. Raises: ModelFileError: it is not there."""
    return _shipped(f"{NAME}.tflite")


def shipped_checkpoint() -> Path:
    """The checkpoint that the shipped model was made from. Raises: ModelFileError: it is not there."""
    return _shipped(f"{NAME}.safetensors")


def _shipped(name: str) -> Path:
    path = Path(str(resources.files(__name__).joinpath(name)))
    if not path.is_file():
        raise ModelFileError(f"the shipped file {path} is missing: install edge-deeplab again, or name a file of yours")
    return path
