"""The matte in time: steady on what stands, with what moves, new after a cut."""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
import pytest

from demo_app.halo import Scene, textured_room
from demo_app.moving_scene import Shot, film, long_haired_figure, sway, walk
from demo_app.temporal.smoothing import MatteSmoother
from edge_deeplab.errors import ImageError
from edge_deeplab.evaluation.matting import mean_absolute_error
from edge_deeplab.evaluation.temporal import flicker, lag

HEIGHT, WIDTH, NETWORK = 180, 320, 128
EVERYWHERE = np.ones((NETWORK, NETWORK), bool)


def _scenes(shots: list[Shot], seed: int = 0, *, noise: float = 2.0) -> list[Scene]:
    figure, room = long_haired_figure(HEIGHT, WIDTH, seed), textured_room(HEIGHT, WIDTH, seed + 50)
    return list(film(figure, room, shots, noise=noise, seed=seed))


def _masks(scenes: list[Scene], seed: int = 0, *, wobble: float = 0.25) -> Iterator[np.ndarray]:
    """What a network gives: the exact alpha, small and soft, with an edge that wobbles from frame to frame."""
    random = np.random.default_rng(seed)
    for scene in scenes:
        exact = cv2.GaussianBlur(_small(scene.alpha), (0, 0), 1.0)
        noise = cv2.resize(random.standard_normal((32, 32)).astype(np.float32), (NETWORK, NETWORK))
        yield np.clip(exact + wobble * noise * 4.0 * exact * (1.0 - exact), 0.0, 1.0)


def _small(alpha: np.ndarray) -> np.ndarray:
    return cv2.resize(alpha, (NETWORK, NETWORK), interpolation=cv2.INTER_AREA)


def _smoothed(scenes: list[Scene], masks: list[np.ndarray]) -> list[np.ndarray]:
    smooth = MatteSmoother()
    return [smooth(scene.frame, mask) for scene, mask in zip(scenes, masks, strict=True)]


def _error(mattes: list[np.ndarray], scenes: list[Scene]) -> float:
    return float(
        np.mean([mean_absolute_error(matte, _small(s.alpha)) for matte, s in zip(mattes, scenes, strict=True)])
    )


@pytest.mark.parametrize("noise", [0.0, 2.0, 5.0])
def test_on_a_still_picture_the_flicker_falls_to_a_third(noise: float) -> None:
    scenes = _scenes([Shot()] * 20, noise=noise)
    masks = list(_masks(scenes))
    still = [EVERYWHERE] * 19
    assert flicker(_smoothed(scenes, masks), still) < 0.33 * flicker(masks, still)


@pytest.mark.parametrize("speed", [0.5, 2.0, 5.0, 10.0])
def test_the_matte_stays_with_what_moves(speed: float) -> None:
    """A plain average of this weight is four frames behind, and ghosts."""
    scenes = _scenes(walk(14, speed, -7 * speed), seed=1)
    exact = [_small(scene.alpha) for scene in scenes]
    masks = list(_masks(scenes, seed=1))
    mattes = _smoothed(scenes, masks)
    assert abs(lag(mattes, exact)) < 0.5
    assert _error(mattes, scenes) < 1.15 * _error(masks, scenes)


def test_the_first_mask_passes_as_it_is() -> None:
    scenes = _scenes([Shot()])
    mask = next(_masks(scenes))
    assert np.array_equal(MatteSmoother()(scenes[0].frame, mask), mask)


def test_a_cut_is_seen_at_once() -> None:
    before, after = _scenes([Shot()] * 4, seed=2), _scenes([Shot()] * 2, seed=3)
    masks = list(_masks(before + after))
    assert np.array_equal(_smoothed(before + after, masks)[4], masks[4])


