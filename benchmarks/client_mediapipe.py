"""MediaPipe Tasks' ImageSegmenter on pictures: client_mediapipe.py MODEL MODE PICTURES MASKS

Runs in the clients' own environment (make clients), with nothing of this project: it is what an app does. PICTURES is
a .npz of RGB uint8 HxWx3 arrays; MASKS, which it writes, has for each of them the confidence mask of the first channel,
float32 HxW, and the category mask, uint8 HxW, as NAME.confidence and NAME.category. Standard output has the version,
the labels and the median time of a picture as JSON, or "refused" with what MediaPipe says.
"""

from __future__ import annotations

import argparse
import json
import queue
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mediapipe
import numpy as np
from mediapipe.tasks.python import BaseOptions
from mediapipe.tasks.python.vision import ImageSegmenter, ImageSegmenterOptions, RunningMode

_FRAME_MS = 33  # between the timestamps of a film's frames
_ANSWER_S = 60.0  # how long a frame of the live stream is waited for

Masks = dict[str, np.ndarray]
Segment = Callable[[mediapipe.Image], Masks]


@contextmanager
def opened(model: Path, mode: str) -> Iterator[tuple[ImageSegmenter, Segment]]:
    """The segmenter, and how it is given a picture in that mode."""
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

        ways: dict[str, Segment] = {
            "IMAGE": lambda image: copied(segmenter.segment(image)),
            "VIDEO": lambda image: copied(segmenter.segment_for_video(image, next(stamps))),
            "LIVE_STREAM": live,
        }
        yield segmenter, ways[mode]


def copied(result: Any) -> Masks:
    """The masks as arrays of our own: the result's are gone when its callback returns."""
    views = {"confidence": result.confidence_masks[0], "category": result.category_mask}
    return {name: view.numpy_view()[..., 0].copy() for name, view in views.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("mode", choices=["IMAGE", "VIDEO", "LIVE_STREAM"])
    parser.add_argument("pictures", type=Path)
    parser.add_argument("masks", type=Path)
    arguments = parser.parse_args()
    found: dict[str, object] = {"version": version("mediapipe")}
    masks: dict[str, np.ndarray] = {}
    times = []
    try:
        with opened(arguments.model, arguments.mode) as (segmenter, segment), np.load(arguments.pictures) as pictures:
            found["labels"] = list(segmenter.labels)
            for name in pictures.files:
                image = mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=pictures[name])
                start = time.perf_counter()
                found_masks = segment(image)
                times.append(1000.0 * (time.perf_counter() - start))
                masks |= {f"{name}.{kind}": mask for kind, mask in found_masks.items()}
    except (RuntimeError, ValueError, OSError) as error:  # as which class depends on the status code behind it
        print(json.dumps(found | {"refused": " ".join(str(error).split())}))
        return
    np.savez(arguments.masks, **masks)
    print(json.dumps(found | {"milliseconds": statistics.median(times)}))


if __name__ == "__main__":
    main()
