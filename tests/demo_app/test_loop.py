"""The frame loop and its pace: a list in, a list out."""

from __future__ import annotations

import numpy as np
import pytest

from demo_app.frame import Frame
from demo_app.loop import run
from demo_app.pacing import at_constant_rate, in_real_time


def _frame(value: int) -> Frame:
    return Frame(np.full((1, 1, 3), value, np.uint8), f"{value}.png")


def test_each_frame_goes_through_segment_smooth_compose_in_order() -> None:
    portraits = list(
        run(
            [_frame(1), _frame(2), _frame(3)],
            segment=lambda rgb: rgb[:, :, 0].astype(np.float32),
            smooth=lambda rgb, alpha: alpha * 10 + rgb[:, :, 0],
            compose=lambda rgb, alpha: (rgb + alpha[:, :, None]).astype(np.uint8),
        )
    )
    assert [portrait.name for portrait in portraits] == ["1.png", "2.png", "3.png"]
    assert [int(portrait.rgb[0, 0, 0]) for portrait in portraits] == [12, 24, 36]


def test_the_loop_is_lazy_so_that_a_camera_is_not_read_ahead() -> None:
    read = []

    def camera():  # type: ignore[no-untyped-def]
        for value in range(3):
            read.append(value)
            yield _frame(value)

    portraits = run(camera(), lambda rgb: np.zeros((1, 1), np.float32), lambda rgb, a: a, lambda rgb, a: rgb)
    next(portraits)
    assert read == [0]


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        ([0.0, 0.1, 0.2, 0.3], [0, 1, 2, 3]),  # as fast as the film
        ([0.0, 0.2, 0.4], [0, 1, 1, 2, 2]),  # half as fast: repeated
        ([0.0, 0.05, 0.1, 0.15, 0.2], [0, 2, 4]),  # twice as fast: left out
    ],
    ids=["even", "slow", "fast"],
)
def test_a_film_lasts_as_long_as_its_camera_ran(times: list[float], expected: list[int]) -> None:
    clock = iter([0.0, *(time + 1e-6 for time in times)])
    assert list(at_constant_rate(range(len(times)), 10.0, clock=lambda: next(clock))) == expected


def test_a_camera_stops_after_its_seconds() -> None:
    clock = iter(np.arange(100) * 0.1)
    assert len(list(at_constant_rate(range(100), 10.0, seconds=0.95, clock=lambda: float(next(clock))))) == 10


class _Clock:
    """A time that passes only in sleep, and as frames take to come."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds


@pytest.mark.parametrize(
    ("durations", "expected"),
    [
        ([5.0, 0.0, 0.0, 0.0], [5.0, 5.1, 5.2, 5.3]),  # the first may take its time
        ([0.0, 0.03, 0.07, 0.05], [0.0, 0.1, 0.2, 0.3]),
        ([0.0, 0.25, 0.0, 0.0], [0.0, 0.25, 0.25, 0.3]),  # one late, and caught up with
    ],
    ids=["at once", "fast", "late"],
)
def test_a_file_plays_in_real_time(durations: list[float], expected: list[float]) -> None:
    clock = _Clock()

    def film():  # type: ignore[no-untyped-def]
        for duration in durations:
            clock.now += duration
            yield duration

    times = [clock.now - 100.0 for _ in in_real_time(film(), 10.0, clock, clock.sleep)]
    assert times == pytest.approx(expected)
