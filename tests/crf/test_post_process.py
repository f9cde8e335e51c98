"""What the dense CRF makes of coarse masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from edge_deeplab.crf.post_process import CrfPostProcessing
from edge_deeplab.data.opening import open_dataset
from edge_deeplab.evaluation.metrics import boundary_f, class_map, iou, person_mask
from edge_deeplab.image import Rgb, resize_area, resize_map

PORTRAIT = Path(__file__).resolve().parents[2] / "../shared/data/portrait"


def disc(side: int = 128) -> tuple[Rgb, NDArray[np.bool_]]:
    """A disc of one colour on another, with noise of 4 code values."""
    y, x = np.mgrid[:side, :side] - side / 2
    mask = np.hypot(y, x) < 0.3 * side
    picture = np.where(mask[:, :, None], (180, 90, 60), (60, 120, 150))
    noisy = picture + np.random.default_rng(0).normal(0, 4, picture.shape)
    return np.rint(noisy).astype(np.uint8), mask


def coarse(mask: NDArray[np.uint8], stride: int = 16) -> NDArray[np.float32]:
    """Coverage of cells of stride x stride pixels: uint8, HxW -> float32, hxwx1, 0..1."""
    cells = resize_area(mask, round(mask.shape[0] / stride), round(mask.shape[1] / stride))
    return (cells / np.float32(255))[:, :, None]


def resized(probabilities: NDArray[np.float32], like: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return person_mask(resize_map(np.ascontiguousarray(probabilities[:, :, 0]), *like.shape))


def test_a_coarse_mask_takes_the_edge_of_the_picture() -> None:
    rgb, truth = disc()
    seen = coarse(truth.astype(np.uint8) * 255)
    found = CrfPostProcessing()(rgb, seen)
    assert (found.shape, found.dtype) == ((128, 128, 1), np.float32)
    assert iou(resized(seen, truth), truth) < 0.97
    assert iou(resized(found, truth), truth) > 0.995


def test_several_classes_take_their_edges() -> None:
    rgb, truth = disc()
    classes = truth.astype(np.uint8)
    classes[:64][truth[:64]] = 2
    rgb[classes == 2] = (220, 220, 40)
    seen = np.dstack([coarse((classes == index).astype(np.uint8) * 255) for index in range(3)])
    found = CrfPostProcessing()(rgb, seen)
    np.testing.assert_allclose(found.sum(axis=2), 1.0, atol=1e-5)
    before = class_map(np.dstack([resize_map(np.ascontiguousarray(seen[:, :, c]), 128, 128) for c in range(3)]))
    assert np.mean(before == classes) < 0.98
    assert np.mean(class_map(found) == classes) > 0.995


def test_certain_probabilities_have_a_finite_energy() -> None:
    rgb, truth = disc(48)
    found = CrfPostProcessing()(rgb, truth.astype(np.float32)[:, :, None])
    assert np.isfinite(found).all()
    assert iou(resized(found, truth), truth) == 1.0


def test_a_large_photo_is_worked_on_at_513_pixels() -> None:
    found = CrfPostProcessing()(np.zeros((40, 2052, 3), np.uint8), np.full((4, 8, 1), 0.25, np.float32))
    assert found.shape == (10, 513, 1)


@pytest.mark.shared_data
@pytest.mark.skipif(not PORTRAIT.is_dir(), reason="the real photos of ../shared/data are not beside the checkout")
def test_coarse_masks_of_real_photos_get_better_boundaries() -> None:
    dataset = open_dataset(PORTRAIT, split="val")
    before, after = [], []
    for index in range(0, 240, 40):
        sample = dataset[index]
        size = [round(side * 257 / max(sample.mask.shape)) for side in sample.mask.shape]
        rgb, mask = resize_area(sample.image, *size), resize_area(sample.mask, *size)
        # Each cell's majority, not its coverage: of that the half-way line lies near the truth, and nothing is to gain.
        truth, seen = person_mask(mask), np.where(coarse(mask) > 0.5, np.float32(0.8), np.float32(0.2))
        before.append(boundary_f(resized(seen, truth), truth))
        after.append(boundary_f(resized(CrfPostProcessing()(rgb, seen), truth), truth))
    assert np.mean(after) > np.mean(before) + 0.05
