from __future__ import annotations

import threading
import time

import pytest

from edge_deeplab.evaluation.parallel import in_order


@pytest.mark.parametrize("workers", [1, 2, 7, None])
def test_results_come_in_order_whichever_is_done_first(workers: int | None) -> None:
    told: list[tuple[int, int]] = []

    def work(index: int, _: threading.Event) -> int:
        time.sleep(0.002 * (5 - index % 6))
        return index * index

    results = in_order(work, 12, workers=workers, progress=lambda done, count: told.append((done, count)))
    assert results == [index * index for index in range(12)]
    assert told == [(done, 12) for done in range(1, 13)]


def test_that_many_work_at_once() -> None:
    meeting = threading.Barrier(3, timeout=60)
    assert in_order(lambda index, _: meeting.wait() >= 0, 3, workers=3) == [True] * 3


def test_the_first_failure_in_order_is_raised_and_what_waits_is_dropped() -> None:
    begun: list[int] = []
    told: list[bool] = []

    def work(index: int, stopped: threading.Event) -> None:
        begun.append(index)
        if index == 1:
            raise ValueError("one")
        if index > 1:
            told.append(stopped.wait(15))
            raise ValueError("a later one")

    with pytest.raises(ValueError, match=r"^one$"):
        in_order(work, 1000, workers=2)
    assert len(begun) <= 4
    assert all(told)


def test_an_interruption_ends_what_has_begun_and_drops_what_waits() -> None:
    begun: list[int] = []
    told: list[bool] = []

    def work(index: int, stopped: threading.Event) -> None:
        begun.append(index)
        if index:
            told.append(stopped.wait(15))

    def interrupt(done: int, count: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        in_order(work, 1000, workers=2, progress=interrupt)
    assert len(begun) <= 4
    assert all(told)
