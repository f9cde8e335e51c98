"""LiteRT's interpreter on pictures, as an app uses it; see client_loop.py for the arguments.

Needs OpenCV and ai-edge-litert, and nothing of this project.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import cv2
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from client_loop import Masks, Segment, serve


@contextmanager
def opened(model: Path, mode: str) -> Iterator[Segment]:
    """The interpreter between two resizes."""
    interpreter = Interpreter(str(model), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    _, rows, columns, _ = source["shape"]

    def segment(picture: np.ndarray) -> Masks:
        pixels = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
        if source["dtype"] == np.float32:
            pixels = pixels.astype(np.float32) / 255
        interpreter.set_tensor(source["index"], pixels[None])
        interpreter.invoke()
        values = interpreter.get_tensor(target["index"])[0, :, :, 0].astype(np.float32)
        if target["dtype"] != np.float32:
            scale, zero_point = target["quantization"]
            values = (values - zero_point) * np.float32(scale)
        return {"confidence": cv2.resize(values, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)}

    yield segment


if __name__ == "__main__":
    serve(version("ai-edge-litert"), ("CPU",), opened)
