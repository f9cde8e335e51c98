"""The threads of the live pipeline, with real films and sources that end, break, hang and run away."""

from __future__ import annotations

import io
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from demo_app.frame import Frame
from demo_app.live.inference import Matting
from demo_app.live.mailbox import Ended
from demo_app.live.pipeline import Matted, Pipeline
from demo_app.matte import Alpha
from demo_app.sources.raw import RawSource
from demo_app.sources.video import VideoSource
from demo_app.temporal.smoothing import MatteSmoother
from edge_deeplab.errors import ModelFileError, SourceError
from edge_deeplab.image import Rgb

FilmMaker = Callable[..., Path]
DEADLINE = 30.0  # for what takes milliseconds on an idle machine


class Frames:
    """A source of made frames, numbered in their first pixel; ``error`` comes behind the last one."""

    fps = 30.0
    total = None

    def __init__(self, count: int | None, error: Exception | None = None, seconds: float = 0.0) -> None:
        self._numbers = itertools.count() if count is None else range(count)
        self._error = error
        self._seconds = seconds
        self.left = threading.Event()

    def __iter__(self) -> Iterator[Frame]:
        for number in self._numbers:
            time.sleep(self._seconds)
            yield Frame(np.full((64, 96, 3), number % 256, np.uint8), str(number))
        if self._error is not None:
            raise self._error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *details: object) -> None:
        self.left.set()


def bright(frame: Rgb) -> Alpha:
    """A network of one layer: how bright each pixel is."""
    return frame[:, :, 1].astype(np.float32) / 255.0


def matting(interval: int = 1) -> Matting:
    return Matting(bright, MatteSmoother(), lambda: interval)


def drain(pipeline: Pipeline) -> list[Matted]:
    taken = []
    end = time.monotonic() + DEADLINE
    try:
        while time.monotonic() < end:
            if (matted := pipeline.take(1.0)) is not None:
                taken.append(matted)
    except Ended:
        return taken
    raise AssertionError("the pipeline does not end")


def test_every_frame_comes_in_order_and_the_source_is_left() -> None:
    source = Frames(200)
    with Pipeline(source, matting(), every_frame=True) as pipeline:
        taken = drain(pipeline)
    assert [matted.captured.frame.name for matted in taken] == [str(number) for number in range(200)]
    assert (pipeline.captured, pipeline.dropped) == (200, 0)
    assert source.left.wait(DEADLINE)


def test_the_same_film_gives_the_same_mattes_to_the_bit(film: FilmMaker) -> None:
    path = film("a.mp4", 40)

    def mattes() -> list[bytes]:
        with Pipeline(VideoSource(path), matting(), every_frame=True) as pipeline:
            return [matted.captured.frame.rgb.tobytes() + matted.alpha.tobytes() for matted in drain(pipeline)]

    first = mattes()
    assert len(first) == 40
    assert len(set(first)) == 40
    assert mattes() == first


def test_waiting_for_a_camera_is_no_cost() -> None:
    with Pipeline(Frames(5, seconds=0.05), matting(), every_frame=True) as pipeline:
        assert all(matted.captured.seconds < 0.02 for matted in drain(pipeline))  # of processor time


def test_a_slow_taker_gets_the_newest_frames_and_all_are_accounted_for() -> None:
    taken = 0
    with Pipeline(Frames(None, seconds=0.001), matting()) as pipeline:
        end = time.monotonic() + DEADLINE
        last = -1
        while taken < 10 and time.monotonic() < end:
            time.sleep(0.02)
            matted = pipeline.take(1.0)
            assert matted is not None
            assert int(matted.captured.frame.name) > last
            last = int(matted.captured.frame.name)
            taken += 1
        assert pipeline.dropped > 0
    assert pipeline.captured == taken + pipeline.dropped
    assert last > taken  # it was not a queue


