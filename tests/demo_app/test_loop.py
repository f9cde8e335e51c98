"""The loop for files, and the pace of cameras and of films."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from demo_app.frame import Frame
from demo_app.loop import run
from demo_app.nothing_to_close import NothingToClose
from demo_app.pacing import ConstantRate, in_real_time
from edge_deeplab.errors import ImageError, SourceError


class _List(NothingToClose):
    """A source of six small frames; the last one may be broken."""

    fps, total = 30.0, 6

    def __init__(self, *, breaks: bool = False) -> None:
        self._breaks = breaks
        self.read = 0

    def __iter__(self) -> Iterator[Frame]:
        for value in range(6):
            if self._breaks and value == 5:
                raise SourceError("the film broke off")
            self.read += 1
            yield Frame(np.full((1, 1, 3), value, np.uint8), f"{value}.png")


def _matting(rgb: np.ndarray) -> tuple[np.ndarray, bool]:
    return rgb[:, :, 0].astype(np.float32) * 10, True


def _compose(frame: Frame, alpha: np.ndarray) -> Frame:
    return Frame((frame.rgb + alpha[:, :, None]).astype(np.uint8), frame.name)


def test_every_frame_meets_its_own_matte_in_order() -> None:
    portraits = list(run(_List(), _matting, _compose))
    assert [portrait.name for portrait in portraits] == [f"{value}.png" for value in range(6)]
    assert [int(portrait.rgb[0, 0, 0]) for portrait in portraits] == [11 * value for value in range(6)]


def test_a_source_that_breaks_gives_what_was_before() -> None:
    names: list[str] = []
    with pytest.raises(SourceError, match="broke off"):
        names.extend(portrait.name for portrait in run(_List(breaks=True), _matting, _compose))
    assert names == [f"{value}.png" for value in range(5)]


def test_an_error_of_the_matting_ends_the_loop() -> None:
    def fails(rgb: np.ndarray) -> tuple[np.ndarray, bool]:
        raise ImageError("no matte")

    with pytest.raises(ImageError, match="no matte"):
        list(run(_List(), fails, _compose))


def test_who_stops_early_ends_the_threads() -> None:
    before = set(threading.enumerate())
    with closing(run(_List(), _matting, _compose)) as portraits:
        next(portraits)
        begun = set(threading.enumerate()) - before
    assert not {thread for thread in begun if thread.is_alive()}


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
    rate = ConstantRate(10.0)
    given = [[index] * rate.repeats(time + 1e-6) for index, time in enumerate(times)]
    assert [index for part in given for index in part] == expected


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
