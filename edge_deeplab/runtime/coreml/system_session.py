"""A Core ML package, run by Apple's own runtime: on macOS only."""

from __future__ import annotations

import logging
import platform
import warnings
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_deeplab.errors import MissingExtraError, ModelFileError
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.contract import check_pixels, class_names
from edge_deeplab.runtime.coreml.compute_units import ComputeUnits
from edge_deeplab.runtime.coreml.interface import read_input, read_output
from edge_deeplab.runtime.coreml.package import load_model, model_file
from edge_deeplab.runtime.native_log import without_standard_error


class CoremlSession(ClosedOnExit):
    """A .mlpackage as a :class:`~edge_deeplab.runtime.session.Session`, executed by Core ML."""

    def __init__(
        self,
        path: Path,
        *,
        compute_units: ComputeUnits = ComputeUnits.ALL,
        classes: Sequence[str] | None = None,
    ) -> None:
        """Open the package; the system compiles it.

        Args:
            path: the package, a folder.
            compute_units: which processors Core ML may use; which of them it then uses, it does not tell.
            classes: names of the output channels; None: "person" for one channel, "class 0", ... for several.

        Raises:
            ModelFileError: no package, damaged, not of the contract, or refused by Core ML.
            MissingExtraError: coremltools is not installed.
        """
        model = load_model(model_file(path))
        self._input, self._output = read_input(model, path), read_output(model, path)
        self.height, self.width = self._input.height, self._input.width
        self.classes = class_names(classes, self._output.channels, path)
        coremltools = _import_coremltools(path)
        try:
            self._model: Any = coremltools.models.MLModel(
                str(path), compute_units=coremltools.ComputeUnit[compute_units.name]
            )
        except Exception as error:  # Core ML's errors arrive as plain exceptions of several types
            reason = " ".join(str(error).split())[:200]
            raise ModelFileError(f"{path} is refused by Core ML ({reason}): convert the model again") from error
        self.runtime = f"Core ML of macOS {platform.mac_ver()[0]}, compute units {compute_units}"
        self._path = path

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 (height, width, 3) -> probabilities, float32 (rows, columns, classes); see Session.run."""
        pixels = check_pixels(pixels, self.height, self.width)
        values = np.asarray(self._model.predict({self._input.name: Image.fromarray(pixels)})[self._output.name])
        maps = values[None, None] if self._output.image else values
        return self._output.probabilities(maps, self._path)

    def close(self) -> None:
        """Free the compiled model."""
        self._model = None


def _import_coremltools(path: Path) -> ModuleType:
    """coremltools, without its remarks on the versions of PyTorch and TensorFlow, and without TensorFlow's own."""
    logging.getLogger("coremltools").setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), without_standard_error():
            warnings.simplefilter("ignore")
            import coremltools
    except ImportError as error:
        raise MissingExtraError("coremltools", "convert", f"running {path.name}") from error
    return coremltools  # type: ignore[no-any-return]
