"""What the dense CRF gains on coarse masks, and what it costs.

    python benchmarks/dense_crf.py [--data FOLDER] [--photos 12] [--model CHECKPOINT]

Gain, on photos of the validation split shrunk to 513 pixels, of three kinds of coarse masks:

- cells: the majority of the true mask in cells of 32x32 pixels, as sure as 0.8: what a V1 knows of a place;
- coverage: the mean of the true mask in cells of 16x16 pixels. Resized, its half-way line lies within some pixels of
  the truth, so that this is a mask which needs no CRF: what it loses there is what it costs a good network;
- network: what MODEL makes of the photo, such as an imported DeepLabV3 without a decoder.

Cost: CPU seconds for 513x513 pixels of the bundled portrait, and of noise, where no two pixels have a colour in common:
the worst case. Writes dense_crf.json beside this file.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edge_deeplab.crf.post_process import LONGEST_SIDE, CrfPostProcessing
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.evaluation.machine import describe_machine
from edge_deeplab.evaluation.metrics import boundary_f, iou, person_mask
from edge_deeplab.files import write_json
from edge_deeplab.image import Rgb, resize_area, resize_map
from edge_deeplab.runtime.opening import open_session
from edge_deeplab.runtime.session import Session
from edge_deeplab.spec import PERSON

_CELL, _SURE = 32, 0.8
_STRIDE = 16

Masks = Iterator[tuple[str, NDArray[np.float32]]]


def coverage(mask: NDArray[np.uint8], side: int) -> NDArray[np.float32]:
    """A mask's coverage of cells of ``side`` pixels: uint8, HxW -> float32, hxwx1, 0..1."""
    height, width = mask.shape
    cells = resize_area(mask, max(1, round(height / side)), max(1, round(width / side)))
    return (cells.astype(np.float32) / 255)[:, :, None]


def coarse_masks(rgb: Rgb, mask: NDArray[np.uint8], session: Session | None) -> Masks:
    """Each kind's name and its probabilities of a person, float32, hxwx1."""
    yield "cells", np.where(coverage(mask, _CELL) > 0.5, np.float32(_SURE), np.float32(1 - _SURE))
    yield "coverage", coverage(mask, _STRIDE)
    if session is not None:
        probabilities = session.run(resize_area(rgb, session.height, session.width))
        yield "network", probabilities[:, :, [session.classes.index(PERSON)]]


def gain(rgb: Rgb, mask: NDArray[np.uint8], seen: NDArray[np.float32]) -> dict[str, float]:
    """IoU and boundary F of one coarse mask, before and after."""
    truth = person_mask(mask)
    before, after = (
        person_mask(resize_map(np.ascontiguousarray(part[:, :, 0]), *truth.shape))
        for part in (seen, CrfPostProcessing()(rgb, seen))
    )
    return {
        "iou_before": iou(before, truth),
        "iou_after": iou(after, truth),
        "boundary_f_before": boundary_f(before, truth),
        "boundary_f_after": boundary_f(after, truth),
    }


def cost(rgb: Rgb) -> float:
    """CPU seconds of one picture, on one thread."""
    start = time.process_time()
    CrfPostProcessing()(rgb, np.full((32, 32, 1), 0.5, np.float32))
    return time.process_time() - start


def summary(gains: list[dict[str, float]]) -> dict[str, float]:
    """Means, and how many photos have a better boundary."""
    means = {name: round(statistics.mean(each[name] for each in gains), 4) for name in gains[0]}
    return means | {"better_boundaries": sum(each["boundary_f_after"] > each["boundary_f_before"] for each in gains)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/portrait"))
    parser.add_argument("--photos", type=int, default=12)
    parser.add_argument("--model", type=Path, help="a checkpoint with a class person")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    dataset = open_dataset(arguments.data, split="val")
    gains: dict[str, list[dict[str, float]]] = {}
    photos = 0
    with ExitStack() as stack:
        session = None if arguments.model is None else stack.enter_context(open_session(arguments.model, threads=1))
        for index in range(0, len(dataset), max(1, len(dataset) // arguments.photos)):
            sample = dataset[index]
            factor = min(1.0, LONGEST_SIDE / max(sample.mask.shape))
            size = [round(side * factor) for side in sample.mask.shape]
            rgb, mask = resize_area(sample.image, *size), resize_area(sample.mask, *size)
            if not person_mask(mask).any():
                continue
            photos += 1
            for kind, seen in coarse_masks(rgb, mask, session):
                gains.setdefault(kind, []).append(gain(rgb, mask, seen))
                print(sample.id, kind, gains[kind][-1], flush=True)
    side = LONGEST_SIDE
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    results = {
        "machine": describe_machine(),
        "model": None if arguments.model is None else arguments.model.name,
        "photos": photos,
        "gains": {kind: summary(each) for kind, each in gains.items()},
        "cpu_seconds": {
            "portrait": round(cost(resize_area(bundled_portrait(), side, side)), 2),
            "noise": round(cost(noise), 2),
        },
    }
    print(results)
    write_json(Path(__file__).with_suffix(".json"), results)


if __name__ == "__main__":
    main()
