"""A Core ML package, run anywhere by the reference executor: what the written program says, in numpy's float32."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_deeplab import __version__
from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.contract import check_pixels, class_names
from edge_deeplab.runtime.coreml.executor import Executor
from edge_deeplab.runtime.coreml.interface import read_input, read_output
from edge_deeplab.runtime.coreml.package import load_model, model_file
from edge_deeplab.runtime.coreml.program import read_program


class CoremlReferenceSession(ClosedOnExit):
    """A .mlpackage with an ML Program as a :class:`~edge_deeplab.runtime.session.Session`, without Apple's runtime.

    It shows what the file says, not what a phone makes of it: see docs/coreml-executor.md. It runs on the thread that
    calls it, whatever numpy's BLAS was told (``OPENBLAS_NUM_THREADS``); the result does not depend on it.
    """

    def __init__(self, path: Path, *, imitate_float16: bool = False, classes: Sequence[str] | None = None) -> None:
        """Open the package, and run it once on a black picture, so that what cannot be executed is known now.

        The package is read into memory: it may be replaced while it is in use.

        Args:
            path: the package, a folder.
            imitate_float16: round what the program declares as float16, see
                :class:`~edge_deeplab.runtime.coreml.executor.Executor`; otherwise everything is float32.
            classes: names of the output channels; None: "person" for one channel, "class 0", ... for several.

        Raises:
            ModelFileError: no package, damaged, no ML Program, an input or output not of the contract, or an operator
                that the executor lacks.
            MissingExtraError: coremltools, whose protobuf classes are used, is not installed.
        """
        file = model_file(path)
        model = load_model(file)
        self._input, self._output = read_input(model, path), read_output(model, path)
        self.height, self.width = self._input.height, self._input.width
        program = read_program(model.mlProgram, file)
        wanted = {self._input.name: (1, 3, self.height, self.width)}
        if {name: declared.shape for name, declared in program.inputs.items()} != wanted:
            raise ModelFileError(f"{path} contradicts itself: its program does not take the image that it describes")
        if self._output.name not in program.outputs:
            raise ModelFileError(f"{path} contradicts itself: its program does not give {self._output.name!r}")
        self.classes = class_names(classes, self._output.channels, path)
        arithmetic = "float32 with float16 imitated" if imitate_float16 else "float32"
        self.runtime = f"reference executor of edge-deeplab {__version__}, {arithmetic}"
        self._path = path
        self._executor: Executor | None = Executor(program, path, imitate_float16=imitate_float16)
        shape = self._execute(np.zeros((self.height, self.width, 3), np.uint8)).shape
        described = (1, self._output.channels, self._output.height, self._output.width)
        if shape != described:
            raise ModelFileError(f"{path} contradicts itself: it describes an output of {described}, and gives {shape}")

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 (height, width, 3) -> probabilities, float32 (rows, columns, classes); see Session.run."""
        pixels = check_pixels(pixels, self.height, self.width)
        return self._output.probabilities(self._execute(pixels), self._path)

    def _execute(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        assert self._executor is not None, "the session is closed"
        result: NDArray[np.float32] = self._executor.run({self._input.name: self._input.planes(pixels)})[
            self._output.name
        ]
        return result

    def close(self) -> None:
        """Free the weights."""
        self._executor = None
