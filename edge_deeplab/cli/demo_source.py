"""What the SOURCE of ``edge-deeplab demo`` may be, and how each kind is opened."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from demo_app.sources.source import Source

_DEFAULT_SIZE = (1280, 720)


@dataclass(frozen=True)
class OpenSource:
    """A source that is ready to be entered.

    Attributes:
        frames: the source.
        is_live: its frames come when they come: a camera, a pipe. A file is held back to its rate.
        is_camera: people expect a mirror.
        film: the file, where it may have a sound.
    """

    frames: Source
    is_live: bool = False
    is_camera: bool = False
    film: Path | None = None


def open_source(
    source: str, size: tuple[int, int] | None, fps: float | None, on_event: Callable[[str], None]
) -> OpenSource:
    """Open what a person may name.

    Args:
        source: a camera's number, a video, a folder or a printf pattern of pictures, "-" for raw frames on standard
            input, "scene" for the synthetic scene. A file of that name comes first.
        size: (width, height) that is asked for; None: the source's own, 1280x720 where it can be chosen.
        fps: frames a second that are asked for; None: the source's own.
        on_event: called with a line when a camera is lost, and when it is back.

    Raises:
        SourceError: it is missing, busy or not what it says.
        click.UsageError: an option that this kind of source has no use for.
    """
    from demo_app.sources.image_sequence import ImageSequenceSource, folder_as_film, is_pattern, numbered_pictures
    from demo_app.sources.source import ASSUMED_FPS

    path = Path(source)
    width, height = size or _DEFAULT_SIZE
    rate = fps or ASSUMED_FPS
    if path.is_dir():
        _refuse_size(size, "pictures")
        return OpenSource(ImageSequenceSource(folder_as_film(path), rate))
    if path.exists():
        return OpenSource(_video(path, size, fps), film=path)
    if source == "-":
        from demo_app.sources.raw import RawSource

        if size is None:
            raise click.UsageError("raw frames on standard input need --size: they do not say how large they are.")
        # Not sys.stdin.buffer: Python would wait at its end for a thread that still reads from that.
        stream = FileIO(sys.stdin.fileno(), closefd=False)
        return OpenSource(RawSource(stream, width, height, rate), is_live=True)
    if source == "scene":
        from demo_app.sources.scene import SceneSource

        return OpenSource(SceneSource(width, height, rate))
    if source.isdecimal():
        from demo_app.sources.camera import CameraSource

        camera = CameraSource(int(source), on_event, width=width, height=height, fps=rate)
        return OpenSource(camera, is_live=True, is_camera=True)
    if is_pattern(path.name):
        _refuse_size(size, "pictures")
        return OpenSource(ImageSequenceSource(numbered_pictures(path), rate))
    return OpenSource(_video(path, size, fps), film=path)  # which says that there is none


def _video(path: Path, size: tuple[int, int] | None, fps: float | None) -> Source:
    from demo_app.sources.video import VideoSource

    _refuse_size(size, "a video")
    if fps is not None:
        raise click.UsageError("--fps is not for a video: it has a rate of its own.")
    return VideoSource(path)


def _refuse_size(size: tuple[int, int] | None, what: str) -> None:
    if size is not None:
        raise click.UsageError(f"--size is not for {what}: the frames have a size of their own.")