def test_between_the_masks_the_matte_is_carried_along() -> None:
    with Pipeline(Frames(9), matting(interval=3), every_frame=True) as pipeline:
        taken = drain(pipeline)
    assert [matted.by_network for matted in taken] == [True, False, False] * 3


def test_network_and_smoothing_look_at_the_shrunk_frame() -> None:
    """The mattes are those of a film that was shrunk beforehand."""
    frames = [np.random.default_rng(seed).integers(0, 256, (96, 128, 3), np.uint8) for seed in range(6)]
    shrink, whole = Matting(bright, MatteSmoother(), lambda: 2, lambda frame: frame[::2, ::2]), matting(2)
    for frame in frames:
        (got, got_by_network), (expected, by_network) = shrink(frame), whole(frame[::2, ::2])
        assert got_by_network == by_network
        assert np.array_equal(got, expected)


@pytest.mark.parametrize("every_frame", [True, False])
def test_a_source_that_breaks_says_so_behind_its_last_frame(every_frame: bool) -> None:
    source = Frames(3, SourceError("camera 0 was unplugged"))
    taken: list[Matted] = []
    with (
        Pipeline(source, matting(), every_frame=every_frame) as pipeline,
        pytest.raises(SourceError, match="unplugged"),
    ):
        taken.extend(iter(lambda: pipeline.take(DEADLINE), None))
    assert taken[-1].captured.frame.name == "2"


def test_a_network_that_fails_says_so_and_ends_the_capture() -> None:
    def fails(frame: Rgb) -> tuple[Alpha, bool]:
        raise ModelFileError("the model gives not-a-number")

    source = Frames(None)
    with Pipeline(source, fails, every_frame=True) as pipeline:
        with pytest.raises(ModelFileError, match="not-a-number"):
            pipeline.take(DEADLINE)
        assert source.left.wait(DEADLINE)


def test_a_source_that_hangs_is_left_behind() -> None:
    read, write = os.pipe()  # which gives nothing, and does not end
    with io.FileIO(read) as stream, io.FileIO(write, "w") as end:
        with Pipeline(RawSource(stream, 64, 48), matting()) as pipeline:
            assert pipeline.take(0.01) is None
            start = time.monotonic()
        waited = time.monotonic() - start
        end.close()  # which frees the thread that still reads
        assert waited < DEADLINE / 3


def test_leaving_ends_both_threads() -> None:
    source = Frames(None)
    before = set(threading.enumerate())  # one of the test before may be among them, and end meanwhile
    with Pipeline(source, matting(), every_frame=True) as pipeline:
        assert pipeline.take(DEADLINE) is not None
    assert source.left.wait(DEADLINE)
    end = time.monotonic() + DEADLINE
    while set(threading.enumerate()) - before and time.monotonic() < end:
        time.sleep(0.01)
    assert not set(threading.enumerate()) - before


def test_a_film_is_played_at_its_rate(film: FilmMaker) -> None:
    with Pipeline(VideoSource(film("a.mp4", 12, fps=24.0)), matting(), play_at=24.0) as pipeline:
        taken = drain(pipeline)
    assert taken[-1].captured.time - taken[0].captured.time >= (len(taken) - 1) / 24.0 * 0.5
    times = [matted.captured.time for matted in taken]
    assert times == sorted(times)


def test_memory_stays_flat_over_500_frames() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    if not Path("/proc/self/statm").exists():
        pytest.skip("memory is read from /proc")

    class Large(Frames):
        def __iter__(self) -> Iterator[Frame]:
            for number in self._numbers:
                yield Frame(np.full((720, 1280, 3), number % 256, np.uint8), str(number))

    with Pipeline(Large(600), lambda frame: (bright(frame[::4, ::4]), True), every_frame=True) as pipeline:
        sizes = []
        try:
            while pipeline.take(DEADLINE) is not None:
                sizes.append(resident())
        except Ended:
            pass
    assert len(sizes) == 600
    assert max(sizes[100:]) - max(sizes[:100]) < 30_000_000  # ten frames; a leak would be 500 of them
