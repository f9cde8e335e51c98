"""Stages are timed by clocks that tick as the test says."""

from __future__ import annotations

import numpy as np

from edge_deeplab.evaluation.latency.clock import Clocks
from edge_deeplab.evaluation.latency.rounds import orders
from edge_deeplab.evaluation.latency.stages import StagedTimes, Stopwatch, stage_latency, time_stages
from edge_deeplab.evaluation.latency.statistics import Ratio, Spread


class Work:
    """Two stages that take one and two thousandths of the item, twice that on the wall's clock."""

    def __init__(self, name: str, wall: list[float], processor: list[float], calls: list[tuple[str, int]]) -> None:
        self._name, self._wall, self._processor, self._calls = name, wall, processor, calls

    def __call__(self, item: int, watch: Stopwatch) -> None:
        self._calls.append((self._name, item))
        assert watch("first", lambda: self._work(item, 1)) == item
        watch("second", lambda: self._work(item, 2))

    def _work(self, item: int, share: int) -> int:
        self._processor[0] += item * share * 1e-3
        self._wall[0] += 2 * item * share * 1e-3
        return item


def test_every_work_sees_every_item_in_turns_and_the_warm_up_does_not_count() -> None:
    wall, processor = [5.0], [7.0]
    calls: list[tuple[str, int]] = []
    told: list[tuple[int, int]] = []
    works = [Work(name, wall, processor, calls) for name in "abc"]
    times = time_stages(
        works,
        iter(range(10, 10_000)),
        rounds=3,
        warm_up=2,
        seed=4,
        progress=lambda done, total: told.append((done, total)),
        clocks=Clocks(lambda: wall[0], lambda: processor[0]),
    )
    order = orders(3, 5, seed=4)
    assert calls == [("abc"[place], 10 + turn) for turn in range(5) for place in order[turn]]
    assert told == [(n, 5) for n in range(1, 6)]
    assert len(times) == 3
    for of_work in times:
        assert of_work.stages == ("first", "second")
        np.testing.assert_allclose(of_work.processor, np.array([[12, 24], [13, 26], [14, 28]]) * 1e-3)
        np.testing.assert_allclose(of_work.wall, np.array([[24, 48], [26, 52], [28, 56]]) * 1e-3)


def test_what_the_times_come_to() -> None:
    processor = np.array([[1.0, 2.0], [3.0, 1.0], [2.0, 6.0]])
    mine = StagedTimes(("a", "b"), processor * 2, processor)
    other = StagedTimes(("a", "b"), np.ones((3, 2)), np.array([[1.0, 0.0], [1.0, 1.0], [1.0, 3.0]]))
    found = stage_latency("m", "full", mine, other)
    assert (found.name, found.way) == ("m", "full")
    assert {name: spread.median for name, spread in found.processor.items()} == {"a": 2000.0, "b": 2000.0}
    assert found.wall["b"] == Spread(median=4000.0, p95=11200.0, minimum=2000.0)
    assert found.processor_sum == Spread(median=4000.0, p95=7600.0, minimum=3000.0)
    assert found.wall_sum.median == 8000.0
    assert found.ratio == Ratio(2.0, 2.0, 3.0)  # 3/1, 4/2, 8/4


def test_a_clock_that_saw_nothing_gives_no_ratio() -> None:
    mine = StagedTimes(("a",), np.ones((2, 1)), np.ones((2, 1)))
    coarse = StagedTimes(("a",), np.ones((2, 1)), np.zeros((2, 1)))
    assert stage_latency("m", "full", mine, coarse).ratio is None
    assert stage_latency("m", "full", mine, None).ratio is None
