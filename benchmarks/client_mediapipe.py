"""MediaPipe Tasks' ImageSegmenter on pictures, as an app uses it; see client_loop.py for the arguments.

Runs in the clients' own environment (make clients).
"""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
from client_loop import Masks, Segment, serve
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageSegmenter, ImageSegmenterOptions, RunningMode

_MODES = ("IMAGE", "VIDEO", "LIVE_STREAM")
_FRAME_MS = 33  # between the timestamps of a film's frames
_ANSWER_S = 60.0  # how long a frame of the live stream is waited for


@contextmanager
def opened(model: Path, mode: str) -> Iterator[Segment]:
    """The segmenter, given a picture in the way of that mode."""
    answers: queue.Queue[Masks] = queue.Queue()
    options = ImageSegmenterOptions(
        base_options=BaseOptions(model_asset_path=str(model)),
        running_mode=RunningMode[mode],
        output_category_mask=True,
        result_callback=(lambda result, image, stamp: answers.put(copied(result))) if mode == "LIVE_STREAM" else None,
    )
    stamps = iter(range(0, 1 << 30, _FRAME_MS))
    with ImageSegmenter.create_from_options(options) as segmenter:

        def live(image: mediapipe.Image) -> Masks:
            segmenter.segment_async(image, next(stamps))
            return answers.get(timeout=_ANSWER_S)

        ways: dict[str, Callable[[mediapipe.Image], Masks]] = {
            "IMAGE": lambda image: copied(segmenter.segment(image)),
            "VIDEO": lambda image: copied(segmenter.segment_for_video(image, next(stamps))),
            "LIVE_STREAM": live,
        }

        def segment(picture: np.ndarray) -> Masks:
            return ways[mode](mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture))

        yield segment


def copied(result: Any) -> Masks:
    """The masks as arrays of our own: the result's are gone when its callback returns."""
    views = {"confidence": result.confidence_masks[0], "category": result.category_mask}
    return {name: view.numpy_view()[..., 0].copy() for name, view in views.items()}


if __name__ == "__main__":
    # Which class is raised depends on the status code behind it: a missing normalization is "not found".
    serve(version("mediapipe"), _MODES, opened, (RuntimeError, ValueError, OSError))
