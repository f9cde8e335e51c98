"""Written whole or not at all, and never a silent loss."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_app.frame import Frame
from demo_app.sinks.folder import FolderSink
from demo_app.sinks.null import NullSink
from demo_app.sinks.photo import PhotoSink
from demo_app.sinks.video import VideoSink
from demo_app.sources.photo import PhotoSource
from demo_app.sources.video import VideoSource
from edge_deeplab.errors import OutputError, SourceError

from .conftest import film_frames

FRAMES = [Frame(rgb, "film") for rgb in film_frames(20, 64, 96)]

# Noise does not compress: 40 frames are megabytes.
WRITE_NOISE = """
import resource, sys
from pathlib import Path
import numpy as np
from demo_app.frame import Frame
from demo_app.sinks.video import VideoSink
from edge_deeplab.errors import OutputError
if sys.argv[2:]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
random = np.random.default_rng(0)
count = 0
try:
    with VideoSink(Path(sys.argv[1]), 25.0) as sink:
        for count in range(40):
            sink.write(Frame(random.integers(0, 256, (240, 320, 3), dtype=np.uint8), "noise"))
except OutputError as error:
    print(f"frame {count}: {error}")
"""


def write_film(path: Path, frames: list[Frame], error: BaseException | None = None) -> None:
    """Write frames, then run into an error."""
    with VideoSink(path, 25.0) as sink:
        for frame in frames:
            sink.write(frame)
        if error is not None:
            raise error


def test_a_photo_is_written_in_the_format_of_its_name(tmp_path: Path) -> None:
    with PhotoSink(tmp_path / "a.png") as sink:
        sink.write(FRAMES[0])
    with PhotoSource(tmp_path / "a.png") as source:
        (frame,) = source
    assert np.array_equal(frame.rgb, FRAMES[0].rgb)


def test_a_folder_gets_each_photo_under_its_name(tmp_path: Path) -> None:
    with FolderSink(tmp_path / "new" / "out") as sink:
        sink.write(Frame(FRAMES[0].rgb, "a.png"))
        sink.write(Frame(FRAMES[1].rgb, "b.tiff"))
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == ["a.png", "b.tiff"]


def test_a_file_in_the_folders_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("in the way")
    with pytest.raises(OutputError, match="in each other's way"):
        FolderSink(tmp_path / "out")


def test_the_null_sink_counts() -> None:
    with NullSink() as sink:
        for frame in FRAMES:
            sink.write(frame)
    assert sink.count == 20


def test_a_video_holds_every_frame_at_its_rate_in_its_colours(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with VideoSink(path, 12.5) as sink:
        for frame in FRAMES:
            sink.write(frame)
        assert not path.exists()  # under a temporary name until it is whole
    with VideoSource(path) as source:
        assert source.fps == pytest.approx(12.5)
        read = list(source)
    assert len(read) == 20
    assert np.abs(read[7].rgb.astype(int) - FRAMES[7].rgb).mean() < 8.0
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    "error", [KeyboardInterrupt(), SourceError("the camera was unplugged")], ids=["Ctrl-C", "source"]
)
def test_an_interrupted_video_is_finished(tmp_path: Path, error: BaseException) -> None:
    with pytest.raises(type(error)):
        write_film(tmp_path / "a.mp4", FRAMES[:9], error)
    with VideoSource(tmp_path / "a.mp4") as source:
        assert len(list(source)) == 9


class _Interrupting:
    """The real encoder, with Ctrl-C arriving while the fifth frame is in it: noticed as soon as it returns."""

    def __init__(self, writer: cv2.VideoWriter) -> None:
        self._writer, self._written = writer, 0

    def write(self, frame: np.ndarray) -> None:
        self._writer.write(frame)
        self._written += 1
        if self._written == 5:
            raise KeyboardInterrupt

    def release(self) -> None:
        self._writer.release()


def test_ctrl_c_inside_the_encoder_keeps_the_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = VideoSink._open
    monkeypatch.setattr(VideoSink, "_open", lambda sink, first: _Interrupting(given(sink, first)))
    with pytest.raises(KeyboardInterrupt):
        write_film(tmp_path / "a.mp4", FRAMES[:9])
    with VideoSource(tmp_path / "a.mp4") as source:
        assert len(list(source)) == 5


def test_another_error_leaves_the_old_video_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        write_film(tmp_path / "a.mp4", FRAMES[:1], ZeroDivisionError())
    assert (tmp_path / "a.mp4").read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize("error", [None, KeyboardInterrupt()], ids=["end", "Ctrl-C"])
def test_a_video_without_a_frame_is_not_written(tmp_path: Path, error: BaseException | None) -> None:
    with pytest.raises(KeyboardInterrupt if error else OutputError):
        write_film(tmp_path / "a.mp4", [], error)
    assert list(tmp_path.iterdir()) == []


def test_frames_that_change_their_size_are_not_lost_in_silence(tmp_path: Path) -> None:
    turned = Frame(np.zeros((96, 64, 3), np.uint8), "film")
    with pytest.raises(SourceError, match="from 96x64 to 64x96"):
        write_film(tmp_path / "a.mp4", [FRAMES[0], turned])
    with VideoSource(tmp_path / "a.mp4") as source:
        assert len(list(source)) == 1


def test_frames_that_the_codec_cannot_take_are_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no MPEG-4 encoder"):
        write_film(tmp_path / "a.mp4", [Frame(np.zeros((1, 1, 3), np.uint8), "film")])
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_unseen_is_found_at_the_end(tmp_path: Path) -> None:
    """A limit on the file's size: VideoWriter goes on as if nothing had happened."""
    done = _python(WRITE_NOISE, tmp_path / "a.mp4", 300_000)
    assert "the disk is full" in done.stdout, done
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


_MAY_MOUNT = (
    subprocess.run(
        ["sh", "-c", "command -v unshare && unshare -m mount -t tmpfs none /mnt"], capture_output=True, check=False
    ).returncode
    == 0
)


@pytest.mark.skipif(not _MAY_MOUNT, reason="mounting a tmpfs in a namespace is not permitted here")
@pytest.mark.parametrize(
    ("options", "line"),
    [("size=800k", "the disk is full"), ("ro", "the place is read-only")],
    ids=["full", "read-only"],
)
def test_a_place_that_cannot_be_written_to(tmp_path: Path, options: str, line: str) -> None:
    place = tmp_path / "place"
    place.mkdir()
    script = f'mount -t tmpfs -o {options} none {place} || exit 77; "$@"; find {place} -type f'
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", WRITE_NOISE, str(place / "a.mp4")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done  # the sentence, and no file
    assert line in lines[0]
    assert not lines[0].startswith("frame 39"), "found out at the end only"
    assert done.stderr == ""


def _python(code: str, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, text=True, check=False)
