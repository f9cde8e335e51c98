"""A camera."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from types import TracebackType
from typing import Self

import cv2

from demo_app.capture import frame_size, open_camera
from demo_app.frame import Frame
from demo_app.sources.reconnection import Reconnection
from demo_app.sources.source import usable_fps
from edge_deeplab.errors import SourceError


class CameraSource:
    """A camera, until it is closed; one that is unplugged meanwhile is picked up again when it comes back.

    Args:
        index: 0 is the first camera of this machine.
        on_event: called with one line when the camera is lost, and with one when it is back.
        width: columns wanted.
        height: rows wanted.
        fps: frames a second wanted.
        patience: seconds to wait for a lost camera; infinity: until the source is closed.

    Attributes:
        size: (width, height) that the camera really gives.
        fps: frames a second that it says to give.

    Raises:
        SourceError: there is no such camera, or another program has it.
    """

    total = None

    def __init__(
        self,
        index: int,
        on_event: Callable[[str], None],
        *,
        width: int = 1280,
        height: int = 720,
        fps: float = 30.0,
        patience: float = math.inf,
    ) -> None:
        self._name = f"camera {index}"
        reopen = partial(open_camera, index, width, height, fps)
        capture = reopen()
        if not capture.isOpened():
            raise SourceError(
                f"{self._name} cannot be opened: plug it in, close other programs that use it, or try another index"
            )
        self.size = frame_size(capture)
        self.fps = usable_fps(capture.get(cv2.CAP_PROP_FPS))
        self._frames = Reconnection(self._name, capture, reopen, on_event, patience)

    def __iter__(self) -> Iterator[Frame]:
        for rgb in self._frames:
            yield Frame(rgb, self._name)

    def stop(self) -> None:
        """End the frames, from any thread and without waiting, even while a lost camera is waited for."""
        self._frames.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
