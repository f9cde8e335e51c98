"""A film behind the subject."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from demo_app.backdrops.picture import cover
from demo_app.sources.video import VideoSource
from edge_deeplab.image import Rgb
from edge_deeplab.runtime.closing import ClosedOnExit


class FilmBackdrop(ClosedOnExit):
    """A video that covers the frame as a picture does: frame by frame, and from the start again at its end.

    Its own rate does not count, so that the same frames get the same backdrops however fast they are made.

    Args:
        path: the file, in any format that OpenCV's FFmpeg reads.

    Raises:
        SourceError: missing, or not a video; from a call: without a frame, or broken in the middle.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._frames = self._turn()

    def __call__(self, frame: Rgb, coverage: NDArray[np.uint8]) -> Rgb:
        """As :class:`demo_app.backdrops.backdrop.Backdrop` says."""
        picture = next(self._frames, None)
        if picture is None:
            self.close()
            self._frames = self._turn()
            picture = next(self._frames)
        return cover(picture, *frame.shape[:2])

    def close(self) -> None:
        self._stack.close()

    def _turn(self) -> Iterator[Rgb]:
        """Opens the file now; its frames, once."""
        source = self._stack.enter_context(VideoSource(self._path))
        return (frame.rgb for frame in source)
