"""How long each stage of a piece of work takes that is done again and again, such as one on every frame of a film."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from edge_deeplab.evaluation.latency.clock import Clocks, Timing, timed
from edge_deeplab.evaluation.latency.rounds import orders
from edge_deeplab.evaluation.latency.statistics import Ratio, Spread, paired_ratio, spread
from edge_deeplab.evaluation.parallel import Progress

Result = TypeVar("Result")
Item = TypeVar("Item")


class Stopwatch:
    """Does the work of each stage and notes how long it took.

    Args:
        clocks: what time is read from.

    Attributes:
        timings: stage to its last timing, in the order in which the stages first came.
    """

    def __init__(self, clocks: Clocks | None = None) -> None:
        self._clocks = clocks or Clocks()
        self.timings: dict[str, Timing] = {}

    def __call__(self, stage: str, work: Callable[[], Result], /) -> Result:
        """Do the work and give its result."""
        results: list[Result] = []
        self.timings[stage] = timed(lambda: results.append(work()), self._clocks)
        return results[0]


@dataclass(frozen=True)
class StagedTimes:
    """Seconds of all counted rounds of one piece of work, by both clocks.

    Attributes:
        stages: their names, in order.
        wall: float64, (rounds, stages).
        processor: float64, (rounds, stages).
    """

    stages: tuple[str, ...]
    wall: NDArray[np.float64]
    processor: NDArray[np.float64]


@dataclass(frozen=True)
class StageLatency:
    """What one model's way through a pipeline of several stages takes; times in milliseconds.

    Attributes:
        name: of the model.
        way: which of the pipeline's ways, such as a quality.
        wall: stage to the spread of its wall time, in order.
        processor: stage to the spread of its processor time.
        wall_sum: of the sum of the stages, frame by frame.
        processor_sum: likewise.
        ratio: of the processor time of all stages to that of the model that all are compared with, on the same frames
            and the same way; None: no comparison, or a clock too coarse for it.
    """

    name: str
    way: str
    wall: Mapping[str, Spread]
    processor: Mapping[str, Spread]
    wall_sum: Spread
    processor_sum: Spread
    ratio: Ratio | None


def time_stages(
    works: Sequence[Callable[[Item, Stopwatch], object]],
    items: Iterable[Item],
    *,
    rounds: int,
    warm_up: int,
    seed: int,
    progress: Progress | None = None,
    clocks: Clocks | None = None,
) -> list[StagedTimes]:
    """Do every piece of work on each item, in an order of its own for each item.

    Args:
        works: each takes an item and a stopwatch, which it calls for each of its stages, always the same ones.
        items: one a round; ``warm_up + rounds`` of them at least.
        rounds: that count, 1 or more.
        warm_up: rounds before them, 0 or more.
        seed: of the :func:`~edge_deeplab.evaluation.latency.rounds.orders`.
        progress: told after each round.
        clocks: what time is read from.

    Returns:
        One for each piece of work.
    """
    total = warm_up + rounds
    noted: list[list[dict[str, Timing]]] = [[] for _ in works]
    for done, (order, item) in enumerate(zip(orders(len(works), total, seed=seed), items, strict=False), start=1):
        for place in order:
            watch = Stopwatch(clocks)
            works[place](item, watch)
            noted[place].append(watch.timings)
        if progress is not None:
            progress(done, total)
    return [_times(of_work[warm_up:]) for of_work in noted]


def stage_latency(name: str, way: str, times: StagedTimes, against: StagedTimes | None) -> StageLatency:
    """What the times of one model come to, and of another one on the same items, None: there is none."""
    wall, processor = times.wall * 1e3, times.processor * 1e3
    total = processor.sum(axis=1)
    others = None if against is None else against.processor.sum(axis=1) * 1e3
    return StageLatency(
        name=name,
        way=way,
        wall=_spreads(times.stages, wall),
        processor=_spreads(times.stages, processor),
        wall_sum=spread(wall.sum(axis=1)),
        processor_sum=spread(total),
        # A processor's clock may be too coarse (15 ms on Windows), and gives 0 then.
        ratio=None if others is None or not others.all() else paired_ratio(total, others),
    )


def _times(rounds: Sequence[Mapping[str, Timing]]) -> StagedTimes:
    stages = tuple(rounds[0])
    seconds = np.array([[(timings[stage].wall, timings[stage].processor) for stage in stages] for timings in rounds])
    return StagedTimes(stages, seconds[:, :, 0], seconds[:, :, 1])


def _spreads(stages: Sequence[str], milliseconds: NDArray[np.float64]) -> dict[str, Spread]:
    return {stage: spread(milliseconds[:, place]) for place, stage in enumerate(stages)}
