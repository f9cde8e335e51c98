"""The portrait of a photo at full quality: the same in bands as at once, in bounded memory, with the photo's edge."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from demo_app.backdrops.disc import DiscBlur
from demo_app.frame import Frame
from demo_app.still.background import AsItIs, OutOfFocus
from demo_app.still.metadata import PhotoMetadata
from demo_app.still.photos import cut_outs, portraits
from demo_app.still.portrait import StillPortrait
from demo_app.still.rounding import dithered
from demo_app.still.search import search
from demo_app.still.stretch import Kernel, stretched_rows
from edge_deeplab.data.bundled import bundled_portrait
from edge_deeplab.image import Rgb, resize_area

SIDE = 256  # of the maps that the stand-ins for a network give


def round_head(photo: Rgb) -> np.ndarray:
    """A network that calls green a person, as a network would: at its own size, a little soft, never quite sure."""
    small = resize_area(photo, SIDE, SIDE).astype(np.float32)
    green = np.clip((small[:, :, 1] - np.maximum(small[:, :, 0], small[:, :, 2])) / 60.0, 0.0, 1.0)
    soft = cv2.GaussianBlur(green, (0, 0), 1.5)
    return np.asarray(0.02 + 0.96 * soft, np.float32)


def green_disc(height: int, width: int, radius: float, at: tuple[float, float] = (0.5, 0.5)) -> Rgb:
    """A green disc before a wall of another brightness in every place, with a little noise."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    photo = np.stack([60 + 100 * x / width, 50 + 20 * y / height, 90 + 60 * y / height], axis=2)
    inside = np.hypot(x - at[0] * width, y - at[1] * height) < radius
    photo[inside] = (40, 180, 60)
    photo += np.random.default_rng(0).normal(0.0, 2.0, photo.shape)
    return np.clip(photo, 0, 255).astype(np.uint8)


def nobody(photo: Rgb) -> np.ndarray:
    return np.full((SIDE, SIDE), 0.02, np.float32)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 90),
    width=st.integers(1, 90),
    band_rows=st.integers(1, 100),
    f_number=st.sampled_from([1.0, 2.8, 64.0]),
    seed=st.integers(0, 99),
)
def test_bands_give_what_the_whole_photo_gives(
    height: int, width: int, band_rows: int, f_number: float, seed: int
) -> None:
    photo = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    whole = StillPortrait(round_head, OutOfFocus(f_number), band_rows=height)
    banded = StillPortrait(round_head, OutOfFocus(f_number), band_rows=band_rows, threads=2)
    matte = whole.matte(photo)
    np.testing.assert_array_equal(banded.compose(photo, matte), whole.compose(photo, matte))
    for one, other in zip(banded.cut_out(photo, matte), whole.cut_out(photo, matte), strict=True):
        np.testing.assert_array_equal(one, other)


def test_bands_of_a_large_photo_give_what_the_whole_gives() -> None:
    photo = cv2.resize(bundled_portrait(), (1501, 1103), interpolation=cv2.INTER_CUBIC)
    matte = StillPortrait(round_head).matte(photo)
    made = [StillPortrait(round_head, band_rows=rows, threads=2).compose(photo, matte) for rows in (1103, 64, 37)]
    np.testing.assert_array_equal(made[0], made[1])
    np.testing.assert_array_equal(made[0], made[2])


@settings(max_examples=50, deadline=None)
@given(
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    wanted=st.tuples(st.integers(40, 200), st.integers(40, 200)),
    kernel=st.sampled_from(Kernel),
)
def test_stretching_is_that_of_opencv(size: tuple[int, int], wanted: tuple[int, int], kernel: Kernel) -> None:
    small = np.random.default_rng(1).random((*size, 3), np.float32)
    expected = cv2.resize(small, wanted[::-1], interpolation=kernel.value)
    middle = stretched_rows(small, *wanted, 7, 31, kernel)
    np.testing.assert_allclose(middle, expected[7:31], atol=2e-5)


