"""What a sink of frames is."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol, Self

from demo_app.frame import Frame


class Sink(Protocol):
    """Something that frames go to. A context manager: leaving it finishes what was written."""

    def write(self, frame: Frame) -> None:
        """Take one frame; its pixels may be overwritten afterwards.

        Raises:
            OutputError: the place cannot be written to.
        """
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        """Finish what was written. True: the error was the film's regular end, and is taken back."""
        ...
