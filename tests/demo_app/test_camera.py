"""Unplugged and plugged in again. There is no camera here: a file that ends is one that was pulled out."""

from __future__ import annotations

import itertools
import os
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from demo_app.capture import open_video
from demo_app.sources.camera import CameraSource
from demo_app.sources.reconnection import Reconnection
from edge_deeplab.errors import SourceError

from .conftest import film_frames

FilmMaker = Callable[..., Path]
ENOUGH = 30.0  # seconds within which a thread must have ended; it takes milliseconds


def opener(paths: Iterator[Path]) -> Callable[[], cv2.VideoCapture]:
    return lambda: open_video(next(paths))


def test_a_camera_that_is_not_there_is_one_sentence(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SourceError, match="camera 97 cannot be opened: plug it in"):
        CameraSource(97, pytest.fail)
    assert capfd.readouterr().err == ""


def test_a_camera_that_comes_back_is_picked_up_again(film: FilmMaker, tmp_path: Path) -> None:
    first, second, gone = film("first.mp4", 5), film("second.mp4", 7), tmp_path / "gone.mp4"
    events: list[str] = []
    frames = Reconnection("camera 0", open_video(first), opener(iter([gone, gone, second])), events.append, pause=0.01)
    given = iter(frames)
    assert len(list(itertools.islice(given, 5))) == 5
    assert events == []
    again = list(itertools.islice(given, 7))
    assert [line.partition(":")[0] for line in events] == [
        "camera 0 was unplugged, or another program took it",
        "camera 0 is back",
    ]
    assert np.abs(again[6].astype(int) - film_frames(7, 64, 96)[6]).mean() < 8.0  # RGB, and the seventh
    frames.stop()
    assert list(given) == []


def test_patience_ends(film: FilmMaker, tmp_path: Path) -> None:
    events: list[str] = []
    never = opener(itertools.repeat(tmp_path / "gone.mp4"))
    frames = Reconnection("camera 0", open_video(film("a.mp4", 3)), never, events.append, patience=0.05, pause=0.01)
    given = []
    with pytest.raises(SourceError, match=r"camera 0 gives no more frames.* within 0\.05 seconds"):
        given.extend(frames)
    assert len(given) == 3
    assert len(events) == 1


def test_a_camera_that_gives_no_picture_at_all_is_not_waited_for(tmp_path: Path) -> None:
    """So a busy one looks on some systems: it opens, and that is all."""
    frames = Reconnection("camera 0", open_video(tmp_path / "gone.mp4"), pytest.fail, pytest.fail)  # type: ignore[arg-type]
    with pytest.raises(SourceError, match="camera 0 opens but gives no picture"):
        list(frames)


def test_stop_ends_the_wait_for_a_lost_camera(film: FilmMaker) -> None:
    lost = threading.Event()
    capture = open_video(film("a.mp4", 3))
    frames = Reconnection("camera 0", capture, pytest.fail, lambda line: lost.set(), pause=3600.0)  # type: ignore[arg-type]
    reader = threading.Thread(target=list, args=(frames,), daemon=True)
    reader.start()
    assert lost.wait(ENOUGH)
    frames.stop()
    reader.join(ENOUGH)
    assert not reader.is_alive()
    assert not capture.isOpened()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_stop_does_not_wait_for_a_read_that_hangs(film: FilmMaker, tmp_path: Path) -> None:
    """A pipe that is held open and gives nothing more is a driver that hangs."""
    data = film("a.avi", 60, "MJPG").read_bytes()
    pipe = tmp_path / "camera.avi"
    os.mkfifo(pipe)
    done = threading.Event()

    def feed() -> None:
        with pipe.open("wb") as file:
            file.write(data[: len(data) // 2])
            file.flush()
            done.wait(2 * ENOUGH)

    feeder = threading.Thread(target=feed, daemon=True)
    feeder.start()
    capture = open_video(pipe)
    frames = Reconnection("camera 0", capture, pytest.fail, pytest.fail)  # type: ignore[arg-type]
    given: list[np.ndarray] = []
    reader = threading.Thread(target=given.extend, args=(frames,), daemon=True)
    reader.start()
    seen = -1
    while seen != len(given) or not given:  # until it hangs
        seen = len(given)
        time.sleep(0.2)
    assert frames._in_use.locked()
    stopper = threading.Thread(target=frames.stop, daemon=True)
    stopper.start()
    stopper.join(ENOUGH)
    assert not stopper.is_alive()
    assert reader.is_alive()
    done.set()  # the driver gives up
    for thread in (reader, feeder):
        thread.join(ENOUGH)
        assert not thread.is_alive()
    assert not capture.isOpened()  # by the reader, who had it last
    assert len(given) == seen


def test_a_camera_source_tells_what_it_really_gives_and_ends_when_closed(
    film: FilmMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = film("a.mp4", 5)
    monkeypatch.setattr("demo_app.sources.camera.open_camera", lambda index, width, height, fps: open_video(path))
    with CameraSource(3, pytest.fail, width=640, height=480, fps=60.0) as source:
        assert source.size == (96, 64)
        assert source.fps == pytest.approx(12.0)
        assert source.total is None
        frames = iter(source)
        assert next(frames).name == "camera 3"
    assert list(frames) == []


def test_frames_are_not_piled_up(film: FilmMaker) -> None:
    frames = iter(Reconnection("camera 0", open_video(film("a.mp4", 5)), pytest.fail, pytest.fail))  # type: ignore[arg-type]
    first = next(frames)
    first_again = weakref.ref(first)
    del first
    next(frames)
    assert first_again() is None
