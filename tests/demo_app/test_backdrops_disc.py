"""The disc blur: against a disc convolved by brute force, and against what a lens does to a point of light."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_app.aperture import disc_radius, gaussian_sigma
from demo_app.backdrops.disc import LIVE_SAMPLING, STILL_SAMPLING, DiscBlur, kernel_of_variance
from demo_app.backdrops.gaussian import GaussianBlur
from demo_app.compositor import Compositor
from demo_app.halo import Scene, synthetic_scene
from demo_app.linear_light import LINEAR_TOP, SRGB_TO_LINEAR, encode
from edge_deeplab.errors import SpecError

SIZES = [(1, 1), (2, 3), (1, 500), (500, 1), (37, 53), (255, 257), (360, 640)]
F_NUMBERS = [0.5, 1.0, 2.0, 8.0, 32.0, math.inf]
SAMPLINGS = [LIVE_SAMPLING, STILL_SAMPLING]


def _stretched(backdrop: np.ndarray, height: int, width: int) -> np.ndarray:
    """As the compositor does it."""
    return cv2.resize(backdrop, (width, height), interpolation=cv2.INTER_CUBIC)


def _psnr(error: np.ndarray) -> float:
    return float(10.0 * np.log10(255.0**2 / (np.mean(error.astype(np.float64) ** 2) + 1e-9)))


def _disc_mean(values: np.ndarray, radius: float) -> np.ndarray:
    """Convolution with a disc, float64, HxWxC, one shifted copy for each of its pixels."""
    reach = math.ceil(radius + 0.5)
    fine = np.linspace(-0.5, 0.5, 65)[:-1] + 1 / 128
    padded = np.pad(values, ((reach, reach), (reach, reach), (0, 0)), mode="reflect")
    total, area = np.zeros_like(values), 0.0
    for down in range(-reach, reach + 1):
        for right in range(-reach, reach + 1):
            share = np.mean((down + fine[:, None]) ** 2 + (right + fine[None, :]) ** 2 <= radius**2)
            rows, columns = slice(reach + down, reach + down + len(values)), slice(reach + right, None)
            total += share * padded[rows, columns][:, : values.shape[1]]
            area += share
    return total / area


def _brute_force(frame: np.ndarray, background: np.ndarray, radius: float) -> np.ndarray:
    """sRGB codes of the normalised convolution of the background, float64 at full size."""
    light = SRGB_TO_LINEAR[frame].astype(np.float64)
    weight = background.astype(np.float64)[:, :, None]
    mean = _disc_mean(light * weight, radius) / _disc_mean(weight, radius)
    return encode(np.rint(mean).astype(np.uint16), np.empty(frame.shape, np.uint8))


@pytest.mark.parametrize(
    ("sampling", "worst", "mean"), [(LIVE_SAMPLING, 14, 2.5), (STILL_SAMPLING, 1, 0.1)], ids=["live", "still"]
)
def test_it_is_the_normalised_disc_convolution(sampling: float, worst: int, mean: float) -> None:
    scene = synthetic_scene(96, 128, seed=1)
    frame = np.minimum(scene.frame, 215)  # without highlights
    subject = cv2.convertScaleAbs(scene.alpha, alpha=255.0)
    grown = cv2.dilate(subject, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))
    expected = _brute_force(frame, np.maximum(1.0 - grown / 255.0, 1e-4), disc_radius(1.0, 96, 128))
    got = _stretched(DiscBlur(1.0, sampling=sampling)(frame, subject), 96, 128)
    # The live mode shrinks to half: its mask is grown by two pixels instead of one, and the frame ends in larger ones.
    background = cv2.dilate(subject, np.ones((5, 5))) == 0
    error = np.abs(got.astype(int) - expected)[8:-8, 8:-8][background[8:-8, 8:-8]]
    assert error.max() <= worst
    assert error.mean() <= mean


@pytest.mark.parametrize("f_number", [1.4, 2.0, 4.0, 8.0])
def test_the_live_mode_is_within_40_db_of_the_still_mode(f_number: float) -> None:
    frame = synthetic_scene(360, 640, seed=2).frame
    coverage = np.zeros((16, 16), np.uint8)
    live, still = (
        _stretched(DiscBlur(f_number, sampling=sampling)(frame, coverage), 360, 640).astype(int)
        for sampling in SAMPLINGS
    )
    assert _psnr(live - still) >= 40.0


@pytest.mark.parametrize("f_number", [1.4, 2.0, 4.0, 8.0])
def test_the_fast_mode_is_within_39_db_of_the_gaussian_at_full_size(f_number: float) -> None:
    frame = synthetic_scene(360, 640, seed=2).frame
    light = cv2.GaussianBlur(SRGB_TO_LINEAR[frame].astype(np.float32), (0, 0), gaussian_sigma(f_number, 360, 640))
    exact = encode(np.rint(light).astype(np.uint16), np.empty_like(frame))
    fast = _stretched(GaussianBlur(f_number)(frame, np.zeros((16, 16), np.uint8)), 360, 640)
    assert _psnr(fast.astype(int) - exact) >= 39.0


@pytest.mark.parametrize("variance", [0.05, 0.2, 0.5, 0.51, 0.8, 2.0])
def test_the_kernel_of_a_small_disc_has_its_variance_and_no_directions(variance: float) -> None:
    kernel = kernel_of_variance(variance).astype(np.float64)
    beside = np.arange(len(kernel)) - len(kernel) // 2
    across, down = beside[None, :], beside[:, None]
    assert kernel.min() >= 0.0
    assert kernel.max() == kernel[len(kernel) // 2, len(kernel) // 2]
    assert kernel.sum() == pytest.approx(1.0, abs=1e-6)
    assert (kernel * across**2).sum() == pytest.approx(variance, rel=0.1)
    # A function of the distance alone has x^4 three times x^2 y^2 in its mean.
    assert (kernel * across**4).sum() == pytest.approx(3.0 * (kernel * across**2 * down**2).sum(), rel=0.3)


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["live", "still"])
@pytest.mark.parametrize("f_number", [1.0, 1.4, 2.0, 4.0])
@pytest.mark.parametrize("shift", [0, 3])
def test_a_point_of_light_becomes_a_disc_of_the_f_numbers_radius(f_number: float, sampling: float, shift: int) -> None:
    height, width = 360, 640
    frame = np.zeros((height, width, 3), np.uint8)
    row, column = 180 + shift, 320 + shift
    frame[row - 1 : row + 2, column - 1 : column + 2] = 255
    blurred = _stretched(DiscBlur(f_number, sampling=sampling)(frame, np.zeros((16, 16), np.uint8)), height, width)
    light = SRGB_TO_LINEAR[blurred[:, :, 1]].astype(float)
    radius = disc_radius(f_number, height, width)
    away = np.hypot(*np.meshgrid(np.arange(width) - column, np.arange(height) - row))
    top = np.median(light[away < 0.5 * radius])
    disc = light > 0.5 * top

    assert math.sqrt(disc.sum() / math.pi) == pytest.approx(radius, rel=0.04, abs=0.6)  # its size
    assert np.hypot(*(np.argwhere(disc).mean(axis=0) - (row, column))) < 0.06 * radius + 0.5  # its place
    assert light[away < 0.6 * radius].std() < 0.06 * top  # flat inside
    assert light[away > 1.3 * radius + 4.0].max() < 0.02 * top  # nothing outside
    edge = away[disc & (cv2.erode(disc.astype(np.uint8), np.ones((3, 3))) == 0)]
    assert edge.std() < 0.05 * radius + 0.4  # round


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["live", "still"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("f_number", F_NUMBERS)
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (255, 235, 228), (200, 3, 90)], ids=str)
def test_a_constant_frame_stays_constant(
    size: tuple[int, int], f_number: float, sampling: float, colour: tuple[int, int, int]
) -> None:
    frame = np.empty((*size, 3), np.uint8)
    frame[:] = colour
    coverage = np.random.default_rng(1).integers(0, 256, (32, 32), dtype=np.uint8)
    got = DiscBlur(f_number, sampling=sampling)(frame, coverage)
    assert np.abs(got.astype(int) - colour).max() <= 1


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    f_number=st.sampled_from(F_NUMBERS),
    sampling=st.sampled_from(SAMPLINGS),
    low=st.sampled_from([0, 100, 190]),
    seed=st.integers(0, 99),
)
def test_the_backdrop_lies_between_the_colours_of_the_frame(
    height: int, width: int, f_number: float, sampling: float, low: int, seed: int
) -> None:
    """Also where no background is near, and where all is blown out."""
    random = np.random.default_rng(seed)
    frame = random.integers(low, 256, (height, width, 3), dtype=np.uint8)
    coverage = (255 * random.integers(0, 2, (24, 24))).astype(np.uint8)
    got = DiscBlur(f_number, sampling=sampling)(frame, coverage)
    assert got.dtype == np.uint8
    assert got.min() >= frame.min() - 1
    # A lamp's pixels may lose no colour to what is around them when shrunk, but are white at the most.
    assert got.max() <= max(frame.max() + 1, 224) or frame.max() >= 224


def test_an_infinite_f_number_leaves_the_background_as_it_is() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    assert np.array_equal(DiscBlur(math.inf)(frame, np.zeros((8, 8), np.uint8)), frame)


def test_a_subject_that_fills_the_frame_leaves_no_black() -> None:
    """Nothing is known of what is behind it: its own blur is better than a hole."""
    frame = np.full((300, 400, 3), 180, np.uint8)
    assert np.abs(DiscBlur()(frame, np.full((256, 256), 255, np.uint8)).astype(int) - 180).max() <= 1


@pytest.mark.parametrize("subject", [(205, 30, 25), (15, 15, 20), (250, 240, 230)], ids=["red", "dark", "bright"])
def test_halo_is_8_db_below_a_plain_disc_blur(subject: tuple[int, int, int]) -> None:
    """Against the exact portrait through a disc: the frame over the disc blur of the true background."""
    radius = disc_radius(2.0, 360, 640)
    size = 2 * math.ceil(radius) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)).astype(np.float32)
    disc /= disc.sum()
    gained = []
    for seed in range(3):
        scene = synthetic_scene(360, 640, seed, subject=subject)
        light = cv2.filter2D(SRGB_TO_LINEAR[scene.background].astype(np.float32), -1, disc).clip(0, LINEAR_TOP)
        exact = encode(np.rint(light).astype(np.uint16), np.empty_like(scene.frame))
        plain = cv2.filter2D(scene.frame, -1, disc)
        alpha = cv2.resize(scene.alpha, (256, 256), interpolation=cv2.INTER_AREA)
        ours = Compositor(DiscBlur())(scene.frame, alpha)
        ring = _ring(scene, radius)
        gained.append(_psnr(ours[ring] - exact[ring].astype(int)) - _psnr(plain[ring] - exact[ring].astype(int)))
    assert np.mean(gained) >= 8.0


def test_a_bright_background_does_not_vanish_at_the_subjects_edge() -> None:
    """A dark subject before a bright wall: without normalisation the wall is grey all around it."""
    scene = synthetic_scene(360, 640, seed=3, subject=(10, 10, 12))
    frame = np.where(scene.alpha[:, :, None] > 0.5, scene.frame, np.uint8(220))
    backdrop = _stretched(DiscBlur()(frame, cv2.convertScaleAbs(scene.alpha, alpha=255.0)), 360, 640)
    assert backdrop[_ring(scene, disc_radius(2.0, 360, 640))].min() >= 215


def _ring(scene: Scene, radius: float) -> np.ndarray:
    """The background within a disc's reach of the subject."""
    size = 2 * math.ceil(radius) + 1
    near = cv2.dilate(scene.alpha, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))) > 0.0
    return near & (scene.alpha == 0.0)


