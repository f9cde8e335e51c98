"""What the dense CRF gains on coarse masks, and what it costs.

    python benchmarks/dense_crf.py [--data FOLDER] [--photos 12]

Gain: the true masks of some photos of the validation split, averaged over cells of 16x16 pixels as a network of output
stride 16 without a decoder would see them at best, resized back, and post-processed; photos shrunk to 513 pixels. Cost:
CPU seconds for 513x513 pixels of the bundled portrait, and of noise, where no two pixels have a colour in common: the
worst case. Writes dense_crf.json beside this file.
"""

from __future__ import annotations

import argparse
import statistics
import time
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

STRIDE = 16


def coarse(mask: NDArray[np.uint8]) -> NDArray[np.float32]:
    """A mask's coverage of cells of STRIDE pixels: uint8, HxW -> float32, hxwx1, 0..1."""
    height, width = mask.shape
    cells = resize_area(mask, max(1, round(height / STRIDE)), max(1, round(width / STRIDE)))
    return (cells.astype(np.float32) / 255)[:, :, None]


def gain(rgb: Rgb, mask: NDArray[np.uint8]) -> dict[str, float]:
    """IoU and boundary F of one photo's coarse mask, before and after."""
    height, width = mask.shape
    truth, seen = person_mask(mask), coarse(mask)
    before = person_mask(resize_map(np.ascontiguousarray(seen[:, :, 0]), height, width))
    found = CrfPostProcessing()(rgb, seen)
    after = person_mask(resize_map(np.ascontiguousarray(found[:, :, 0]), height, width))
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/portrait"))
    parser.add_argument("--photos", type=int, default=12)
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    dataset = open_dataset(arguments.data, split="val")
    gains: list[dict[str, float]] = []
    for index in range(0, len(dataset), max(1, len(dataset) // arguments.photos)):
        sample = dataset[index]
        factor = min(1.0, LONGEST_SIDE / max(sample.mask.shape))
        size = [round(side * factor) for side in sample.mask.shape]
        mask = resize_area(sample.mask, *size)
        if person_mask(mask).any():
            gains.append(gain(resize_area(sample.image, *size), mask))
            print(sample.id, gains[-1], flush=True)
    side = LONGEST_SIDE
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    results = {
        "machine": describe_machine(),
        "photos": len(gains),
        "means": {name: round(statistics.mean(each[name] for each in gains), 4) for name in gains[0]},
        "better_boundaries": sum(each["boundary_f_after"] > each["boundary_f_before"] for each in gains),
        "cpu_seconds": {
            "portrait": round(cost(resize_area(bundled_portrait(), side, side)), 2),
            "noise": round(cost(noise), 2),
        },
    }
    print(results)
    write_json(Path(__file__).with_suffix(".json"), results)


if __name__ == "__main__":
    main()
