"""Flicker, dtSSD and lag of films whose answers are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edge_deeplab.evaluation.temporal import dt_ssd, flicker, lag, still_pixels


def _bar(left: float, *, soft: float = 1.0, width: float = 50.0) -> np.ndarray:
    """A bar of a subject, from ``left`` on: 20x200."""
    x = np.arange(200) + 0.5
    rising = np.clip((x - left) / soft + 0.5, 0.0, 1.0)
    falling = np.clip((left + width - x) / soft + 0.5, 0.0, 1.0)
    return np.tile((rising * falling).astype(np.float32), (20, 1))


def _film(speed: float, behind: float = 0.0, **shape: float) -> list[np.ndarray]:
    return [_bar(60.0 + speed * (index - behind), **shape) for index in range(14)]


@pytest.mark.parametrize("speed", [0.5, 2.0, 7.5, -4.0])
@pytest.mark.parametrize("behind", [0.0, 0.25, 1.0, 2.5, -1.0])
def test_lag_is_what_the_mattes_are_behind_in_frames(speed: float, behind: float) -> None:
    assert lag(_film(speed, behind), _film(speed)) == pytest.approx(behind, abs=0.02)


@pytest.mark.parametrize(
    "shape", [{"soft": 5.0}, {"width": 46.0}, {"width": 54.0}], ids=["soft", "too small", "too large"]
)
def test_a_matte_of_another_shape_is_not_late(shape: dict[str, float]) -> None:
    """By two columns on each side."""
    off = (50.0 - shape.get("width", 50.0)) / 2.0
    mattes = [_bar(60.0 + 4.0 * index + off, **shape) for index in range(14)]
    assert lag(mattes, _film(4.0)) == pytest.approx(0.0, abs=0.02)


def test_an_average_over_time_is_late_by_its_mean_age() -> None:
    """Weight 0.5: sum k 0.5^(k + 1) = 1 frame."""
    exact = [_bar(20.0 + 2.0 * index, width=60.0) for index in range(40)]
    mean, mattes = exact[0], []
    for alpha in exact:
        mean = mean + 0.5 * (alpha - mean)
        mattes.append(mean)
    assert lag(mattes[15:], exact[15:], reach=8) == pytest.approx(1.0, abs=0.05)


def test_errors_away_from_the_motion_are_not_lag() -> None:
    mattes = _film(3.0)
    for matte in mattes:
        matte[:, 180:] = 1.0
    assert lag(mattes, _film(3.0)) == pytest.approx(0.0, abs=1e-6)


def test_flicker_is_the_mean_change_of_what_stands() -> None:
    still = np.zeros((4, 10), bool)
    still[:, :5] = True
    mattes = [np.full((4, 10), value, np.float32) for value in (0.5, 0.75, 0.5)]
    for index, matte in enumerate(mattes):
        matte[:, 5:] = index % 2  # what moves does not count
    assert flicker(mattes, [still, still]) == pytest.approx(0.25)
    assert flicker(mattes, [still, np.zeros((4, 10), bool)]) == pytest.approx(0.25)
    assert flicker([mattes[0]] * 3, [still, still]) == 0.0


def test_dt_ssd_is_0_for_a_constant_error_and_the_step_for_one_that_comes_and_goes() -> None:
    exact = [alpha * np.float32(0.5) for alpha in _film(3.0)]
    assert dt_ssd([alpha + np.float32(0.2) for alpha in exact], exact) == pytest.approx(0.0, abs=1e-6)
    blinking = [alpha + np.float32(0.2 * (index % 2)) for index, alpha in enumerate(exact)]
    assert dt_ssd(blinking, exact) == pytest.approx(0.2, rel=1e-5)


def test_dt_ssd_averages_roots_over_time() -> None:
    """Half of the pixels step by 0.4 once in two steps: sqrt(0.08) and 0."""
    exact = [np.zeros((2, 4), np.float32)] * 3
    step = np.zeros((2, 4), np.float32)
    step[:, :2] = 0.4
    assert dt_ssd([exact[0], step, step], exact) == pytest.approx(0.5 * 0.08**0.5)


def test_still_pixels_are_those_with_nothing_moving_near() -> None:
    random = np.random.default_rng(0)
    before = cv2.resize(random.integers(0, 256, (18, 32, 3), dtype=np.uint8), (640, 360))
    after = before.copy()
    after[90:180, 200:300] = np.roll(before, 9, axis=1)[90:180, 200:300]
    grain = random.normal(0.0, 3.0, (2, *before.shape))
    before, after = (
        np.clip(picture + noise, 0, 255).astype(np.uint8) for picture, noise in zip((before, after), grain, strict=True)
    )
    still = still_pixels(before, after, 256, 256)
    moving = np.zeros((256, 256), bool)
    moving[64:128, 80:120] = True
    assert still[moving].mean() < 0.05
    around = cv2.dilate(moving.astype(np.uint8), np.ones((15, 15), np.uint8)) > 0
    assert still[~around].mean() > 0.99
    assert still_pixels(before, before, 64, 80).all()


def test_films_that_do_not_belong_together_are_refused() -> None:
    film, everywhere = _film(2.0), np.ones((20, 200), bool)
    with pytest.raises(ValueError, match="changes"):
        flicker(film, [everywhere])
    with pytest.raises(ValueError, match="moves everywhere"):
        flicker(film[:2], [~everywhere])
    with pytest.raises(ValueError, match="same length"):
        dt_ssd(film, film[1:])
    with pytest.raises(ValueError, match="two frames or more"):
        dt_ssd(film[:1], film[:1])
    with pytest.raises(ValueError, match="7 frames or more"):
        lag(film[:6], film[:6])
    with pytest.raises(ValueError, match="nothing moves"):
        lag(film[:1] * 9, film[:1] * 9)
