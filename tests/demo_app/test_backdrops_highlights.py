"""Lamps become bright discs of their own colour; walls, skies and ordinary scenes stay as they are."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from demo_app.backdrops.disc import DiscBlur
from demo_app.linear_light import LINEAR_TOP, SRGB_TO_LINEAR

NOBODY = np.zeros((16, 16), np.uint8)
HEIGHT, WIDTH = 360, 640


def _backdrop(frame: np.ndarray, coverage: np.ndarray = NOBODY, f_number: float = 2.0) -> np.ndarray:
    small = DiscBlur(f_number)(frame, coverage)
    return cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)


def _lamp(colour: tuple[int, int, int], radius: int = 3, around: tuple[int, int, int] = (6, 6, 6)) -> np.ndarray:
    frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    frame[:] = around
    cv2.circle(frame, (320, 180), radius, colour, -1, cv2.LINE_AA)
    return frame


def test_a_lamp_is_brighter_than_its_code_values_say() -> None:
    white, almost = (_backdrop(_lamp((code, code, code)))[180, 320, 1] for code in (255, 220))
    light = SRGB_TO_LINEAR[[white, almost]].astype(float)
    assert light[0] > 6.0 * light[1]


def test_an_ordinary_scene_keeps_its_mean_light() -> None:
    texture = np.random.default_rng(0).integers(0, 224, (45, 80, 3), dtype=np.uint8)
    frame = cv2.resize(texture, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    before, after = (SRGB_TO_LINEAR[picture].mean() / LINEAR_TOP for picture in (frame, _backdrop(frame)))
    assert after == pytest.approx(before, rel=0.01)


def test_a_white_wall_stays_white_and_does_not_grow() -> None:
    frame = np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    frame[:, 320:] = 255
    row = _backdrop(frame)[180, :, 1]
    assert row[345:].min() >= 254
    # Blurred plainly, half of the light is at the edge itself. The wall may gain a few pixels, not its disc of 15.
    half = 0.5 * (SRGB_TO_LINEAR[255] + float(SRGB_TO_LINEAR[90]))
    assert 320 - int(np.argmax(SRGB_TO_LINEAR[row] > half)) <= 6
    assert row[:300].max() <= 92


@pytest.mark.parametrize("around", [(6, 6, 6), (90, 90, 90)], ids=["night", "dusk"])
@pytest.mark.parametrize("colour", [(255, 240, 226), (255, 255, 255), (230, 240, 255)], ids=["warm", "white", "cold"])
def test_a_lamps_disc_has_the_lamps_colour_and_no_more(
    colour: tuple[int, int, int], around: tuple[int, int, int]
) -> None:
    """Gain per channel would leave the warm lamp's red alone above the onset: neon."""
    disc = SRGB_TO_LINEAR[_backdrop(_lamp(colour, around=around))[180, 320]] / float(LINEAR_TOP)
    lamp = SRGB_TO_LINEAR[list(colour)] / float(LINEAR_TOP)
    assert disc.max() > 1.2 * SRGB_TO_LINEAR[around[0]] / LINEAR_TOP
    assert disc.max() / disc.min() <= lamp.max() / lamp.min() + 0.05
    assert np.array_equal(np.argsort(disc, kind="stable")[[0, -1]], np.argsort(lamp, kind="stable")[[0, -1]])


@pytest.mark.parametrize("colour", [(255, 90, 30), (60, 255, 90), (255, 255, 0)], ids=["red", "green", "yellow"])
def test_saturated_colours_are_no_highlights(colour: tuple[int, int, int]) -> None:
    """The same lamp a hundredth darker, and so is its disc: no gain in any channel."""
    darker = tuple(int(0.99 * part) for part in colour)
    discs = [SRGB_TO_LINEAR[_backdrop(_lamp(each, 6))[180, 320]].astype(float) for each in (colour, darker)]
    assert (discs[0] <= 1.15 * discs[1] + 100.0).all()


@pytest.mark.parametrize("radius", [1, 3, 8])
def test_one_code_value_more_is_a_small_step(radius: int) -> None:
    """A lamp that flickers by the camera's noise must not pop, neither at the onset nor at the top."""
    discs = np.array([_backdrop(_lamp((code,) * 3, radius))[180, 320, 1] for code in range(215, 256)], int)
    steps = np.diff(discs)
    assert steps.min() >= -1
    assert steps.max() <= 20
    assert discs[-1] - discs[0] >= 2 * steps.max()


def test_a_lamp_that_moves_by_a_pixel_keeps_its_light() -> None:
    """Two pixels wide, it would be one pixel of the halved picture or four half ones."""
    sums = []
    for start in range(8):
        frame = np.full((HEIGHT, WIDTH, 3), 6, np.uint8)
        frame[180 + start : 182 + start, 320 + start : 322 + start] = 255
        sums.append(SRGB_TO_LINEAR[_backdrop(frame)].astype(float).sum())
    assert max(sums) <= 1.1 * min(sums)


def test_a_lamp_of_the_subject_stays_with_the_subject() -> None:
    coverage = np.zeros((HEIGHT, WIDTH), np.uint8)
    coverage[120:240, 260:380] = 255
    backdrop = _backdrop(_lamp((255, 255, 255), 12, around=(40, 40, 40)), coverage)
    assert backdrop[coverage == 0].max() <= 44
