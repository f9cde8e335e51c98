"""No place at all."""

from __future__ import annotations

from demo_app.frame import Frame
from demo_app.nothing_to_close import NothingToClose


class NullSink(NothingToClose):
    """Counts frames and forgets them: to measure what comes before, or to watch without recording.

    Attributes:
        count: frames taken so far.
    """

    def __init__(self) -> None:
        self.count = 0

    def write(self, frame: Frame) -> None:
        self.count += 1
