"""Where frames come from: a photo, a folder of photos, a video file, a camera."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import cv2

from demo_app.capture import open_camera, open_video
from demo_app.frame import Frame
from edge_deeplab.errors import ImageError, SourceError
from edge_deeplab.image import Rgb, list_images, read_rgb

# What a film is played at whose file or camera does not say its rate: VideoCapture then reports 0 or -1.
ASSUMED_FPS = 30.0

# These containers store how many frames they have, so that a broken one can be told from one that ended. Elsewhere
# OpenCV guesses from the duration.
_COUNTED_SUFFIXES = frozenset({".mp4", ".m4v", ".mov", ".avi"})


class Source(Protocol):
    """Something that frames come from. A context manager: entering it opens it, leaving it frees it."""

    @property
    def total(self) -> int | None:
        """How many frames are to come, as far as is known."""
        ...

    @property
    def fps(self) -> float:
        """Frames a second to play them at."""
        ...

    def __iter__(self) -> Iterator[Frame]:
        """The frames, once.

        Raises:
            SourceError: the source broke; the frames given until then are good.
        """
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PhotoSource:
    """One photo."""

    fps = ASSUMED_FPS
    total = 1

    def __init__(self, path: Path) -> None:
        self._path = path

    def __iter__(self) -> Iterator[Frame]:
        yield Frame(_read(self._path), self._path.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class FolderSource:
    """The photos directly in a folder, by name.

    Args:
        folder: where they are.
        on_bad: called with the error of each photo that cannot be read; the others still come.

    Raises:
        SourceError: no such folder, or no photo in it.
    """

    fps = ASSUMED_FPS

    def __init__(self, folder: Path, on_bad: Callable[[SourceError], None]) -> None:
        try:
            self._paths = list_images(folder)
        except ImageError as error:
            raise SourceError(str(error)) from error
        self._on_bad = on_bad

    @property
    def total(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[Frame]:
        for path in self._paths:
            try:
                rgb = _read(path)
            except SourceError as error:
                self._on_bad(error)
            else:
                yield Frame(rgb, path.name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None


class VideoSource:
    """A video file, every frame of it, turned upright as its header says.

    Args:
        path: the file, in any format that OpenCV's FFmpeg reads.

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

    def __iter__(self) -> Iterator[Frame]:
        count = 0
        for rgb in _frames(self._capture):
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


class CameraSource:
    """A camera, until it is closed or unplugged.

    Args:
        index: 0 is the first camera of this machine.

    Raises:
        SourceError: there is no such camera, or another program has it.
    """

    total = None

    def __init__(self, index: int) -> None:
        self._index = index
        self._capture = open_camera(index)
        if not self._capture.isOpened():
            raise SourceError(
                f"camera {index} cannot be opened: plug it in, close other programs that use it, or try another index"
            )
        self.fps = usable_fps(self._capture.get(cv2.CAP_PROP_FPS))

    def __iter__(self) -> Iterator[Frame]:
        for rgb in _frames(self._capture):
            yield Frame(rgb, f"camera {self._index}")
        raise SourceError(f"camera {self._index} gives no more frames: it was unplugged or taken by another program")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()


def _read(path: Path) -> Rgb:
    try:
        return read_rgb(path)
    except ImageError as error:
        raise SourceError(str(error)) from error


def _frames(capture: cv2.VideoCapture) -> Iterator[Rgb]:
    while True:
        read, bgr = capture.read()
        if not read:
            return
        yield cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB, dst=bgr)  # type: ignore[misc]


def usable_fps(reported: float) -> float:
    return reported if math.isfinite(reported) and 1.0 <= reported <= 240.0 else ASSUMED_FPS
