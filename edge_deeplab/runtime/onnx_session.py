"""An ONNX file, run by onnxruntime on the CPU."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import MissingExtraError, ModelFileError
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.contract import check_pixels, check_probabilities, class_names, plural_threads, thread_count
from edge_deeplab.runtime.onnx_classes import classes_in

PROVIDERS = ["CPUExecutionProvider"]


def session_options(threads: int) -> Any:
    """The ``onnxruntime.SessionOptions`` with which this project runs a file."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors only
    # On x86 processors without VNNI the fast kernels add pairs of int8 products in int16, which saturates: take the
    # exact ones. No effect on other processors.
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def open_onnxruntime(path: Path, threads: int) -> tuple[Any, str]:
    """An ``onnxruntime.InferenceSession`` of a file, and onnxruntime's version.

    Raises:
        ModelFileError: unreadable, not an ONNX file, or truncated.
        MissingExtraError: onnxruntime is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise MissingExtraError("onnxruntime", "convert", f"running {path.name}") from error
    try:
        session = onnxruntime.InferenceSession(path.read_bytes(), session_options(threads), providers=PROVIDERS)
    except OSError as error:
        raise ModelFileError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # onnxruntime has a dozen exception types without a common base
        reason = " ".join(str(error).split())[:200]
        raise ModelFileError(f"{path} is no ONNX file, or is truncated ({reason}): convert the model again") from error
    return session, str(onnxruntime.__version__)


def image_tensor(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    """RGB uint8 (height, width, 3) -> what an ONNX file takes: float32 (1, 3, height, width) in [0, 1]."""
    return pixels.transpose(2, 0, 1)[None].astype(np.float32, order="C") / np.float32(255)


class OnnxSession(ClosedOnExit):
    """A .onnx file with one NCHW float input and one NCHW float output as a
    :class:`~edge_deeplab.runtime.session.Session`.
    """

    def __init__(self, path: Path, *, threads: int | None = None, classes: Sequence[str] | None = None) -> None:
        """Open the file.

        Args:
            path: the file.
            threads: of onnxruntime; None: the cores, at most 4.
            classes: names of the output channels; None: those that the file names; without any, "person" for one
                channel, "class 0", ... for several.

        Raises:
            ModelFileError: not an ONNX file, or its input or output is not of the contract.
            MissingExtraError: onnxruntime is not installed.
        """
        count = thread_count(threads)
        session, version = open_onnxruntime(path, count)
        self._input, (_, self.height, self.width) = _image(path, "input", session.get_inputs(), channels=3)
        self._output, (channels, _, _) = _image(path, "output", session.get_outputs(), channels=None)
        stored = classes_in(session.get_modelmeta().custom_metadata_map)
        if classes is None and len(stored) == channels:
            classes = stored
        self.classes = class_names(classes, channels, path)
        self.runtime = f"onnxruntime {version}, {plural_threads(count)}"
        self._path = path
        self._session = session

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 (height, width, 3) -> probabilities, float32 (rows, columns, classes); see Session.run."""
        pixels = check_pixels(pixels, self.height, self.width)
        (probability,) = self._session.run([self._output], {self._input: image_tensor(pixels)})
        values: NDArray[np.float32] = np.ascontiguousarray(probability[0].transpose(1, 2, 0))
        return check_probabilities(values, self._path)

    def close(self) -> None:
        """Free onnxruntime's session."""
        self._session = None


def _image(path: Path, side: str, values: Sequence[Any], *, channels: int | None) -> tuple[str, tuple[int, int, int]]:
    """The name and (channels, rows, columns) of the only value, which must be a float image of batch 1."""
    described = ", ".join(f"{value.name} {value.type} {value.shape}" for value in values)
    wanted = f"tensor(float) [1, {channels or 'classes'}, rows, columns]"
    if len(values) == 1:
        (value,) = values
        shape = value.shape
        static = all(isinstance(size, int) and size > 0 for size in shape)
        if value.type == "tensor(float)" and len(shape) == 4 and static and shape[0] == 1:
            name, (found, rows, columns) = value.name, shape[1:]
            if channels in (None, found):
                return name, (found, rows, columns)
    raise ModelFileError(f"{path} is no segmentation model for this: its {side} is {described}, and must be {wanted}")
