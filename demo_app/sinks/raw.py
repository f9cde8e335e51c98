"""Bare pixels into a pipe."""

from __future__ import annotations

import sys
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from demo_app.frame import Frame
from demo_app.steady_size import check_size
from edge_deeplab.errors import OutputError
from edge_deeplab.files import output_error


def standard_output() -> BinaryIO:
    """The standard output for bytes, not buffered: a frame is out when it is written, and none is left at the end."""
    return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)


class RawSink:
    """Frames as bare pixels, RGB24, one after the other: ``| ffmpeg -f rawvideo -pix_fmt rgb24 -s 1280x720 -i -``.

    A reader that goes away ends the film, and is no error: ``write`` raises BrokenPipeError, which ends the loop that
    writes, and leaving the sink takes it back.

    Args:
        stream: binary, such as :func:`standard_output`. Leaving the sink does not close it.
        name: what to call it in messages.

    Raises:
        OutputError: the stream is a terminal; from ``write``: its place is full or cannot be written to.
        SourceError: from ``write``: a frame of another size, where the reader could not tell.
    """

    def __init__(self, stream: BinaryIO, name: str = "standard output") -> None:
        if stream.isatty():
            raise OutputError(
                f"{name} is a terminal, and pixels are no text: pipe them on (| ffmpeg ...), or into a file"
            )
        self._stream = stream
        self._name = name
        self._size: tuple[int, int] | None = None

    def write(self, frame: Frame) -> None:
        if self._size is None:
            self._size = frame.rgb.shape[1], frame.rgb.shape[0]
        check_size(frame, *self._size)
        left = frame.rgb.reshape(-1).data
        try:
            while left:  # a pipe takes what it has room for
                left = left[self._stream.write(left) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise output_error(Path(self._name), error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return isinstance(error, BrokenPipeError)
