"""A colour, a picture or a film behind the subject."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from demo_app.backdrops.colour import ColourBackdrop, parse_colour
from demo_app.backdrops.film import FilmBackdrop
from demo_app.backdrops.picture import PictureBackdrop
from demo_app.compositor import Compositor
from demo_app.sources.video import VideoSource
from edge_deeplab.errors import ImageError, SourceError, SpecError

FilmMaker = Callable[..., Path]
NOBODY = np.zeros((16, 16), np.uint8)


def _frame(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(1, 1), (37, 53), (360, 640)], ids=str)
def test_a_colour_is_everywhere_where_the_subject_is_not(size: tuple[int, int]) -> None:
    compose = Compositor(ColourBackdrop((0, 177, 64)))
    frame = _frame(*size)
    assert (compose(frame, np.zeros((16, 16), np.float32)) == (0, 177, 64)).all()
    assert np.array_equal(compose(frame, np.ones((16, 16), np.float32)), frame)


@pytest.mark.parametrize(
    ("text", "colour"),
    [
        ("#00b140", (0, 177, 64)),
        ("#0b4", (0, 187, 68)),
        ("green", (0, 128, 0)),
        (" White ", (255, 255, 255)),
        ("rgb(1, 2, 3)", (1, 2, 3)),
        ("hsl(120, 100%, 50%)", (0, 255, 0)),
    ],
)
def test_colours_as_people_write_them(text: str, colour: tuple[int, int, int]) -> None:
    assert parse_colour(text) == colour


@pytest.mark.parametrize("text", ["", "greenish", "00b140", "#00b1400", "rgb(256, 0, 0)", "#00b14080", "x" * 200])
def test_what_is_no_colour_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="colour"):
        parse_colour(text)


@pytest.mark.parametrize("colour", [(256, 0, 0), (-1, 0, 0), (1, 2), (1, 2, 3, 4)], ids=str)
def test_numbers_that_are_no_colour_are_refused(colour: tuple[int, ...]) -> None:
    with pytest.raises(SpecError, match="is no colour"):
        ColourBackdrop(colour)  # type: ignore[arg-type]


@pytest.mark.parametrize("frame_size", [(90, 160), (160, 90), (33, 47)], ids=str)
@pytest.mark.parametrize("size", [(400, 400), (30, 300), (300, 30)], ids=str)
def test_a_picture_covers_the_frame_centred_and_undistorted(frame_size: tuple[int, int], size: tuple[int, int]) -> None:
    """Its red tells the row and its green the column that a pixel is from."""
    rows, columns = size
    picture = np.zeros((rows, columns, 3), np.uint8)
    picture[:, :, 0] = np.linspace(0, 255, rows)[:, None]
    picture[:, :, 1] = np.linspace(0, 255, columns)[None, :]
    got = PictureBackdrop(picture)(_frame(*frame_size), NOBODY)
    assert got.shape == (*frame_size, 3)
    scale = min(rows / frame_size[0], columns / frame_size[1])  # pixels of the picture for one of the frame
    for line, here, there in zip((got[:, 0, 0], got[0, :, 1]), frame_size, size, strict=True):
        pixel = 255.0 / (there - 1)
        first, last = float(line[0]), float(line[-1])
        assert last - first == pytest.approx(pixel * scale * (here - 1), abs=2.5 * pixel)
        assert (first + last) / 2.0 == pytest.approx(127.5, abs=1.5 * pixel + 1.0)


@pytest.mark.parametrize("frame_size", [(1, 1), (1, 300), (300, 1)], ids=str)
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (70, 1), (70, 50)], ids=str)
def test_a_picture_covers_frames_of_any_size(frame_size: tuple[int, int], size: tuple[int, int]) -> None:
    picture = np.full((*size, 3), (1, 2, 3), np.uint8)
    got = PictureBackdrop(picture)(_frame(*frame_size), NOBODY)
    assert got.shape == (*frame_size, 3)
    assert (got == (1, 2, 3)).all()


def test_a_picture_is_area_averaged_when_it_shrinks() -> None:
    """A fine chequerboard becomes grey: sampled at points it would be black or white or a moiré."""
    fine = (255 * (np.indices((800, 800)).sum(axis=0) % 2)).astype(np.uint8)
    got = PictureBackdrop(np.dstack([fine] * 3))(_frame(100, 100), NOBODY)
    assert np.abs(got.astype(int) - 128).max() <= 2


def test_a_picture_follows_the_size_of_the_frames() -> None:
    backdrop = PictureBackdrop(_frame(50, 80))
    first = backdrop(_frame(20, 30), NOBODY).copy()
    assert backdrop(_frame(30, 20), NOBODY).shape == (30, 20, 3)
    assert np.array_equal(backdrop(_frame(20, 30), NOBODY), first)


@pytest.mark.parametrize("picture", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_rgb_picture_is_refused(picture: np.ndarray) -> None:
    with pytest.raises(ImageError, match="must be RGB"):
        PictureBackdrop(picture)


def test_a_film_gives_frame_after_frame_and_starts_again(film: FilmMaker) -> None:
    path = film("behind.mp4", 5)
    with VideoSource(path) as source:
        expected = [frame.rgb for frame in source]
    with FilmBackdrop(path) as backdrop:
        got = [backdrop(_frame(64, 96), NOBODY).copy() for _ in range(12)]
    assert len(expected) == 5
    assert all(np.array_equal(frame, expected[index % 5]) for index, frame in enumerate(got))


def test_a_film_covers_frames_of_other_proportions(film: FilmMaker) -> None:
    path = film("behind.mp4", 2)
    with VideoSource(path) as source:
        first = next(iter(source)).rgb
    with FilmBackdrop(path) as backdrop:
        got = backdrop(_frame(64, 64), NOBODY)
    assert np.array_equal(got, first[:, 16:80])


def test_a_film_is_closed_on_leaving(film: FilmMaker) -> None:
    path = film("behind.mp4", 3)

    def open_files() -> int:
        return sum(1 for link in Path("/proc/self/fd").iterdir() if link.exists() and link.resolve() == path.resolve())

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("open files are listed on Linux alone")
    with FilmBackdrop(path) as backdrop:
        for _ in range(10):  # three turns and a bit: the ends of turns close, too
            backdrop(_frame(8, 8), NOBODY)
        assert open_files() == 1
    assert open_files() == 0


@pytest.mark.parametrize("name", ["gone.mp4", "notes.mp4"])
def test_a_missing_or_broken_film_is_named(tmp_path: Path, name: str, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.mp4").write_text("to do: buy milk")
    with pytest.raises(SourceError, match=name):
        FilmBackdrop(tmp_path / name)
    assert capfd.readouterr().err == ""


def test_a_film_that_breaks_off_says_so(film: FilmMaker) -> None:
    path = film("broken.avi", 60, "MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frame = _frame(64, 96)
    with FilmBackdrop(path) as backdrop, pytest.raises(SourceError, match="broke off"):
        list(map(backdrop, [frame] * 100, [NOBODY] * 100))
