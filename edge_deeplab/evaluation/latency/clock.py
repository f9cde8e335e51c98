"""How long one run took, by the wall's clock and by the processor's. Imports nothing heavy: see ``worker``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Clocks:
    """What time is read from, in seconds.

    Attributes:
        wall: time as the user waits for it.
        processor: what the whole process, all its threads, has used of the processor; waiting for others not counted.
    """

    wall: Callable[[], float] = time.perf_counter
    processor: Callable[[], float] = time.process_time


@dataclass(frozen=True)
class Timing:
    """Seconds of one run, by both clocks."""

    wall: float
    processor: float


def timed(work: Callable[[], object], clocks: Clocks) -> Timing:
    """Do the work once, between two looks at each clock."""
    processor, wall = clocks.processor(), clocks.wall()
    work()
    return Timing(clocks.wall() - wall, clocks.processor() - processor)
