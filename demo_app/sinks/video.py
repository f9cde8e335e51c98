"""A video file, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import numpy as np

from demo_app.capture import open_video
from demo_app.frame import Frame
from demo_app.sinks.interruption import is_worth_keeping
from demo_app.sinks.sound import add_sound
from demo_app.steady_size import check_size
from edge_deeplab.errors import OutputError
from edge_deeplab.files import atomic_path
from edge_deeplab.image import Rgb


class VideoSink:
    """An .mp4 file (MPEG-4 part 2, which every OpenCV wheel can write); the sound of another film is added by FFmpeg.

    It is written under a temporary name and renamed at the end. Ctrl-C and a source that breaks keep what was written
    until then; any other error removes it. An odd width or height loses its last column or row to the codec.

    Args:
        path: the file.
        fps: frames a second.
        sound_of: the film whose sound to keep; one that has none is fine. None: the file gets no sound.
        on_event: called with a line that says why the film has no sound after all. It never costs the pictures.

    Raises:
        OutputError: from ``write`` and on leaving: the place cannot be written to, the disk is full, or this OpenCV
            has no such codec.
    """

    def __init__(
        self,
        path: Path,
        fps: float,
        sound_of: Path | None = None,
        on_event: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._path = path
        self._fps = fps
        self._sound_of = sound_of
        self._on_event = on_event
        self._stack = ExitStack()
        self._temporary = path  # until it is entered
        self._writer: cv2.VideoWriter | None = None
        self._bgr = np.empty((0, 0, 3), np.uint8)
        self._count = 0

    def write(self, frame: Frame) -> None:
        if self._writer is None:
            self._writer = self._open(frame.rgb)
            self._bgr = np.empty_like(frame.rgb)
        check_size(frame, self._bgr.shape[1], self._bgr.shape[0])
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
        late_interrupt = None
        with self._stack:  # which renames the file, or removes it on an error
            if not is_worth_keeping(self._count, error):
                raise error or OutputError(f"there is nothing to write to {self._path}: no frame came")
            if not _is_playable(self._temporary, self._count):
                raise _full_disk(self._path)
            if self._sound_of is not None:
                try:
                    self._add_sound(self._sound_of)
                except KeyboardInterrupt as interrupt:
                    self._on_event(f"{self._path} has no sound: it was interrupted")
                    late_interrupt = interrupt
        if late_interrupt is not None:
            raise late_interrupt

    def _add_sound(self, sound_of: Path) -> None:
        """Put a film with sound in the place of the finished one, or leave that and say why."""
        try:
            with atomic_path(self._temporary) as with_sound:
                add_sound(self._temporary, sound_of, self._count / self._fps, with_sound)
                if not _is_playable(with_sound, self._count):
                    raise _full_disk(self._path)
        except OutputError as error:
            self._on_event(f"{self._path} has no sound: {error}")

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
