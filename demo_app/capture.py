"""OpenCV's video input, opened without its own chatter: our errors say the same in a sentence."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2

from edge_deeplab.image import Rgb

# -8 is AV_LOG_QUIET. OpenCV reads it when it first touches FFmpeg, so it is set on import.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


def open_video(path: Path) -> cv2.VideoCapture:
    """Open a video file by FFmpeg, to be turned upright; ``isOpened()`` of the result says whether that went well."""
    with _without_warnings():
        # Absolute, or FFmpeg would take "talk: part 1.mp4" for the address of a protocol.
        capture = cv2.VideoCapture(str(path.absolute()), cv2.CAP_FFMPEG)
        capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)  # OpenCV 4.11 does it only when asked
        return capture


def open_camera(index: int, width: int, height: int, fps: float) -> cv2.VideoCapture:
    """Open a camera by V4L2 on Linux, by whatever this system has elsewhere, and ask it for a size, a rate and MJPG.

    A camera takes what it has that is near; :func:`frame_size` of the result says what that is. Raw pixels at 720p are
    more than USB 2 can carry 30 times a second, hence MJPG, which a camera without it ignores.

    Args:
        index: 0 is the first camera of this machine.
        width: columns wanted.
        height: rows wanted.
        fps: frames a second wanted.

    Returns:
        The capture; ``isOpened()`` says whether there is such a camera and no other program has it.
    """
    with _without_warnings():
        capture = cv2.VideoCapture(index, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
        if capture.isOpened():
            # In this order: the sizes and rates that a camera has depend on the pixel format.
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
            capture.set(cv2.CAP_PROP_FPS, fps)
        return capture


def frame_size(capture: cv2.VideoCapture) -> tuple[int, int]:
    """(width, height) of the frames that an opened video or camera gives, upright; (0, 0): it does not say."""
    return round(capture.get(cv2.CAP_PROP_FRAME_WIDTH)), round(capture.get(cv2.CAP_PROP_FRAME_HEIGHT))


@contextmanager
def _without_warnings() -> Iterator[None]:
    level = cv2.getLogLevel()
    cv2.setLogLevel(0)
    try:
        yield
    finally:
        cv2.setLogLevel(level)


def read_frame(capture: cv2.VideoCapture) -> Rgb | None:
    """The next frame, RGB, uint8, HxWx3, in an array of its own; None: there is none."""
    read, bgr = capture.read()
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr) if read else None  # type: ignore[return-value]
