"""Learning-rate schedules, as a factor on the base rate."""

from __future__ import annotations

import math
from collections.abc import Callable
from enum import StrEnum


class Schedule(StrEnum):
    """The shape of the decay."""

    COSINE = "cosine"
    POLY = "poly"


def learning_rate_factor(schedule: Schedule, total_steps: int, warmup_steps: int) -> Callable[[int], float]:
    """The factor at each optimizer step: linear warm-up, then cosine (Loshchilov and Hutter 2017) or poly.

    Poly is (1 - step / total) ** 0.9, the DeepLab papers' (Chen et al. 2017, section 4.1).

    Args:
        schedule: the decay behind the warm-up.
        total_steps: optimizer steps of the whole run; the factor is 0 from there on.
        warmup_steps: steps of linear warm-up.
    """

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / warmup_steps
        done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        match schedule:
            case Schedule.COSINE:
                return 0.5 * (1.0 + math.cos(math.pi * done))
            case Schedule.POLY:
                return float((1.0 - done) ** 0.9)

    return factor
