"""OpenCV's video input, opened without its own chatter: our errors say the same in a sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from edge_deeplab.image import Rgb

# -8 is AV_LOG_QUIET. OpenCV reads it when it first touches FFmpeg, so it is set on import.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def open_video(path: Path) -> cv2.VideoCapture:
    """Open a video file by FFmpeg; ``isOpened()`` of the result says whether that went well."""
    with _without_warnings():
        return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)


def open_camera(index: int) -> cv2.VideoCapture:
    """Open a camera by whatever this system has; ``isOpened()`` of the result says whether that went well."""
    with _without_warnings():
        return cv2.VideoCapture(index)


@contextmanager
def _without_warnings() -> Iterator[None]:
    level = cv2.getLogLevel()
    cv2.setLogLevel(0)
    try:
        yield
    finally:
        cv2.setLogLevel(level)


def rgb_frames(capture: cv2.VideoCapture) -> Iterator[Rgb]:
    """The frames that an opened video or camera still gives, RGB, uint8, HxWx3, each in an array of its own."""
    while True:
        read, bgr = capture.read()
        if not read:
            return
        yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)  # type: ignore[misc]
