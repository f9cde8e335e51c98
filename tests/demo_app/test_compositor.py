"""The portrait: sharp where the subject is, blurred where it is not, and no trace of one in the other."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_app.backdrops.gaussian import GaussianBlur
from demo_app.compositor import Compositor
from demo_app.halo import halo_psnr, plain_portrait, synthetic_scene
from demo_app.linear_light import LINEAR_TO_SRGB, SRGB_TO_LINEAR
from edge_deeplab.errors import ImageError, SpecError

SIZES = [(1, 1), (2, 3), (1, 500), (500, 1), (37, 53), (255, 257), (360, 640)]
ALPHA_SIZES = [(1, 1), (16, 16), (256, 256)]

GREEN = (30, 120, 60)


def _green(frame: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """A backdrop of one colour."""
    return np.full((2, 3, 3), GREEN, np.uint8)


def _noise(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("alpha_size", ALPHA_SIZES, ids=str)
@pytest.mark.parametrize("refine", [True, False], ids=["refined", "fast"])
@pytest.mark.parametrize("hide_subject", [True, False], ids=["privacy", "portrait"])
def test_all_that_is_kept_is_the_frame_to_the_bit_and_all_else_the_backdrop(
    size: tuple[int, int], alpha_size: tuple[int, int], refine: bool, hide_subject: bool
) -> None:
    frame = _noise(*size)
    compose = Compositor(_green, refine=refine, hide_subject=hide_subject)
    for value in (0.0, 1.0, 0.0):
        portrait = compose(frame, np.full(alpha_size, value, np.float32))
        kept = hide_subject == (value == 0.0)
        assert np.array_equal(portrait, frame if kept else np.broadcast_to(np.uint8(GREEN), frame.shape))
        assert (compose.coverage == (255 if kept else 0)).all()
        assert compose.coverage.shape == size


@pytest.mark.parametrize("alpha_size", ALPHA_SIZES, ids=str)
def test_no_subject_gives_the_full_size_gaussian_blur_in_linear_light(alpha_size: tuple[int, int]) -> None:
    frame = cv2.GaussianBlur(_noise(240, 320), (0, 0), 2.0)
    sigma = 0.02 * math.hypot(240, 320)
    light = cv2.GaussianBlur(SRGB_TO_LINEAR[frame].astype(np.float32), (0, 0), sigma)
    expected = LINEAR_TO_SRGB[np.rint(light).astype(np.uint16)]
    got = Compositor(GaussianBlur(1.0))(frame, np.zeros(alpha_size, np.float32))
    inside = np.s_[24:-24, 24:-24]  # small pictures end in larger pixels
    assert np.abs(got[inside].astype(int) - expected[inside]).max() <= 2


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 3, 90)], ids=str)
def test_a_constant_frame_stays_constant(size: tuple[int, int], colour: tuple[int, int, int]) -> None:
    frame = np.empty((*size, 3), np.uint8)
    frame[:] = colour
    alpha = np.random.default_rng(1).random((32, 32), np.float32)
    assert np.abs(Compositor()(frame, alpha).astype(int) - frame).max() <= 1


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    f_number=st.sampled_from([math.inf, 6.0, 2.0, 1.0, 0.5]),
    alpha_height=st.integers(1, 40),
    alpha_width=st.integers(1, 40),
    seed=st.integers(0, 99),
)
def test_every_pixel_lies_between_the_colours_of_the_frame(
    height: int, width: int, f_number: float, alpha_height: int, alpha_width: int, seed: int
) -> None:
    """Also where no background is near: 0 / 0 would give black."""
    frame = (100 + _noise(height, width, seed) // 4).astype(np.uint8)
    alpha = np.rint(np.random.default_rng(seed).random((alpha_height, alpha_width))).astype(np.float32)
    portrait = Compositor(GaussianBlur(f_number))(frame, alpha)
    assert portrait.shape == frame.shape
    assert portrait.dtype == np.uint8
    # Bicubic stretching overshoots a little at steps of the blurred picture.
    assert portrait.min() >= frame.min() - 8
    assert portrait.max() <= frame.max() + 8


def test_a_subject_that_fills_all_but_a_speck_leaves_no_black() -> None:
    frame = np.full((300, 400, 3), 180, np.uint8)
    alpha = np.ones((300, 400), np.float32)
    alpha[150, 200] = 0.0
    assert np.abs(Compositor()(frame, alpha).astype(int) - 180).max() <= 1


@pytest.mark.parametrize("subject", [(205, 30, 25), (15, 15, 20), (250, 240, 230)], ids=["red", "dark", "bright"])
@pytest.mark.parametrize("alpha_size", [None, (256, 256)], ids=["frame's alpha", "network's alpha"])
def test_halo_is_5_db_below_a_plain_blur_even_in_linear_light(
    subject: tuple[int, int, int], alpha_size: tuple[int, int] | None
) -> None:
    scene = synthetic_scene(360, 640, seed=3, subject=subject)
    sigma = 0.01 * math.hypot(360, 640)
    alpha = scene.alpha if alpha_size is None else cv2.resize(scene.alpha, alpha_size, interpolation=cv2.INTER_AREA)
    ours = halo_psnr(Compositor()(scene.frame, alpha), scene, sigma)
    assert ours >= 28.0
    assert ours >= halo_psnr(plain_portrait(scene, sigma), scene, sigma) + 5.0
    assert ours >= halo_psnr(plain_portrait(scene, sigma, linear=True), scene, sigma) + 5.0


def test_the_background_does_not_depend_on_the_subjects_colour() -> None:
    scenes = [synthetic_scene(360, 640, seed=4, subject=colour) for colour in ((205, 30, 25), (10, 240, 240))]
    red, cyan = (Compositor(refine=False)(scene.frame, scene.alpha) for scene in scenes)
    far_enough = cv2.dilate(scenes[0].alpha, np.ones((3, 3))) == 0.0
    assert np.abs(red.astype(int) - cyan)[far_enough].max() <= 3


def test_the_blur_scales_with_the_picture() -> None:
    """A photo and its thumbnail look alike."""
    large = synthetic_scene(800, 1200, seed=5)
    small_frame = cv2.resize(large.frame, (300, 200), interpolation=cv2.INTER_AREA)
    small_alpha = cv2.resize(large.alpha, (300, 200), interpolation=cv2.INTER_AREA)
    from_large = cv2.resize(
        Compositor(GaussianBlur(1.0))(large.frame, large.alpha), (300, 200), interpolation=cv2.INTER_AREA
    )
    from_small = Compositor(GaussianBlur(1.0))(small_frame, small_alpha)
    background = cv2.dilate(small_alpha, np.ones((9, 9))) == 0.0
    assert np.abs(from_large.astype(int) - from_small)[background].mean() < 1.5


@pytest.mark.parametrize("refine", [True, False], ids=["refined", "fast"])
def test_where_the_coverage_is_full_the_frame_stays_and_where_it_is_none_the_backdrop(refine: bool) -> None:
    scene = synthetic_scene(360, 640, seed=6)
    compose = Compositor(_green, refine=refine)
    portrait = compose(scene.frame, cv2.GaussianBlur(scene.alpha, (0, 0), 3.0))
    inside, outside = compose.coverage == 255, compose.coverage == 0
    assert inside.sum() > 20_000
    assert outside.sum() > 50_000
    assert np.array_equal(portrait[inside], scene.frame[inside])
    assert (portrait[outside] == GREEN).all()
    # Far from the edge there is nothing between them.
    edge = cv2.dilate(scene.alpha, np.ones((61, 61))) - cv2.erode(scene.alpha, np.ones((61, 61))) > 0.0
    assert (inside | outside)[~edge].all()


def test_privacy_is_the_portrait_of_the_background() -> None:
    """The person is blurred by colours of the person, and the background stays to the bit."""
    scene = synthetic_scene(360, 640, seed=7)
    alpha = cv2.resize(scene.alpha, (256, 256), interpolation=cv2.INTER_AREA)
    hidden = Compositor(hide_subject=True)(scene.frame, alpha)
    assert np.array_equal(hidden, Compositor()(scene.frame, 1.0 - alpha))
    near = np.ones((81, 81))
    background, person = cv2.dilate(scene.alpha, near) == 0.0, cv2.erode(scene.alpha, near) == 1.0
    assert np.array_equal(hidden[background], scene.frame[background])
    assert np.abs(hidden[person].astype(int) - (205, 30, 25)).max() <= 2

    striped = scene.frame.copy()
    striped[(scene.alpha == 1.0) & (np.arange(640) % 8 < 4)] = 255
    assert (
        Compositor(hide_subject=True)(striped, alpha)[person].std(axis=0).max()
        < 0.2 * striped[person].std(axis=0).max()
    )


@pytest.mark.parametrize("refine", [True, False], ids=["refined", "fast"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_a_cut_out_holds_the_subject_and_nothing_of_the_background(size: tuple[int, int], refine: bool) -> None:
    frame = np.maximum(_noise(*size), 1)
    alpha = np.zeros((32, 32), np.float32)
    alpha[8:, 8:24] = 1.0
    compose = Compositor(refine=refine)
    rgb, coverage = compose.cut_out(frame, alpha)
    assert (coverage.shape, coverage.dtype) == (size, np.uint8)
    assert (rgb.shape, rgb.dtype) == (frame.shape, np.uint8)
    assert np.array_equal(rgb[coverage == 255], frame[coverage == 255])
    assert (rgb[coverage == 0] == 0).all()
    if not refine:
        assert np.array_equal(rgb[coverage > 0], frame[coverage > 0])


def test_a_cut_out_over_a_backdrop_is_the_portrait() -> None:
    scene = synthetic_scene(360, 640, seed=8)
    alpha = cv2.GaussianBlur(scene.alpha, (0, 0), 3.0)
    portrait = Compositor(_green)(scene.frame, alpha)
    rgb, coverage = Compositor().cut_out(scene.frame, alpha)
    share = coverage[:, :, None] / 255.0
    assert np.abs(rgb * share + np.array(GREEN) * (1.0 - share) - portrait).max() <= 1.1


@pytest.mark.parametrize("refine", [True, False], ids=["refined", "fast"])
def test_buffers_follow_the_size_of_the_frames(refine: bool) -> None:
    compose = Compositor(refine=refine)
    alpha = np.random.default_rng(0).random((64, 64), np.float32)
    for size in ((120, 160), (90, 70), (120, 160)):
        frame = _noise(*size)
        assert np.array_equal(compose(frame, alpha), Compositor(refine=refine)(frame, alpha))


def test_no_megabytes_are_allocated_from_the_second_frame_on() -> None:
    compose = Compositor()
    frame, alpha = _noise(720, 1280), np.ones((256, 256), np.float32)
    first = compose(frame, alpha)
    assert compose(frame, alpha) is first


@pytest.mark.parametrize(
    ("frame", "alpha"),
    [
        (np.zeros((4, 4), np.uint8), np.zeros((4, 4), np.float32)),
        (np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4), np.float32)),
        (np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.float32)),
        (np.zeros((0, 4, 3), np.uint8), np.zeros((4, 4), np.float32)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8)),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4, 1), np.float32)),
    ],
    ids=["grey", "alpha channel", "float frame", "empty", "uint8 alpha", "3-dimensional alpha"],
)
def test_other_shapes_and_types_are_refused(frame: np.ndarray, alpha: np.ndarray) -> None:
    with pytest.raises(ImageError, match="must be"):
        Compositor()(frame, alpha)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.01, 1.01, 255.0])
def test_an_alpha_that_is_none_is_refused(value: float) -> None:
    alpha = np.zeros((4, 4), np.float32)
    alpha[1, 2] = value
    with pytest.raises(ImageError, match="must be within"):
        Compositor()(np.zeros((4, 4, 3), np.uint8), alpha)
    with pytest.raises(ImageError, match="must be within"):
        Compositor().cut_out(np.zeros((4, 4, 3), np.uint8), alpha)


def test_what_float32_rounds_beyond_0_and_1_is_taken() -> None:
    frame = _noise(8, 8)
    assert np.array_equal(Compositor()(frame, np.full((4, 4), 1.000001, np.float32)), frame)
    assert (Compositor(_green)(frame, np.full((4, 4), -0.000001, np.float32)) == GREEN).all()


@pytest.mark.parametrize("f_number", [-1.0, 0.0, 0.4, math.nan])
def test_f_numbers_that_do_not_exist_are_refused(f_number: float) -> None:
    with pytest.raises(SpecError, match="does not exist"):
        GaussianBlur(f_number)
