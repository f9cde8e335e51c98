"""Several models take turns, so that what disturbs the machine disturbs all of them alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.evaluation.latency.clock import Timing
from edge_deeplab.evaluation.parallel import Progress


@dataclass(frozen=True)
class Timings:
    """Seconds of all counted runs, by both clocks, each float64, (rounds, models)."""

    wall: NDArray[np.float64]
    processor: NDArray[np.float64]


def orders(models: int, rounds: int, *, seed: int) -> NDArray[np.intp]:
    """Who is when: each round is a shuffle of all models, so that none always follows the same other.

    Returns:
        Indices of models, (rounds, models); the same for the same numbers.
    """
    random = np.random.default_rng(seed)
    return np.stack([random.permutation(models) for _ in range(rounds)])


def take_turns(
    models: Sequence[Callable[[], Timing]], *, warm_up: int, runs: int, seed: int, progress: Progress | None = None
) -> Timings:
    """Run every model once a round.

    Args:
        models: each runs once and tells how long it took.
        warm_up: rounds that do not count, before the others, 0 or more.
        runs: rounds that count, 1 or more.
        seed: of the :func:`orders`.
        progress: told after each round.
    """
    rounds = warm_up + runs
    seconds = np.empty((2, rounds, len(models)))
    for done, order in enumerate(orders(len(models), rounds, seed=seed)):
        for model in order:
            timing = models[model]()
            seconds[:, done, model] = timing.wall, timing.processor
        if progress is not None:
            progress(done + 1, rounds)
    wall, processor = seconds[:, warm_up:]
    return Timings(wall, processor)
