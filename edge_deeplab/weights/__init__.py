"""The model that comes with the package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from edge_deeplab.errors import ModelFileError


def shipped_model() -> Path:
    """The int8 TFLite file of the shipped portrait model.

    Raises:
        ModelFileError: it is not there: an installation without its data files.
    """
    path = Path(str(resources.files(__name__).joinpath("portrait.tflite")))
    if not path.is_file():
        raise ModelFileError(f"the shipped model {path} is missing: install edge-deeplab again, or give one by --model")
    return path