def test_the_subject_is_the_photo_to_the_bit_and_the_rest_is_out_of_focus() -> None:
    photo = green_disc(600, 800, 180)
    made = StillPortrait(round_head, OutOfFocus(2.0))(photo)
    y, x = np.mgrid[:600, :800]
    away = np.hypot(x - 400, y - 300)
    np.testing.assert_array_equal(made[away < 160], photo[away < 160])
    beyond = away > 186
    assert (
        np.abs(np.diff(made.astype(int), axis=1))[beyond[:, 1:]].mean() < 0.7
    )  # it was 2.3, of which the dither makes 0.5 again
    assert made[beyond][:, 1].max() < 90  # and no green has come into it


def test_the_edge_is_the_photos_own_not_the_networks() -> None:
    """At 2400 pixels one cell of the network is nine: the matte's edge must be within two of the true one."""
    photo = green_disc(2000, 2400, 600)
    portrait = StillPortrait(round_head)
    _, coverage = portrait.cut_out(photo, portrait.matte(photo))
    y, x = np.mgrid[:2000, :2400]
    away = np.hypot(x - 1200, y - 1000)
    assert coverage[away < 598].min() > 200
    assert coverage[away > 602].max() < 55


def test_a_small_person_is_looked_at_again() -> None:
    photo = green_disc(1500, 2000, 60, at=(0.7, 0.4))
    seen = search(round_head, photo)
    assert seen.second is not None
    assert seen.box.left < 1340
    assert seen.box.right > 1460
    assert seen.box.area < 0.05 * 1500 * 2000
    joined = seen.alpha(750, 1000) > 0.5
    once = cv2.resize(round_head(photo), (1000, 750)) > 0.5
    y, x = np.mgrid[:750, :1000]
    truth = np.hypot(x + 0.5 - 700, y + 0.5 - 300) < 30
    assert np.count_nonzero(joined != truth) < 0.7 * np.count_nonzero(once != truth)


def test_a_person_who_fills_the_photo_is_looked_at_once() -> None:
    assert search(round_head, green_disc(600, 800, 290)).second is None


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (2, 3)])
def test_photos_of_a_pixel_or_a_line(size: tuple[int, int]) -> None:
    photo = np.full((*size, 3), (40, 180, 60), np.uint8)
    portrait = StillPortrait(round_head, OutOfFocus(1.4))
    matte = portrait.matte(photo)
    assert matte.found
    np.testing.assert_array_equal(portrait.compose(photo, matte), photo)
    assert portrait.cut_out(photo, matte)[1].min() == 255


def test_a_photo_without_a_person_stays_as_it_is_and_that_is_said() -> None:
    photo = Frame(green_disc(120, 160, 0), "wall.jpg", metadata=PhotoMetadata(problems=("its EXIF is damaged",)))
    notes: list[str] = []
    (made,) = portraits([photo], StillPortrait(nobody), notes.append)
    assert made is photo
    assert notes == ["its EXIF is damaged", "wall.jpg: no person was found in it, and it stays as it is"]
    np.testing.assert_array_equal(StillPortrait(nobody)(photo.rgb), photo.rgb)


def test_a_cut_out_without_a_person_is_not_made_and_the_others_keep_their_metadata() -> None:
    metadata = PhotoMetadata(dpi=(300.0, 300.0))
    photos = [Frame(green_disc(90, 120, radius), f"{radius}.jpg", metadata=metadata) for radius in (0, 30)]
    notes: list[str] = []
    (made,) = cut_outs(photos, StillPortrait(round_head), notes.append)
    assert (made.name, made.metadata) == ("30.jpg", metadata)
    assert made.alpha is not None
    assert made.alpha[45, 60] == 255
    assert notes == ["0.jpg: no person was found in it, and there is nothing to cut out"]