def test_the_background_does_not_depend_on_the_subjects_colour() -> None:
    """Nor on a white collar: at its edge are pixels that are part subject, part background, and they are no lamps."""
    coverage = cv2.convertScaleAbs(
        cv2.resize(synthetic_scene(360, 640, seed=4).alpha, (256, 256), interpolation=cv2.INTER_AREA), alpha=255.0
    )
    red, white = (
        _stretched(DiscBlur()(synthetic_scene(360, 640, seed=4, subject=colour).frame, coverage), 360, 640)
        for colour in ((205, 30, 25), (255, 255, 255))
    )
    background = synthetic_scene(360, 640, seed=4).alpha == 0.0
    assert np.abs(red.astype(int) - white)[background].max() <= 6


@pytest.mark.parametrize("blur", [DiscBlur, GaussianBlur])
def test_a_blurred_person_carries_nothing_of_the_background(blur: type[DiscBlur] | type[GaussianBlur]) -> None:
    """Privacy: the coverage is that of the background, which stays, and the person is blurred."""
    height, width = 360, 640
    portraits = []
    for colour in (0, 255):
        scene = synthetic_scene(height, width, seed=5)
        frame = np.where(scene.alpha[:, :, None] > 0.5, scene.frame, np.uint8(colour))
        portraits.append(
            _stretched(blur(0.5)(frame, 255 - cv2.convertScaleAbs(scene.alpha, alpha=255.0)), height, width)
        )
    person = cv2.erode(scene.alpha, np.ones((5, 5))) == 1.0
    assert np.abs(portraits[0].astype(int) - portraits[1])[person].max() <= 12