@pytest.mark.parametrize("gain", [0.6, 0.8, 1.25, 1.6])
def test_another_exposure_is_no_cut(gain: float) -> None:
    scenes = _scenes([Shot()] * 6 + [Shot(gain=gain)] * 4)
    masks = list(_masks(scenes))
    mattes = _smoothed(scenes, masks)
    taken = [float(np.abs(matte - mask).mean()) for matte, mask in zip(mattes, masks, strict=True)]
    assert taken[6] > 0.5 * taken[5]  # as much of the past as before it


def test_a_fast_pan_is_followed_and_no_cut() -> None:
    """The whole picture moves by a twentieth of its width a frame, the person with it."""
    shots = [Shot(subject=(16.0 * index - 60.0, 0.0), camera=(16.0 * index, 0.0)) for index in range(8)]
    scenes = _scenes(shots, seed=4)
    masks = list(_masks(scenes, seed=4))
    mattes = _smoothed(scenes, masks)
    smooth = MatteSmoother()
    smooth(scenes[0].frame, masks[0])
    for scene in scenes[1:]:
        smooth.between(scene.frame)
        assert not smooth.needs_mask
    assert _error(mattes, scenes) < 1.1 * _error(masks, scenes)


def test_a_person_who_appears_is_there_within_two_frames() -> None:
    """Out of nothing, without a cut: half of the picture stays as it was."""
    with_person = _scenes([Shot()] * 3, seed=5)
    empty = np.zeros((NETWORK, NETWORK), np.float32)
    smooth = MatteSmoother()
    for scene in with_person:
        smooth(scene.background, empty)
    smooth(with_person[0].frame, _small(with_person[0].alpha))
    assert not smooth.needs_mask
    second = smooth(with_person[1].frame, _small(with_person[1].alpha))
    inside = _small(with_person[1].alpha) == 1.0
    assert second[inside].min() > 0.5
    assert second[inside].mean() > 0.95


def test_one_wrong_mask_hardly_shows() -> None:
    scenes = _scenes([Shot()] * 6)
    masks = [_small(scene.alpha) for scene in scenes]
    masks[4] = masks[4].copy()
    masks[4][10:40, 10:40] = 1.0  # a chair, for one frame
    assert _smoothed(scenes, masks)[4][12:38, 12:38].max() < 0.3


def test_between_masks_the_matte_moves_with_the_subject() -> None:
    """Carried along for three frames out of four, it is wrong by half as much as the mask of the first."""
    scenes = _scenes(walk(16, 4.0, -32.0), seed=6)
    exact = [_small(scene.alpha) for scene in scenes]
    carried, frozen, seen = [], [], []
    for index, scene in enumerate(scenes):
        if index % 4 == 0:
            smooth = MatteSmoother()
            smooth(scene.frame, exact[index])
            continue
        carried.append(smooth.between(scene.frame))
        frozen.append(exact[index - index % 4])
        seen.append(scene)
    assert _error(carried, seen) < 0.55 * _error(frozen, seen)


def test_after_a_cut_between_masks_a_mask_is_wanted_and_passes() -> None:
    before, after = _scenes([Shot()] * 2, seed=7), _scenes([Shot()] * 3, seed=8)
    smooth = MatteSmoother()
    assert smooth.needs_mask
    for scene, mask in zip(before, _masks(before), strict=True):
        smooth(scene.frame, mask)
    assert not smooth.needs_mask
    smooth.between(after[0].frame)
    assert smooth.needs_mask
    smooth.between(after[1].frame)
    assert smooth.needs_mask  # it carries on from the frame before, but its matte is of the other view
    mask = next(_masks(after))
    assert np.array_equal(smooth(after[2].frame, mask), mask)
    assert not smooth.needs_mask


def test_a_gap_in_time_is_bridged() -> None:
    """Four frames out of five are dropped."""
    scenes = _scenes(sway(60, 20.0, 60.0), seed=9)[::5]
    masks = list(_masks(scenes, seed=9))
    assert _error(_smoothed(scenes, masks), scenes) < 1.1 * _error(masks, scenes)


