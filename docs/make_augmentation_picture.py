"""Write docs/augmentation.jpg: the bundled portrait as training sees it, with its mask in green.

Run from the root of the repository: python docs/make_augmentation_picture.py
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from edge_deeplab.data.bundled import bundled_images, bundled_portrait
from edge_deeplab.data.sample import MaskKind, Sample
from edge_deeplab.data.transforms import Augmentation, TrainingTransform, replace_background
from edge_deeplab.image import resize_area, write_image

ROWS, COLUMNS, SIZE = 4, 7, 160
GREEN = torch.tensor([0.1, 0.9, 0.3])[:, None, None]


def main() -> None:
    torch.manual_seed(0)
    photo = resize_area(bundled_portrait(), 384, 384)
    sample = Sample("portrait", "bundled", photo, draw_mask(photo))
    blobs = Sample("blobs", "bundled", dict(bundled_images())["before-blobs"][:, :160], np.zeros((405, 160), np.uint8))
    # Stronger chances than the defaults, so that a few pictures show everything.
    augmentation = dataclasses.replace(Augmentation(), grey=0.1, blur=0.25, noise=0.3)
    transform = TrainingTransform(SIZE, SIZE, MaskKind.COVERAGE, augmentation)
    tiles = []
    for number in range(ROWS * COLUMNS):
        replaced = number % COLUMNS == COLUMNS - 1  # the last column shows the replaced background
        image, target = transform(replace_background(sample, blobs) if replaced else sample)
        tiles.append(image * (1 - 0.4 * target) + GREEN * 0.4 * target)
    grid = torch.stack(tiles).reshape(ROWS, COLUMNS, 3, SIZE, SIZE).permute(0, 3, 1, 4, 2)
    picture = grid.reshape(ROWS * SIZE, COLUMNS * SIZE, 3).mul(255).round().to(torch.uint8).numpy()
    write_image(Path(__file__).with_name("augmentation.jpg"), picture, quality=80)


def draw_mask(photo: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The person by GrabCut from a hand-drawn start (head, collar, suit): uint8, HxW, 0 or 255."""
    cv2.setRNGSeed(0)
    mask = np.full(photo.shape[:2], cv2.GC_BGD, np.uint8)
    cv2.ellipse(mask, (170, 62), (56, 64), 0, 0, 360, (cv2.GC_PR_FGD,), cv2.FILLED)
    outline = [(50, 180), (115, 135), (245, 135), (275, 190), (275, 262), (225, 285), (210, 383), (8, 383), (25, 230)]
    cv2.fillPoly(mask, [np.array(outline)], (cv2.GC_PR_FGD,))
    cv2.ellipse(mask, (170, 62), (42, 48), 0, 0, 360, (cv2.GC_FGD,), cv2.FILLED)
    cv2.ellipse(mask, (178, 166), (60, 42), 8, 0, 360, (cv2.GC_FGD,), cv2.FILLED)
    suit = [(60, 200), (120, 170), (250, 190), (255, 240), (205, 280), (195, 383), (30, 383)]
    cv2.fillPoly(mask, [np.array(suit)], (cv2.GC_FGD,))
    cv2.grabCut(photo, mask, (0, 0, 0, 0), np.zeros((1, 65)), np.zeros((1, 65)), 4, cv2.GC_INIT_WITH_MASK)
    return np.where((mask == cv2.GC_FGD) | (mask == cv2.GC_PR_FGD), 255, 0).astype(np.uint8)


if __name__ == "__main__":
    main()
