"""From the network's probability map to a matte."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from demo_app.halo import synthetic_scene
from demo_app.matte.photo import refine
from demo_app.matte.tighten import tighten


def test_nearly_certain_pixels_become_certain() -> None:
    """A uint8 file's largest probability is 255/256."""
    alpha = np.array([[0.0, 0.1, 0.5, 0.9, 255 / 256]], np.float32)
    assert tighten(np.zeros((1, 5, 3), np.uint8), alpha).tolist() == [[0.0, 0.0, 0.5, 1.0, 1.0]]


def test_the_refined_edge_is_the_photos_and_not_the_networks() -> None:
    scene = synthetic_scene(720, 960, seed=1)
    alpha = cv2.resize(scene.alpha, (48, 48), interpolation=cv2.INTER_AREA)  # 20 pixels of the photo for one of these
    edge = cv2.dilate(scene.alpha, np.ones((41, 41))) - cv2.erode(scene.alpha, np.ones((41, 41))) > 0.0
    stretched = cv2.resize(tighten(scene.frame, alpha), (960, 720))

    error = np.abs(refine(scene.frame, alpha) - scene.alpha)[edge].mean()
    assert error < 0.7 * np.abs(stretched - scene.alpha)[edge].mean()


def test_far_from_the_edge_the_texture_leaves_no_trace() -> None:
    scene = synthetic_scene(480, 640, seed=2)
    refined = refine(scene.frame, cv2.resize(scene.alpha, (256, 256), interpolation=cv2.INTER_AREA))
    assert (refined[cv2.dilate(scene.alpha, np.ones((31, 31))) == 0.0] == 0.0).all()
    assert (refined[cv2.erode(scene.alpha, np.ones((31, 31))) == 1.0] == 1.0).all()


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (1, 500), (333, 64)], ids=str)
@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_certain_map_stays_certain_at_any_size(size: tuple[int, int], value: float) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    refined = refine(frame, np.full((64, 64), value, np.float32))
    assert refined.shape == size
    assert (refined == value).all()


def test_a_flat_picture_gives_numbers() -> None:
    """Its colours have no variance: the guided filter's 3x3 system would be singular."""
    refined = refine(np.full((200, 200, 3), 128, np.uint8), np.random.default_rng(0).random((64, 64), np.float32))
    assert np.isfinite(refined).all()
    assert refined.min() >= 0.0
    assert refined.max() <= 1.0


def test_a_large_photo_is_refined_at_2048_pixels_a_side() -> None:
    frame = np.zeros((1500, 4000, 3), np.uint8)
    assert refine(frame, np.zeros((256, 256), np.float32)).shape == (768, 2048)
