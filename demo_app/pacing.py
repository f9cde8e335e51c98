"""Camera frames come when they come; a video file plays at one rate."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


def at_constant_rate(
    items: Iterable[_Item], fps: float, seconds: float | None = None, clock: Callable[[], float] = time.monotonic
) -> Iterator[_Item]:
    """Repeat or leave out items so that, played at ``fps``, they last as long as they took to come.

    Args:
        items: what comes in real time, such as a camera's frames.
        fps: items a second of the result.
        seconds: stop after this long; None: when the items end.
        clock: the time in seconds.
    """
    start = clock()
    given = 0
    for item in items:
        elapsed = clock() - start
        if seconds is not None and elapsed >= seconds:
            return
        while given <= elapsed * fps:
            yield item
            given += 1