@pytest.mark.parametrize("blur", [DiscBlur, GaussianBlur])
def test_a_frame_moved_by_a_pixel_gives_the_backdrop_moved_by_a_pixel(
    blur: type[DiscBlur] | type[GaussianBlur],
) -> None:
    """The grid of the shrunk picture must not shimmer in a pan, not even with small lamps."""
    random = np.random.default_rng(3)
    wide = cv2.GaussianBlur(random.integers(0, 60, (360, 660, 3), dtype=np.uint8), (0, 0), 1.0)
    for row, column in random.integers(30, 330, (40, 2)) * (1, 2):
        cv2.circle(wide, (int(column), int(row)), 3, (255, 250, 240), -1, cv2.LINE_AA)
    coverage = np.zeros((16, 16), np.uint8)
    first, *others = (
        _stretched(blur(2.0)(np.ascontiguousarray(wide[:, start : start + 640]), coverage), 360, 640).astype(int)
        for start in range(9)
    )
    for start, other in enumerate(others, 1):
        assert _psnr(other[:, 20 : 620 - start] - first[:, 20 + start : 620]) >= 38.0


@pytest.mark.parametrize("sampling", SAMPLINGS, ids=["live", "still"])
def test_the_same_bytes_on_one_thread_and_on_two(sampling: float) -> None:
    frame = synthetic_scene(480, 640, seed=4).frame
    coverage = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    before = cv2.getNumThreads()
    try:
        backdrops = []
        for threads in (1, 2):
            cv2.setNumThreads(threads)
            backdrops.append(DiscBlur(1.4, sampling=sampling)(frame, coverage).tobytes())
    finally:
        cv2.setNumThreads(before)
    assert backdrops[0] == backdrops[1]


def test_buffers_follow_the_size_of_the_frames() -> None:
    blur = DiscBlur()
    coverage = np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)
    for size in ((120, 160), (90, 70), (120, 160)):
        frame = np.random.default_rng(1).integers(0, 256, (*size, 3), dtype=np.uint8)
        assert np.array_equal(blur(frame, coverage), DiscBlur()(frame, coverage))


@pytest.mark.parametrize("f_number", [-1.0, 0.0, 0.4, math.nan])
def test_f_numbers_that_do_not_exist_are_refused(f_number: float) -> None:
    with pytest.raises(SpecError, match="does not exist"):
        DiscBlur(f_number)
