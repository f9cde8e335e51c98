"""A video file, whole or not at all."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from demo_app.capture import open_video
from demo_app.frame import Frame
from edge_deeplab.errors import OutputError, SourceError
from edge_deeplab.files import atomic_path
from edge_deeplab.image import Rgb


class VideoSink:
    """An .mp4 file (MPEG-4 part 2, which every OpenCV wheel can write), without sound.

    It is written under a temporary name and renamed at the end. Ctrl-C and a source that breaks keep what was written
    until then; any other error removes it. An odd width or height loses its last column or row to the codec.

    Args:
        path: the file.
        fps: frames a second.

    Raises:
        OutputError: from ``write`` and on leaving: the place cannot be written to, the disk is full, or this OpenCV
            has no such codec.
    """

    def __init__(self, path: Path, fps: float) -> None:
        self._path = path
        self._fps = fps
        self._stack = ExitStack()
        self._temporary = path  # until it is entered
        self._writer: cv2.VideoWriter | None = None
        self._bgr = np.empty((0, 0, 3), np.uint8)
        self._count = 0

    def write(self, frame: Frame) -> None:
        if self._writer is None:
            self._writer = self._open(frame.rgb)
            self._bgr = np.empty_like(frame.rgb)
        if self._bgr.shape != frame.rgb.shape:
            # VideoWriter leaves such frames out without a word.
            raise SourceError(
                f"{frame.name} changes its size from {self._bgr.shape[1]}x{self._bgr.shape[0]} to "
                f"{frame.rgb.shape[1]}x{frame.rgb.shape[0]} in the middle: what was written is kept; cut it there"
            )
        cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2BGR, dst=self._bgr)
        # VideoWriter does not notice a full disk either. A raw frame is more than what it will write for this one.
        if shutil.disk_usage(self._path.parent).free < frame.rgb.nbytes:
            raise _full_disk(self._path)
        self._writer.write(self._bgr)
        self._count += 1

    def __enter__(self) -> Self:
        self._temporary = self._stack.enter_context(atomic_path(self._path))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.release()
        worth_keeping = self._count > 0 and (error is None or isinstance(error, KeyboardInterrupt | SourceError))
        with self._stack:  # which renames the file, or removes it on an error
            if error is not None and not worth_keeping:
                raise error
            if not worth_keeping:
                raise OutputError(f"there is nothing to write to {self._path}: no frame came")
            if not _is_playable(self._temporary, self._count):
                raise _full_disk(self._path)

    def _open(self, first: Rgb) -> cv2.VideoWriter:
        height, width = first.shape[:2]
        codec = cv2.VideoWriter.fourcc(*"mp4v")
        writer = cv2.VideoWriter(str(self._temporary), cv2.CAP_FFMPEG, codec, self._fps, (width, height))
        if not writer.isOpened():
            raise OutputError(
                f"cannot write {self._path}: this OpenCV ({cv2.__version__}) has no MPEG-4 encoder for frames of "
                f"{width}x{height}: install opencv-python from its wheel, and use frames of at least 2x2 pixels"
            )
        return writer


def _full_disk(path: Path) -> OutputError:
    return OutputError(f"cannot write {path} whole: the disk is full: free some space or write elsewhere")


def _is_playable(path: Path, count: int) -> bool:
    """Whether a finished video opens, counts ``count`` frames, and still has its last one.

    One more is right, too: Ctrl-C is noticed behind the encoder's call, when the frame is written but not yet counted.
    """
    capture = open_video(path)
    try:
        if not capture.isOpened() or round(capture.get(cv2.CAP_PROP_FRAME_COUNT)) - count not in (0, 1):
            return False
        capture.set(cv2.CAP_PROP_POS_FRAMES, count - 1)
        return capture.grab()
    finally:
        capture.release()
