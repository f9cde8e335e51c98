"""The matte of a live frame: the frame's own edge, hair that is hair, no seams, no old background in the colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_app.compositor import Compositor
from demo_app.halo import synthetic_scene
from demo_app.matte.guided_filter import coefficients, colour_planes
from demo_app.matte.live import LiveRefiner
from demo_app.matte.tighten import tighten

HEIGHT, WIDTH = 720, 1280


@dataclass(frozen=True)
class _Truth:
    """A frame with everything that it was made of.

    Attributes:
        subject: the subject's own colours, RGB, uint8, HxWx3.
        background: RGB, uint8, HxWx3.
        alpha: exact coverage, float32, HxW.
        frame: the mixture, RGB, uint8, HxWx3.
    """

    subject: np.ndarray
    background: np.ndarray
    alpha: np.ndarray

    @property
    def frame(self) -> np.ndarray:
        share = self.alpha[:, :, None]
        return np.rint(self.subject * share + self.background * (1.0 - share)).astype(np.uint8)

    def seen(self) -> np.ndarray:
        """What a network tells: a blurred map at its own size, in which single hairs are lost."""
        small = cv2.resize(self.alpha, (256, 256), interpolation=cv2.INTER_AREA)
        return np.clip((cv2.GaussianBlur(small, (0, 0), 2.0) - 0.5) * 1.3 + 0.5, 0.0, 1.0)

    def edge(self) -> np.ndarray:
        """Pixels within 15 of one that is neither all subject nor all background: bool, HxW."""
        around = np.ones((31, 31))
        return (cv2.dilate(self.alpha, around) > 0.02) & (cv2.erode(self.alpha, around) < 0.98)


def _shoulders() -> _Truth:
    scene = synthetic_scene(HEIGHT, WIDTH, seed=1)
    subject = np.empty_like(scene.frame)
    subject[:] = (205, 30, 25)
    return _Truth(subject, scene.background, scene.alpha)


def _hair() -> _Truth:
    """Dark loose hair, one to two pixels wide, before a bright window in a dim room."""
    random, fine = np.random.default_rng(2), 4
    mask = np.zeros((HEIGHT * fine, WIDTH * fine), np.uint8)
    centre, axes = np.array([WIDTH * fine // 2, 300 * fine]), np.array([108 * fine, 144 * fine])
    cv2.ellipse(mask, centre.tolist(), axes.tolist(), 0, 0, 360, (255,), -1)
    for _ in range(200):
        angle = random.uniform(-np.pi, 0.0)
        point = centre + 0.97 * axes * (np.cos(angle), np.sin(angle))
        direction, bend, step = angle + random.normal(0, 0.5), random.normal(0, 0.12), random.uniform(4, 14) * fine
        strand = [point]
        for _ in range(12):
            point = point + 0.3 * step * np.array([np.cos(direction), np.sin(direction)])
            direction += bend
            strand.append(point)
        cv2.polylines(mask, [np.rint(strand).astype(np.int32)], False, (255,), int(random.integers(3, 9)))
    alpha = cv2.GaussianBlur(
        cv2.resize(mask, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA) / np.float32(255), (0, 0), 0.7
    )

    background = synthetic_scene(HEIGHT, WIDTH, seed=5).background // 2 + 20
    background[80:480, 250:620] = (250, 250, 245)
    subject = np.empty_like(background)
    subject[:] = (45, 30, 25)
    return _Truth(subject, background, alpha)


@pytest.fixture(scope="module")
def shoulders() -> _Truth:
    return _shoulders()


@pytest.fixture(scope="module")
def hair() -> _Truth:
    return _hair()


def _error(coverage: np.ndarray, truth: _Truth) -> float:
    return float(((coverage / 255.0 - truth.alpha)[truth.edge()] ** 2).mean())


def _stretched(truth: _Truth) -> np.ndarray:
    return cv2.resize(tighten(truth.frame, truth.seen()), (WIDTH, HEIGHT)) * 255.0


def test_the_edge_is_the_frames_and_not_the_networks(shoulders: _Truth) -> None:
    refined = LiveRefiner(HEIGHT, WIDTH)(shoulders.frame, shoulders.seen()).coverage
    assert _error(refined, shoulders) < 0.08 * _error(_stretched(shoulders), shoulders)


def test_hair_that_the_network_does_not_see_is_found(hair: _Truth) -> None:
    refined = LiveRefiner(HEIGHT, WIDTH)(hair.frame, hair.seen()).coverage
    assert _error(refined, hair) < 0.5 * _error(_stretched(hair), hair)
    strands = (hair.alpha > 0.5) & (_stretched(hair) < 64)
    assert strands.sum() > 1000
    assert (refined[strands] > 128).mean() > 0.3


def test_a_matte_that_is_tightened_already_gives_the_same_edge(shoulders: _Truth) -> None:
    refiner = LiveRefiner(HEIGHT, WIDTH)
    once = refiner(shoulders.frame, shoulders.seen()).coverage.astype(int).copy()
    twice = refiner(shoulders.frame, tighten(shoulders.frame, shoulders.seen())).coverage
    assert np.abs(twice - once)[shoulders.edge()].mean() < 3.0


def test_an_exact_alpha_at_the_frames_size_stays_about_as_it_is(shoulders: _Truth) -> None:
    refined = LiveRefiner(HEIGHT, WIDTH)(shoulders.frame, shoulders.alpha).coverage
    assert np.abs(refined / 255.0 - shoulders.alpha)[shoulders.edge()].mean() < 0.01


def test_far_from_the_edge_the_texture_leaves_no_trace(shoulders: _Truth) -> None:
    refined = LiveRefiner(HEIGHT, WIDTH)(shoulders.frame, shoulders.seen()).coverage
    around = np.ones((151, 151))
    assert (refined[cv2.dilate(shoulders.alpha, around) == 0.0] == 0).all()
    assert (refined[cv2.erode(shoulders.alpha, around) == 1.0] == 255).all()


def _everywhere(frame: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The same filter without tiles, boxes and certainty: its functions stretched over the whole frame, in float."""
    height, width = frame.shape[:2]
    cell = max(1, -(-max(height, width) // 160))
    rows, columns = -(-height // cell), -(-width // cell)

    def in_cells(picture: np.ndarray) -> np.ndarray:
        cells = np.empty((rows, columns, *picture.shape[2:]))
        for y, x in np.ndindex(rows, columns):
            cells[y, x] = picture[y * cell : (y + 1) * cell, x * cell : (x + 1) * cell].mean((0, 1))
        return cells

    colours = colour_planes(np.rint(in_cells(frame)).astype(np.uint8))
    full = cv2.resize(alpha, (width, height), interpolation=cv2.INTER_LINEAR)
    guess = tighten(frame, in_cells(full).astype(np.float32))
    stretched = [
        cv2.resize(plane, (columns * cell, rows * cell))[:height, :width] for plane in coefficients(colours, guess, 2)
    ]
    value = stretched[3] + sum(stretched[channel] * frame[:, :, channel] / 255.0 for channel in range(3))
    return np.rint(np.clip((value - 0.2) / 0.6, 0.0, 1.0) * 255.0)


@pytest.mark.parametrize("size", [(90, 160), (180, 320), (181, 333), (700, 501)], ids=str)
def test_tiles_leave_no_seam(size: tuple[int, int]) -> None:
    """Where pixels are left out for certain, evaluating them gives the same."""
    scene = synthetic_scene(*size, seed=3)
    alpha = cv2.GaussianBlur(cv2.resize(scene.alpha, size[::-1]), (0, 0), size[0] / 100.0)
    difference = np.abs(LiveRefiner(*size)(scene.frame, alpha).coverage - _everywhere(scene.frame, alpha))
    assert difference.max() <= 3  # means of cells are rounded to eight bits once more or less often


def test_shifted_by_a_tile_the_picture_gives_the_shifted_matte() -> None:
    scene = synthetic_scene(320, 640, seed=4)
    alpha = cv2.GaussianBlur(scene.alpha, (0, 0), 4.0)
    refiner = LiveRefiner(320, 608)
    here = refiner(np.ascontiguousarray(scene.frame[:, :608]), np.ascontiguousarray(alpha[:, :608])).coverage.copy()
    for shift in (16, 32):  # a tile is four cells of four pixels
        there = refiner(
            np.ascontiguousarray(scene.frame[:, shift : shift + 608]),
            np.ascontiguousarray(alpha[:, shift : shift + 608]),
        ).coverage
        assert np.array_equal(there[:, :-shift], here[:, shift:])


def test_an_edge_far_away_changes_nothing_here(hair: _Truth) -> None:
    """Cells near the edges alone are looked at, and they are enough: another edge has more of them looked at."""
    # Colours of the background matter too: the decontamination takes the means of many cells.
    head = (slice(60, 520), slice(380, 900))
    seen = hair.seen()
    also = seen.copy()
    also[:8, :8] = also[-8:, -8:] = 0.5
    alone, rgb = Compositor(), {}
    for name, alpha in (("head", seen), ("head and corners", also)):
        colours, coverage = alone.cut_out(hair.frame, alpha)
        rgb[name] = np.dstack([colours, coverage])[head].astype(int)
    assert np.abs(rgb["head"] - rgb["head and corners"]).max() <= 1


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 400),
    alpha_height=st.integers(1, 40),
    alpha_width=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_any_size_of_frame_and_alpha_gives_a_matte_of_the_frame(
    height: int, width: int, alpha_height: int, alpha_width: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    frame = random.integers(0, 256, (height, width, 3), dtype=np.uint8)
    refiner = LiveRefiner(height, width)
    alpha = random.random((alpha_height, alpha_width), np.float32)
    first = refiner(frame, alpha)
    assert first.coverage.shape == (height, width)
    assert np.isfinite(first.alpha).all()
    kept = first.coverage.copy()
    for certain in (0.0, 1.0):  # and nothing of a frame is left in the next one's
        assert (refiner(frame, np.full_like(alpha, certain)).coverage == 255 * certain).all()
    assert np.array_equal(refiner(frame, alpha).coverage, kept)


@pytest.mark.parametrize(("make", "share"), [(_shoulders, 0.35), (_hair, 0.5)], ids=["shoulders", "hair"])
def test_edge_colours_lose_the_old_background(make: Callable[[], _Truth], share: float) -> None:
    truth = make()
    rgb, coverage = Compositor().cut_out(truth.frame, truth.seen())
    mixed = (truth.alpha > 0.1) & (truth.alpha < 0.9)

    def error(colours: np.ndarray) -> float:
        """Mean squared difference from the subject's true colours, as far as they are shown."""
        return float(((coverage[:, :, None] / 255.0 * (colours.astype(float) - truth.subject))[mixed] ** 2).mean())

    assert error(rgb) < share * error(truth.frame)


def test_no_bright_rim_is_left_over_another_backdrop(hair: _Truth) -> None:
    """Against the composite of true colours and true coverage over green, where the old background was white."""

    def green(frame: np.ndarray, coverage: np.ndarray) -> np.ndarray:
        return np.full((9, 16, 3), (30, 120, 60), np.uint8)

    share = hair.alpha[:, :, None]
    exact = hair.subject * share + np.array([30, 120, 60]) * (1.0 - share)
    seen = tighten(hair.frame, hair.seen())

    def error(refine: bool) -> float:
        portrait = Compositor(green, refine=refine)(hair.frame, seen)
        return float(((portrait - exact)[hair.edge()] ** 2).mean())

    assert error(refine=True) < 0.25 * error(refine=False)
