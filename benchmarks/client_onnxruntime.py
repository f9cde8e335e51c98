"""onnxruntime on pictures, as an app uses it; see client_loop.py for the arguments.

Needs OpenCV and onnxruntime, and nothing of this project.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import onnxruntime
from client_loop import Masks, Segment, serve


@contextmanager
def opened(model: Path, mode: str) -> Iterator[Segment]:
    """The session between two resizes."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    _, _, rows, columns = source.shape

    def segment(picture: np.ndarray) -> Masks:
        pixels = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
        (values,) = session.run(None, {source.name: pixels.transpose(2, 0, 1)[None]})
        return {"confidence": cv2.resize(values[0, 0], picture.shape[1::-1], interpolation=cv2.INTER_LINEAR)}

    yield segment


if __name__ == "__main__":
    serve(onnxruntime.__version__, ("CPU",), opened)
