"""Photos, folders, videos and cameras as they come: also missing, broken and not what they say."""

from __future__ import annotations

import struct
import subprocess
import sys
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from demo_app.frame import Frame
from demo_app.sources.folder import FolderSource
from demo_app.sources.photo import PhotoSource
from demo_app.sources.source import ASSUMED_FPS, usable_fps
from demo_app.sources.video import VideoSource
from edge_deeplab.errors import SourceError

from .conftest import ffmpeg, film_frames, needs_ffmpeg

FilmMaker = Callable[..., Path]


def test_a_turned_photo_comes_upright(tmp_path: Path) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:5] = 255
    exif = Image.Exif()
    exif[274] = 6  # the camera was held upright: turn by 90 degrees clockwise to see it
    Image.fromarray(pixels).save(tmp_path / "a.png", exif=exif)
    with PhotoSource(tmp_path / "a.png") as source:
        (frame,) = source
    assert frame.rgb.shape == (30, 20, 3)
    assert frame.rgb[:, -5:].min() == 255
    assert frame.name == "a.png"


def test_a_missing_photo_is_named(tmp_path: Path) -> None:
    with PhotoSource(tmp_path / "gone.jpg") as source, pytest.raises(SourceError, match=r"gone\.jpg"):
        list(source)


def test_a_folder_gives_its_good_photos_and_names_the_bad(tmp_path: Path) -> None:
    for name in ("c.png", "a.jpg"):
        Image.new("RGB", (8, 6), (10, 20, 30)).save(tmp_path / name)
    (tmp_path / "b.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[:200])
    (tmp_path / "notes.txt").write_text("no photo")
    bad: list[SourceError] = []
    with FolderSource(tmp_path, bad.append) as source:
        assert source.total == 3
        assert [frame.name for frame in source] == ["a.jpg", "c.png"]
    assert len(bad) == 1
    assert "b.jpg" in str(bad[0])


READ_WITH_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from demo_app.sources.folder import FolderSource
pages = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (pages + 2**27, pages + 2**27))
print([frame.name for frame in FolderSource(Path(sys.argv[1]), lambda error: print(error))])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its share of memory")
def test_a_photo_that_the_memory_is_too_small_for_is_not_called_damaged(tmp_path: Path) -> None:
    Image.new("RGB", (9000, 9000)).save(tmp_path / "a.png", compress_level=1)
    Image.new("RGB", (40, 30)).save(tmp_path / "b.png")
    command = [sys.executable, "-c", READ_WITH_LITTLE_MEMORY, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == (
        f"there is too little memory for {tmp_path / 'a.png'}: close other programs, or scale it down\n['b.png']\n"
    )


@pytest.mark.parametrize("name", ["gone", "empty"])
def test_a_folder_without_photos_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceError, match=name):
        FolderSource(tmp_path / name, lambda error: None)


@pytest.mark.parametrize(("name", "codec"), [("a.mp4", "mp4v"), ("a.avi", "MJPG"), ("a.mkv", "mp4v")])
def test_a_video_gives_every_frame_in_rgb(film: FilmMaker, name: str, codec: str) -> None:
    with VideoSource(film(name, 25, codec)) as source:
        assert source.fps == pytest.approx(12.0, rel=0.01)
        assert source.total in (25, None)
        frames = list(source)
    assert len(frames) == 25
    error = np.abs(frames[13].rgb.astype(int) - film_frames(25, 64, 96)[13]).mean()
    assert error < 8.0  # red and blue exchanged: over 50


def test_a_text_file_is_no_video(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.mp4").write_text("to do: buy milk")
    with pytest.raises(SourceError, match=r"a\.mp4 is not a video"):
        VideoSource(tmp_path / "a.mp4")
    assert capfd.readouterr().err == ""


def test_a_video_whose_index_was_never_written_is_refused(film: FilmMaker) -> None:
    path = film("cut.mp4", 40)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(SourceError, match="cut off while it was recorded"):
        VideoSource(path)


def test_a_video_that_breaks_off_gives_what_is_there_and_says_so(film: FilmMaker) -> None:
    """An .avi has its index at the end, but its frames can be read without it."""
    path = film("broken.avi", 60, "MJPG")
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    frames: list[Frame] = []
    with VideoSource(path) as source, pytest.raises(SourceError, match=r"broke off after \d+ of 60 frames"):
        frames.extend(source)  # which keeps what came before the error
    assert 20 <= len(frames) <= 40


def test_a_missing_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"there is no file .*gone\.mp4"):
        VideoSource(tmp_path / "gone.mp4")


@pytest.mark.parametrize("reported", [-1.0, 0.0, float("nan"), float("inf"), 90_000.0])
def test_a_rate_that_cannot_be_is_replaced(reported: float) -> None:
    assert usable_fps(reported) == ASSUMED_FPS


def test_a_rate_that_can_be_is_kept() -> None:
    assert usable_fps(29.97) == 29.97


def test_a_turned_video_comes_upright(film: FilmMaker) -> None:
    """A phone that is held upright writes lying frames, and a matrix that turns them, into the track's header."""
    path = film("a.mp4", 4)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44  # ISO 14496-12, 8.3.2: behind the type and 40 bytes of version 0
    assert struct.unpack_from(">9i", data, matrix) == (0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    struct.pack_into(">9i", data, matrix, 0, 0x10000, 0, -0x10000, 0, 0, 64 << 16, 0, 0x40000000)
    path.write_bytes(data)
    with VideoSource(path) as source:
        assert source.size == (64, 96)
        frames = list(source)
    turned = np.rot90(film_frames(4, 64, 96)[2], -1)
    assert np.abs(frames[2].rgb.astype(int) - turned).mean() < 8.0


@needs_ffmpeg
def test_a_film_of_varying_rate_gives_every_frame_and_lasts_as_long(film: FilmMaker, tmp_path: Path) -> None:
    """Twelve frames at 12 a second, then twelve at 4: four seconds in all."""
    path = tmp_path / "varying.mp4"
    times = "setpts='if(lt(N,12),N,12+3*(N-12))/12/TB'"
    ffmpeg("-i", film("even.mp4", 24), "-vf", times, "-vsync", "vfr", "-c:v", "mpeg4", "-q:v", "2", path)
    with VideoSource(path) as source:
        frames = list(source)
        assert len(frames) == source.total == 24
        assert 24 / source.fps == pytest.approx(4.0, abs=0.3)
    assert np.abs(frames[20].rgb.astype(int) - film_frames(24, 64, 96)[20]).mean() < 8.0


def test_the_frames_of_a_video_are_not_piled_up(film: FilmMaker) -> None:
    with VideoSource(film("a.mp4", 5)) as source:
        frames = iter(source)
        first = weakref.ref(next(frames).rgb)
        next(frames)
        assert first() is None


def test_the_demo_imports_neither_torch_nor_tensorflow_nor_onnx() -> None:
    code = (
        "import demo_app.compositor, demo_app.sources.video, demo_app.sinks.video, demo_app.loop, demo_app.halo, sys; "
        "sys.exit(' '.join({name.partition('.')[0] for name in sys.modules} & {'torch', 'tensorflow', 'onnx'}) or None)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
