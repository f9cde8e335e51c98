"""Bare pixels through real pipes, which give and take what they hold."""

from __future__ import annotations

import io
import os
import select
import subprocess
import sys
import threading
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from demo_app.frame import Frame
from demo_app.sinks.raw import RawSink
from demo_app.sources.raw import ChannelOrder, RawSource
from edge_deeplab.errors import OutputError, SourceError, SpecError

from .conftest import film_frames

FRAMES = film_frames(3, 64, 96)
SIZE = FRAMES[0].nbytes


def pipe_of(data: bytes, chunk: int) -> BinaryIO:
    """The reading end of a pipe, not buffered, that another thread fills in chunks."""
    reading, writing = os.pipe()

    def fill() -> None:
        with os.fdopen(writing, "wb", buffering=0) as file:
            for start in range(0, len(data), chunk):
                file.write(data[start : start + chunk])

    threading.Thread(target=fill, daemon=True).start()
    return os.fdopen(reading, "rb", buffering=0)


@pytest.mark.parametrize("order", list(ChannelOrder))
def test_frames_come_whole_from_a_pipe_that_gives_pieces(order: ChannelOrder) -> None:
    data = b"".join((frame if order is ChannelOrder.RGB else frame[:, :, ::-1]).tobytes() for frame in FRAMES)
    with pipe_of(data, 1_001) as stream, RawSource(stream, 96, 64, 25.0, order) as source:
        assert (source.size, source.fps, source.total) == ((96, 64), 25.0, None)
        frames = list(source)
    assert len(frames) == 3
    assert all(np.array_equal(frame.rgb, given) for frame, given in zip(frames, FRAMES, strict=True))


def test_a_partial_last_frame_is_told_of_behind_the_whole_ones() -> None:
    data = b"".join(frame.tobytes() for frame in FRAMES)[:-5]
    frames = []
    with (
        pipe_of(data, 4_096) as stream,
        RawSource(stream, 96, 64) as source,
        pytest.raises(SourceError, match=f"ends within frame 3: 5 of its {SIZE} bytes are missing"),
    ):
        frames.extend(source)
    assert len(frames) == 2


def test_a_pipe_without_a_frame_is_told_of() -> None:
    with pipe_of(b"", 1) as stream, pytest.raises(SourceError, match="standard input ended before the first frame"):
        list(RawSource(stream, 96, 64))


@pytest.mark.parametrize("size", [(0, 64), (96, -1), (100_000, 64), (96, 100_000)])
def test_a_size_that_no_frame_has_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(SpecError, match="frames cannot be"):
        RawSource(io.BytesIO(), *size)


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo terminals")
def test_a_terminal_is_neither_source_nor_sink() -> None:
    ends = os.openpty()
    try:
        with open(ends[1], "r+b", buffering=0, closefd=False) as terminal:
            with pytest.raises(SourceError, match="standard input is a keyboard"):
                RawSource(terminal, 96, 64)
            with pytest.raises(OutputError, match="standard output is a terminal"):
                RawSink(terminal)
    finally:
        for end in ends:
            os.close(end)


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    with (tmp_path / "a.rgb").open("wb", buffering=0) as stream, RawSink(stream) as sink:
        for frame in FRAMES:
            sink.write(Frame(frame, "film"))
    with (tmp_path / "a.rgb").open("rb") as stream, RawSource(stream, 96, 64) as source:
        assert all(np.array_equal(frame.rgb, given) for frame, given in zip(source, FRAMES, strict=True))


def test_a_frame_is_out_at_once_and_a_reader_that_goes_away_is_a_clean_end() -> None:
    code = (
        "import sys\n"
        "from demo_app.sinks.raw import RawSink, standard_output\n"
        "from demo_app.sources.scene import SceneSource\n"
        "with RawSink(standard_output()) as sink:\n"
        "    for frame in SceneSource(40, 32):\n"  # without end, and less than a buffer holds
        "        sink.write(frame)\n"
        "        sys.stdin.read()\n"
        "print('left', file=sys.stderr)\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    buffering = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen([sys.executable, "-c", code], bufsize=0, env=buffering, **pipes) as process:
        try:
            assert process.stdin is not None
            assert process.stdout is not None
            assert process.stderr is not None
            assert select.select([process.stdout], [], [], 30)[0], "the frame stays in a buffer"
            assert len(process.stdout.read(40 * 32 * 3)) == 40 * 32 * 3
            process.stdout.close()
            process.stdin.close()  # now it goes on
            assert process.stderr.read() == b"left\n"
            assert process.wait() == 0
        finally:
            process.kill()


def test_another_size_would_shift_all_pixels_behind_it(tmp_path: Path) -> None:
    with (tmp_path / "a.rgb").open("wb", buffering=0) as stream, RawSink(stream) as sink:
        sink.write(Frame(FRAMES[0], "film"))
        with pytest.raises(SourceError, match="from 96x64 to 64x96"):
            sink.write(Frame(np.zeros((96, 64, 3), np.uint8), "film"))
    assert (tmp_path / "a.rgb").stat().st_size == SIZE


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_is_told_of() -> None:
    with (
        Path("/dev/full").open("wb", buffering=0) as stream,
        pytest.raises(OutputError, match="the disk is full"),
        RawSink(stream) as sink,
    ):
        sink.write(Frame(FRAMES[0], "film"))
