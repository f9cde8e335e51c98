"""Bare pixels from a pipe."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import BinaryIO

import cv2
import numpy as np

from demo_app.frame import Frame
from demo_app.nothing_to_close import NothingToClose
from demo_app.sources.source import ASSUMED_FPS
from edge_deeplab.errors import SourceError, SpecError
from edge_deeplab.image import Rgb

_MAX_SIDE = 16_384  # four times 4K: a number above is a slip, and would take gigabytes for each frame


class ChannelOrder(Enum):
    """The order of the bytes of a pixel, under FFmpeg's name for it (``-pix_fmt``)."""

    RGB = "rgb24"
    BGR = "bgr24"


class RawSource(NothingToClose):
    """Frames as bare pixels, one after the other without anything between: ``ffmpeg ... -f rawvideo -pix_fmt rgb24 -``.

    Args:
        stream: binary, such as ``sys.stdin.buffer``. Leaving the source does not close it.
        width: columns of a frame.
        height: rows of a frame.
        fps: frames a second to play them at.
        order: of the bytes of a pixel.
        name: what to call it in messages.

    Attributes:
        size: (width, height).

    Raises:
        SpecError: a size that no frame has.
        SourceError: the stream is a keyboard; while reading: it has no frame at all, or ends within one.
    """

    total = None

    def __init__(
        self,
        stream: BinaryIO,
        width: int,
        height: int,
        fps: float = ASSUMED_FPS,
        order: ChannelOrder = ChannelOrder.RGB,
        name: str = "standard input",
    ) -> None:
        if not (1 <= width <= _MAX_SIDE and 1 <= height <= _MAX_SIDE):
            raise SpecError(
                f"frames cannot be {width}x{height}: give the width and the height, 1 to {_MAX_SIDE} pixels"
            )
        if stream.isatty():
            raise SourceError(
                f"{name} is a keyboard: pipe frames into it (ffmpeg -i FILE -f rawvideo -pix_fmt rgb24 -)"
            )
        self._stream = stream
        self._order = order
        self._name = name
        self.size = (width, height)
        self.fps = fps

    def __iter__(self) -> Iterator[Frame]:
        width, height = self.size
        count = 0
        while True:
            pixels: Rgb = np.empty((height, width, 3), np.uint8)
            missing = self._fill(pixels.reshape(-1).data)
            if missing == pixels.nbytes:
                break
            if missing > 0:
                raise SourceError(
                    f"{self._name} ends within frame {count + 1}: {missing} of its {pixels.nbytes} bytes are missing; "
                    f"what was read is kept; see that the frames really are {width}x{height} {self._order.value}"
                )
            if self._order is ChannelOrder.BGR:
                cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB, dst=pixels)
            yield Frame(pixels, self._name)
            count += 1
        if count == 0:
            raise SourceError(f"{self._name} ended before the first frame: see what the program before it says")

    def _fill(self, buffer: memoryview) -> int:
        """Read until a buffer is full or the stream ends; gives how many bytes are missing.

        A pipe gives what it holds, 64 KiB at most, however much is asked for.
        """
        while buffer and (count := self._stream.readinto(buffer)):  # type: ignore[attr-defined]
            buffer = buffer[count:]
        return len(buffer)