def test_a_cut_out_keeps_nothing_of_the_background() -> None:
    photo = green_disc(600, 800, 180)
    portrait = StillPortrait(round_head)
    colour, coverage = portrait.cut_out(photo, portrait.matte(photo))
    assert coverage.max() == 255
    assert (colour[coverage == 0] == 0).all()
    assert np.count_nonzero(coverage == 0) > 0.7 * coverage.size
    edge = (coverage > 20) & (coverage < 235)
    assert edge.any()
    # Half of an edge pixel's colour is the wall's; the subject's own is the disc's.
    subject = np.array((40, 180, 60))
    assert np.abs(colour[edge] - subject).mean() < 0.8 * np.abs(photo[edge] - subject).mean()


def test_any_backdrop_can_stand_behind() -> None:
    photo = green_disc(300, 400, 90)

    def red(frame: Rgb, coverage: np.ndarray) -> Rgb:
        return np.full((3, 2, 3), (200, 0, 0), np.uint8)

    made = StillPortrait(round_head, AsItIs(red))(photo)
    assert (made[:40] == (200, 0, 0)).all()
    np.testing.assert_array_equal(made[150, 200], photo[150, 200])


def test_a_blurred_gradient_has_no_bands() -> None:
    """24 code values over 2000 pixels: rounded, steps of 80 pixels; dithered, means over 16 follow the slope."""
    width = 2000
    slope = np.linspace(60.0, 84.0, width)
    noise = np.random.default_rng(3).normal(0.0, 1.5, (160, width, 3))
    photo = np.clip(np.rint(slope[None, :, None] + noise), 0, 255).astype(np.uint8)
    portrait = StillPortrait(nobody, OutOfFocus(2.0))
    made = portrait.compose(photo, portrait.matte(photo))
    profile = made.mean(axis=(0, 2)).reshape(-1, 16).mean(axis=1)[12:-12]
    expected = slope.reshape(-1, 16).mean(axis=1)[12:-12]
    assert np.abs(profile - expected).max() < 0.25  # a rounded one is off by half a code value
    eight_bits = cv2.resize(
        DiscBlur(2.0)(photo, np.zeros((1, 1), np.uint8)), (width, 160), interpolation=cv2.INTER_CUBIC
    )
    stepped = eight_bits.mean(axis=(0, 2)).reshape(-1, 16).mean(axis=1)[12:-12]
    assert np.abs(stepped - expected).max() > 0.35  # live, for comparison


@settings(max_examples=30, deadline=None)
@given(value=st.floats(0.0, 255.0, width=32), top=st.integers(0, 20))
def test_dithering_keeps_means_and_integers(value: float, top: int) -> None:
    block = np.full((16, 16, 3), value, np.float32)
    made = dithered(block.copy(), top)
    assert made.min() >= np.floor(value)
    assert made.max() <= np.ceil(value)
    assert abs(float(made.mean()) - value) <= 1 / 64


MEASURE = """
import resource
import cv2, numpy as np
from demo_app.still.background import OutOfFocus
from demo_app.still.portrait import StillPortrait

def coarse(photo):
    alpha = np.zeros((256, 256), np.float32)
    cv2.circle(alpha, (128, 128), 80, 1.0, -1)
    return alpha

cv2.setNumThreads(2)
portrait = StillPortrait(coarse, OutOfFocus(16.0))
portrait(np.zeros((64, 64, 3), np.uint8))
photo = np.empty((6000, 8000, 3), np.uint8)
photo[:] = np.arange(8000, dtype=np.uint16)[None, :, None] % 251
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
made = portrait(photo)
assert made.shape == photo.shape
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_of_48_megapixels_is_bounded() -> None:
    """The portrait is 137 MiB, what the blur starts from 115, and one float32 copy of the photo would be 549."""
    done = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    mebibytes = int(done.stdout) / 1024
    assert mebibytes < 400, mebibytes  # measured: 308
