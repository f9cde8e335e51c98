"""Made films: what they say about themselves is true."""

from __future__ import annotations

import numpy as np
import pytest

from demo_app.halo import in_front_of, textured_room
from demo_app.linear_light import SRGB_TO_LINEAR
from demo_app.moving_scene import Shot, film, long_haired_figure, sway, walk

HEIGHT, WIDTH = 90, 160
FIGURE, ROOM = long_haired_figure(HEIGHT, WIDTH, 0), textured_room(HEIGHT, WIDTH, 1)


def _columns(alpha: np.ndarray) -> float:
    """Where the head's middle is: the mean column of its rows."""
    weights = alpha[: HEIGHT // 2].sum(axis=0)
    return float((weights * np.arange(WIDTH)).sum() / weights.sum())


def test_the_subject_moves_by_the_shots_and_the_alpha_with_it() -> None:
    places = [_columns(scene.alpha) for scene in film(FIGURE, ROOM, walk(5, 2.5, -5.0))]
    assert np.diff(places) == pytest.approx([2.5] * 4, abs=0.02)


def test_every_frame_is_the_mix_that_its_alpha_says() -> None:
    for scene in film(FIGURE, ROOM, sway(4, 6.0, 8.0)):
        assert np.array_equal(scene.frame[scene.alpha == 0.0], scene.background[scene.alpha == 0.0])
        partial = (scene.alpha > 0.0) & (scene.alpha < 1.0)
        assert partial.mean() > 0.01  # hair
        # Linear light: frame = alpha subject + (1 - alpha) background, the subject between black and white.
        light, behind = SRGB_TO_LINEAR[scene.frame].astype(float), SRGB_TO_LINEAR[scene.background].astype(float)
        rest = (1.0 - scene.alpha)[:, :, None] * behind
        slack = 0.01 * 65535
        assert (light >= rest - slack).all()
        assert (light <= rest + scene.alpha[:, :, None] * 65535 + slack).all()


def test_a_still_subject_before_a_moving_camera_keeps_its_alpha() -> None:
    first, second = film(FIGURE, ROOM, [Shot(), Shot(camera=(3.0, 1.0))])
    assert np.array_equal(first.alpha, second.alpha)
    assert np.array_equal(first.background[10:-10, 10:-10], second.background[11:-9, 13:-7])


def test_gain_is_light() -> None:
    dark, bright = film(FIGURE, (ROOM // 2).astype(np.uint8), [Shot(gain=0.5), Shot()])
    ratio = SRGB_TO_LINEAR[bright.background].astype(float).sum() / SRGB_TO_LINEAR[dark.background].astype(float).sum()
    assert ratio == pytest.approx(2.0, rel=0.01)
    assert np.array_equal(dark.alpha, bright.alpha)


def test_noise_is_as_strong_as_asked_new_in_each_frame_and_not_in_the_truth() -> None:
    clean, noisy = (list(film(FIGURE, ROOM, [Shot()] * 2, noise=noise, seed=3)) for noise in (0.0, 4.0))
    middle = (clean[0].frame > 30) & (clean[0].frame < 225)
    grain = [noisy[i].frame[middle].astype(float) - clean[i].frame[middle] for i in range(2)]
    assert grain[0].std() == pytest.approx(4.0, rel=0.05)
    assert abs(np.corrcoef(grain)[0, 1]) < 0.05
    assert np.array_equal(noisy[0].background, clean[0].background)
    assert np.array_equal(noisy[0].alpha, clean[0].alpha)


def test_the_same_seed_gives_the_same_film_and_another_one_another() -> None:
    def frames(seed: int) -> bytes:
        figure = long_haired_figure(HEIGHT, WIDTH, seed)
        return b"".join(s.frame.tobytes() for s in film(figure, ROOM, sway(3, 4.0, 9.0), noise=2.0, seed=seed))

    assert frames(5) == frames(5)
    assert frames(5) != frames(6)


def test_light_adds_in_front_of_a_background() -> None:
    white, black = np.full((1, 1, 3), 255, np.uint8), np.zeros((1, 1, 3), np.uint8)
    half = in_front_of(white, np.full((1, 1), 0.5, np.float32), black)
    assert half.tolist() == [[[188, 188, 188]]]  # half of the light of white
