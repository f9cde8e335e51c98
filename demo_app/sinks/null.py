"""No place at all."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from demo_app.frame import Frame


class NullSink:
    """Counts frames and forgets them: to measure what comes before, or to watch without recording.

    Attributes:
        count: frames taken so far.
    """

    def __init__(self) -> None:
        self.count = 0

    def write(self, frame: Frame) -> None:
        self.count += 1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
