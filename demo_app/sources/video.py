"""A video file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2

from demo_app.capture import frame_size, open_video, read_frame
from demo_app.frame import Frame
from demo_app.sources.source import usable_fps
from edge_deeplab.errors import SourceError

# These containers store how many frames they have, so that a broken one can be told from one that ended. Elsewhere
# OpenCV guesses from the duration.
_COUNTED_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi"})


class VideoSource:
    """A video file, every frame of it, turned upright as its header says.

    Args:
        path: the file, in any format that OpenCV's FFmpeg reads.

    Attributes:
        size: (width, height) of its frames, upright.
        fps: frames a second; the mean where the file's rate varies, so that all frames last as long as the file says.

    Raises:
        SourceError: missing, not a video, or without a single frame.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise SourceError(f"there is no file {path}")
        self._path = path
        self._capture = open_video(path)
        if not self._capture.isOpened():
            raise SourceError(
                f"{path} is not a video that can be read, or was cut off while it was recorded: "
                "play it in a video player to see, and convert it to .mp4"
            )
        declared = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        self.total = round(declared) if path.suffix.lower() in _COUNTED_SUFFIXES and declared >= 1 else None
        self.fps = usable_fps(self._capture.get(cv2.CAP_PROP_FPS))
        self.size = frame_size(self._capture)

    def __iter__(self) -> Iterator[Frame]:
        count = 0
        while (rgb := read_frame(self._capture)) is not None:
            yield Frame(rgb, self._path.name)
            count += 1
        if count == 0:
            raise SourceError(f"{self._path} has no frame that can be read: get a fresh copy")
        # An edit list may hide up to a group of pictures, about a second, of what the header counts.
        if self.total is not None and self.total - count > max(2.0, min(self.fps, 0.1 * self.total)):
            raise SourceError(
                f"{self._path} broke off after {count} of {self.total} frames: "
                "what was read is kept; get a fresh copy for the rest"
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()
