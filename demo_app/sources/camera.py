"""A camera."""

from __future__ import annotations

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import cv2

from demo_app.capture import open_camera, rgb_frames
from demo_app.frame import Frame
from demo_app.sources.source import usable_fps
from edge_deeplab.errors import SourceError


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
        for rgb in rgb_frames(self._capture):
            yield Frame(rgb, f"camera {self._index}")
        raise SourceError(f"camera {self._index} gives no more frames: it was unplugged or taken by another program")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._capture.release()
