"""A TFLite or ONNX file from elsewhere as a session that knows one class: the person."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.errors import ModelFileError
from edge_deeplab.runtime.closing import ClosedOnExit
from edge_deeplab.runtime.contract import check_pixels, check_probabilities, thread_count
from edge_deeplab.runtime.foreign.adaptation import OutputKind, Overrides
from edge_deeplab.runtime.foreign.decoding import encode, input_table, person_probability
from edge_deeplab.runtime.foreign.engine import Engine, onnx_engine, tflite_engine
from edge_deeplab.runtime.foreign.guess import guess
from edge_deeplab.runtime.foreign.hints import Hints
from edge_deeplab.runtime.foreign.layout import input_layout, output_layout
from edge_deeplab.spec import PERSON

FOREIGN_SUFFIXES = (".tflite", ".onnx")


class ForeignSession(ClosedOnExit):
    """Somebody's segmentation model as a :class:`~edge_deeplab.runtime.session.Session` with the class "person".

    Attributes:
        adaptation: how it is fed and read.
        reasons: where each part of that comes from, as phrases for a person to read.
    """

    def __init__(self, path: Path, *, threads: int | None = None, overrides: Overrides | None = None) -> None:
        """Open the file. Its content is read into memory, so that it may be replaced while it is in use.

        Args:
            path: the file, .tflite or .onnx.
            threads: to run with; None: the cores, at most 4.
            overrides: what is known of it; the rest is found in the file, or guessed.

        Raises:
            ModelFileError: truncated, no segmentation model with one picture in and one map out, or the person's
                class cannot be found out.
            MissingExtraError: the runtime is not installed.
        """
        engine, hints = _open(path, thread_count(threads))
        picture = input_layout(engine.source, str(path))
        self._map = output_layout(engine.target, picture, str(path))
        found = guess(engine.source, engine.target, self._map, hints, overrides or Overrides(), str(path))
        self.adaptation, self.reasons = found.adaptation, found.reasons
        self.height, self.width = picture.rows, picture.columns
        self.classes = (PERSON,)
        self.runtime = engine.runtime
        self._path = path
        self._picture = picture
        self._table = input_table(self.adaptation.input_range, engine.source)
        self._image = np.empty((picture.rows, picture.columns, 3), self._table.dtype)
        self._tensor = np.empty(picture.shape, self._table.dtype) if picture.channels_first else self._image[None]
        self._engine: Engine | None = engine

    def run(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """RGB uint8 (height, width, 3) -> the person's probability, float32 (rows, columns, 1); see Session.run.

        Raises:
            ImageError: pixels of another shape or type.
            ModelFileError: what are taken for probabilities are none.
        """
        pixels = check_pixels(pixels, self.height, self.width)
        assert self._engine is not None, "the session is closed"
        adaptation = self.adaptation
        if adaptation.bgr:
            pixels = np.ascontiguousarray(pixels[:, :, ::-1])
        encode(pixels, self._table, self._image)
        if self._picture.channels_first:
            np.copyto(self._tensor, self._image.transpose(2, 0, 1)[None])
        output = self._map.view(self._engine.run(self._tensor))
        values = person_probability(
            output, self._engine.target, adaptation.output, adaptation.channel, background=adaptation.background
        )
        if adaptation.output is OutputKind.PROBABILITIES and self._engine.target.is_float:
            return check_probabilities(values, self._path)
        return values.clip(0, 1, out=values)

    def close(self) -> None:
        """Free the runtime and its memory."""
        self._engine = None


def _open(path: Path, threads: int) -> tuple[Engine, Hints]:
    match path.suffix.lower():
        case ".tflite":
            from edge_deeplab.runtime.foreign.tflite_hints import tflite_hints
            from edge_deeplab.runtime.tflite_file import read_bytes

            content = read_bytes(path)
            hints = tflite_hints(content, str(path))  # before LiteRT, which crashes on some damaged files
            return tflite_engine(path, content, threads), hints
        case ".onnx":
            from edge_deeplab.runtime.foreign.onnx_hints import onnx_hints

            return onnx_engine(path, threads), onnx_hints(path)
        case _:
            raise ModelFileError(f"{path} is of no known kind: give a {' or a '.join(FOREIGN_SUFFIXES)}")
