"""Camera frames come when they come; a video file plays at one rate, and comes as fast as it can be read."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")


class ConstantRate:
    """Says how often each item of an uneven stream is to be given, so that the stream lasts as long as it took to come.

    Args:
        fps: items a second of the result.
    """

    def __init__(self, fps: float) -> None:
        self._fps = fps
        self._given = 0

    def repeats(self, elapsed: float) -> int:
        """How often to give the item that came ``elapsed`` seconds after the start: 0 leaves it out."""
        due = max(0, math.floor(elapsed * self._fps) + 1 - self._given)
        self._given += due
        return due


def in_real_time(
    items: Iterable[_Item],
    fps: float,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[_Item]:
    """Hold items back until they are due, so that a file plays as if it came from a camera.

    An item that comes late is given at once, and those behind it keep their times: a short stop is caught up with.

    Args:
        items: what comes faster than it is played, such as a video file's frames.
        fps: items a second.
        clock: the time in seconds.
        sleep: wait for so many seconds.
    """
    start: float | None = None
    for count, item in enumerate(items):
        now = clock()
        if start is None:  # the first item may take a while to come: nothing is late because of it
            start = now
        early = start + count / fps - now
        if early > 0:
            sleep(early)
        yield item