def test_a_reset_and_another_size_start_afresh() -> None:
    scenes = _scenes([Shot()] * 6)
    masks = list(_masks(scenes))
    smooth = MatteSmoother()
    smooth(scenes[0].frame, masks[0])
    smooth.reset()
    assert np.array_equal(smooth(scenes[1].frame, masks[1]), masks[1])
    smaller = cv2.resize(masks[2], (64, 48))
    assert np.array_equal(smooth(scenes[2].frame, smaller), smaller)
    halved = cv2.resize(scenes[3].frame, (WIDTH // 2, HEIGHT // 2))
    other = cv2.resize(masks[3], (64, 48))
    assert np.array_equal(smooth(halved, other), other)
    assert not np.array_equal(smooth(halved, smaller), smaller)


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_the_same_film_gives_the_same_bytes_whatever_the_threads(threads: int) -> None:
    scenes = _scenes(sway(6, 10.0, 12.0))
    masks = list(_masks(scenes))
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(1)
        expected = _smoothed(scenes, masks)
        cv2.setNumThreads(threads)
        got = _smoothed(scenes, masks)
    finally:
        cv2.setNumThreads(before)
    assert all(np.array_equal(one, other) for one, other in zip(got, expected, strict=True))


def test_what_is_given_back_is_the_callers() -> None:
    scenes = _scenes([Shot()] * 3)
    masks = list(_masks(scenes))
    expected = _smoothed(scenes, masks)
    smooth = MatteSmoother()
    for scene, mask, matte in zip(scenes, masks, expected, strict=True):
        got = smooth(scene.frame, mask)
        assert np.array_equal(got, matte)
        got[:] = -1.0
    smooth.between(scenes[2].frame)[:] = -1.0
    assert smooth.between(scenes[2].frame).min() >= 0.0


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (33, 7), (120, 90)], ids=str)
def test_every_size_of_frame_and_noise_keep_within_bounds(size: tuple[int, int]) -> None:
    random = np.random.default_rng(0)
    smooth = MatteSmoother()
    for index in range(4):
        frame = random.integers(0, 256, (*size, 3), dtype=np.uint8)
        matte = smooth(frame, random.random((17, 40), np.float32)) if index != 2 else smooth.between(frame)
        assert matte.shape == (17, 40)
        assert matte.dtype == np.float32
        assert matte.min() >= 0.0
        assert matte.max() <= 1.0


def test_a_plain_picture_is_smoothed_like_any_other() -> None:
    """It has no variance to be explained."""
    frame = np.full((90, 160, 3), 90, np.uint8)
    smooth = MatteSmoother()
    smooth(frame, np.zeros((16, 16), np.float32))
    assert smooth(frame, np.ones((16, 16), np.float32)).max() < 0.3


@pytest.mark.parametrize(
    "alpha",
    [
        np.full((4, 4), math.nan, np.float32),
        np.full((4, 4), 1.01, np.float32),
        np.full((4, 4), -0.01, np.float32),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 1), np.float32),
        np.zeros((0, 4), np.float32),
    ],
    ids=["NaN", "above 1", "below 0", "uint8", "3-dimensional", "empty"],
)
def test_other_alphas_are_refused_and_leave_no_trace(alpha: np.ndarray) -> None:
    smooth = MatteSmoother()
    frame = np.zeros((40, 60, 3), np.uint8)
    with pytest.raises(ImageError, match="must be"):
        smooth(frame, alpha)
    assert smooth.needs_mask


def test_other_frames_are_refused() -> None:
    smooth = MatteSmoother()
    for frame in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3), np.float32), np.zeros((0, 4, 3), np.uint8)):
        with pytest.raises(ImageError, match="must be"):
            smooth(frame, np.zeros((4, 4), np.float32))


def test_nothing_is_carried_along_before_the_first_mask() -> None:
    with pytest.raises(ImageError, match="needs its mask"):
        MatteSmoother().between(np.zeros((40, 60, 3), np.uint8))
