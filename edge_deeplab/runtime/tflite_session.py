"""A TFLite file, run by LiteRT with its XNNPACK delegate on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.contract import check_pixels, check_probabilities, class_names, plural_threads, thread_count
from edge_deeplab.runtime.litert import LITERT, delegation, open_interpreter
from edge_deeplab.runtime.native_log import without_info_lines
from edge_deeplab.runtime.tflite_file import read_bytes

_INTEGERS = (np.uint8, np.int8)
# How far the range of an integer tensor may be from [0, 1] before it is no picture and no probability; calibrated
# ranges of foreign files miss it by a few per cent, and ranges such as [-1, 1] by far.
_RANGE_SLACK = 0.1


class TfliteSession(ClosedOnExit):
    """A .tflite file with one NHWC image in and one NHWC map out as a
    :class:`~edge_deeplab.runtime.session.Session`; float32, uint8 or int8 on either side.

    Attributes:
        partitions: how many parts of the graph XNNPACK executes.
        fully_delegated: XNNPACK executes the whole graph in one part; no operator is left to LiteRT's slower kernels.
    """

    def __init__(self, path: Path, *, threads: int | None = None, classes: Sequence[str] | None = None) -> None:
        """Open the file. Its content is read into memory, so that it may be replaced while it is in use.

        Args:
            path: the file.
            threads: of XNNPACK; None: the cores, at most 4.
            classes: names of the output channels; None: "person" for one channel, "class 0", ... for several.

        Raises:
            ModelFileError: not a TFLite file, truncated, or its input or output is not of the contract.
        """
        content = read_bytes(path)
        count = thread_count(threads)
        with without_info_lines():
            interpreter = open_interpreter(path, content, count)
        source = _image(path, "input", interpreter.get_input_details())
        target = _image(path, "output", interpreter.get_output_details())
        if source.channels != 3:
            raise ModelFileError(f"{path} takes {source.channels} channels instead of the 3 of an RGB picture")
        self.height, self.width = source.rows, source.columns
        self.classes = class_names(classes, target.channels, path)
        self._input, self._output = source.index, target.index
        self._encode, self._decode = _encoder(source), _decoder(target, path)
        self._interpreter = interpreter
        share = delegation(interpreter)
        self.partitions, self.fully_delegated = share.partitions, share.complete
        kernels = "XNNPACK" if self.partitions else "builtin kernels"
        self.runtime = f"{LITERT}, {kernels}, {plural_threads(count)}"

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 (height, width, 3) -> probabilities, float32 (rows, columns, classes); see Session.run."""
        return self._decode(self.run_raw(pixels))

    def run_raw(self, pixels: NDArray[np.uint8]) -> NDArray[Any]:
        """As :meth:`run`, but the output as it stands in the file: float32, uint8 or int8, (rows, columns, classes)."""
        pixels = check_pixels(pixels, self.height, self.width)
        self._interpreter.set_tensor(self._input, self._encode(pixels)[None])
        self._interpreter.invoke()
        output: NDArray[Any] = self._interpreter.get_tensor(self._output)[0]
        return output

    def close(self) -> None:
        """Free the interpreter and its arena."""
        self._interpreter = None


@dataclass(frozen=True)
class _Image:
    """An input or output tensor: NHWC, batch 1. Scale and zero point say nothing for float32."""

    index: int
    rows: int
    columns: int
    channels: int
    dtype: type[np.generic]
    scale: float
    zero_point: int

    @property
    def range(self) -> tuple[float, float]:
        """The real numbers that its smallest and its greatest integer stand for."""
        limits = np.iinfo(self.dtype)  # type: ignore[type-var]
        return (limits.min - self.zero_point) * self.scale, (limits.max - self.zero_point) * self.scale


def _image(path: Path, side: str, details: Sequence[dict[str, Any]]) -> _Image:
    described = ", ".join(
        f"{detail['dtype'].__name__} {'x'.join(map(str, detail['shape_signature'].tolist()))}" for detail in details
    )
    if len(details) != 1:
        raise ModelFileError(
            f"{path} is no segmentation model for this: it has {len(details)} {side}s ({described}), and must have one"
        )
    (detail,) = details
    shape, dtype = detail["shape_signature"].tolist(), detail["dtype"]
    if len(shape) != 4 or shape[0] != 1 or min(shape) < 1 or dtype not in (np.float32, *_INTEGERS):
        raise ModelFileError(
            f"{path} is no segmentation model for this: its {side} is {described}, and must be float32, uint8 or int8 "
            "of 1 x rows x columns x channels"
        )
    scale, zero_point = detail["quantization"]
    image = _Image(detail["index"], shape[1], shape[2], shape[3], dtype, scale, zero_point)
    if dtype in _INTEGERS:
        low, high = image.range
        if not (abs(low) <= _RANGE_SLACK and abs(high - 1) <= _RANGE_SLACK):
            raise ModelFileError(
                f"{path} is no segmentation model for this: its {side} ranges from {low:.3g} to {high:.3g}, and must "
                "range from 0 to 1 (RGB / 255 in, probabilities out)"
            )
    return image


def _encoder(image: _Image) -> Callable[[NDArray[np.uint8]], NDArray[Any]]:
    """What turns a picture's bytes into the values of the input tensor; its result lives until the next call."""
    if image.dtype == np.float32:
        buffer = np.empty((image.rows, image.columns, 3), np.float32)
        return lambda pixels: np.multiply(pixels, np.float32(1 / 255), out=buffer)
    limits = np.iinfo(image.dtype)  # type: ignore[type-var]
    quantized = np.rint(np.arange(256) / 255 / image.scale) + image.zero_point
    table = np.clip(quantized, limits.min, limits.max).astype(image.dtype).view(np.uint8)
    if image.dtype == np.uint8 and np.array_equal(table, np.arange(256)):
        return lambda pixels: pixels
    return lambda pixels: cv2.LUT(pixels, table).view(image.dtype)


def _decoder(image: _Image, path: Path) -> Callable[[NDArray[Any]], NDArray[np.float32]]:
    """What turns the values of the output tensor into probabilities, in a fresh array."""
    if image.dtype == np.float32:
        return lambda output: check_probabilities(output, path)

    def dequantize(output: NDArray[Any]) -> NDArray[np.float32]:
        values = np.subtract(output, np.float32(image.zero_point), dtype=np.float32)
        values *= np.float32(image.scale)
        return values

    return dequantize
