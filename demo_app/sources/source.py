"""What a source of frames is, and the rate of one that does not say it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import TracebackType
from typing import Protocol, Self

from demo_app.frame import Frame

# What a film is played at whose file or camera does not say its rate: VideoCapture then reports 0 or -1.
ASSUMED_FPS = 30.0


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


def usable_fps(reported: float) -> float:
    return reported if math.isfinite(reported) and 1.0 <= reported <= 240.0 else ASSUMED_FPS
